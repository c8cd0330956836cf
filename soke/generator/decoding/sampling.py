"""How the next token is chosen from logits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from soke.structures import TokenBatch


@dataclass(frozen=True)
class Sampling:
    """Greedy without a ``temperature``, else at random; ``top_k`` and ``top_p`` leave out the rest.

    They apply one after the other: logits are divided by the temperature; the ``top_k`` likeliest
    tokens remain; of these, the fewest whose probabilities reach ``top_p`` together.

    Raises ``ValueError`` for values out of range and for choices that greedy decoding cannot heed.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    samples: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature is not None and not 0 < self.temperature < float("inf"):
            raise ValueError(
                f"temperature must be above 0, got {self.temperature}; leave it out (null) for the "
                "likeliest token"
            )
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be 1 or more, got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.samples < 1:
            raise ValueError(f"samples must be 1 or more, got {self.samples}")
        unheeded = {"top_k": self.top_k, "top_p": self.top_p}
        unheeded["samples"] = None if self.samples == 1 else self.samples
        for name, value in unheeded.items():
            if self.temperature is None and value is not None:
                raise ValueError(
                    f"{name}={value} needs a temperature (1.0 draws from the model's own "
                    "probabilities); without one the likeliest token is taken"
                )

    def choose(self, logits: Tensor, uniform: Tensor | None) -> Tensor:
        """Tokens ``[...]`` from logits ``[..., V]`` and numbers ``[...]`` drawn from [0, 1).

        -inf is never chosen. The numbers are read against the cumulative probabilities in the order
        of the vocabulary, so that rounding cannot turn one choice into another far from it.
        """
        if self.temperature is None:
            return logits.argmax(dim=-1)
        probabilities = filtered(logits / self.temperature, self.top_k, self.top_p)
        cumulative = probabilities.cumsum(dim=-1)
        at = uniform[..., None] * cumulative[..., -1:]
        return torch.searchsorted(cumulative, at, right=True)[..., 0]

    def uniforms(self, batch: TokenBatch, steps: int) -> Tensor | None:
        """For every sample of every text its random numbers [B * samples, steps, P]; float64.

        They depend on the seed, on the clip (its corpus, name and text) and on the sample's number,
        not on the batch or the device.
        """
        if self.temperature is None:
            return None
        drawn = []
        for clip in zip(batch.corpora, batch.names, batch.texts):
            for sample in range(self.samples):
                code = hashlib.blake2b(repr((self.seed, *clip, sample)).encode(), digest_size=8)
                generator = torch.Generator().manual_seed(int.from_bytes(code.digest()) >> 1)
                # Single precision stays below 1 when it is multiplied in double precision.
                drawn.append(torch.rand(steps, batch.tokens.shape[2], generator=generator))
        return torch.stack(drawn).double().to(batch.source.device)


def filtered(logits: Tensor, top_k: int | None, top_p: float | None) -> Tensor:
    """Probabilities ``[..., V]``, float64, with 0 for tokens that are left out; the sum is below 1.

    Among equals the first ones of the vocabulary remain.
    """
    probabilities = logits.double().softmax(dim=-1)
    if top_k is None and top_p is None:
        return probabilities
    ranked, order = probabilities.sort(dim=-1, descending=True, stable=True)
    if top_k is not None:
        ranked[..., top_k:] = 0
    if top_p is not None:
        before = ranked.cumsum(dim=-1) - ranked
        ranked[before >= top_p * ranked.sum(dim=-1, keepdim=True)] = 0
    return torch.zeros_like(probabilities).scatter_(-1, order, ranked)
