"""Base class of quantizers: map vectors to tokens, one per vector, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from soke.tokenizer.ranks import BatchShare, batch_share, local_share, sum_over_ranks

#: What a token of padding is.
PADDING = -1


class Quantized(NamedTuple):
    """The result of a pass; the last three are scalars over the real steps of the batch."""

    codes: Tensor  # [B, S, D], with a straight-through gradient; zeros where padded
    tokens: Tensor  # [B, S] int64, PADDING where padded
    commitment: Tensor  # mean squared distance of vectors and codes
    perplexity: Tensor  # exp(entropy of the tokens)
    codes_used: Tensor  # share of the codes that occur, 0 to 1


def usage(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Perplexity and share of codes in use of counts ``[..., K]``; both ``[...]``.

    Perplexity is exp(entropy): the number of codes that, used equally often, would be as varied.
    """
    share = counts / counts.sum(dim=-1, keepdim=True).clamp(min=1)
    entropy = -torch.xlogy(share, share).sum(dim=-1)
    return entropy.exp(), (counts > 0).to(share).mean(dim=-1)


class Quantizer(nn.Module, ABC):
    """Vectors ``[B, S, D]`` to tokens ``[B, S]`` below ``codebook_size``, and back.

    A subclass only ever sees the real steps, as rows ``[N, D]``: padding cannot enter what it
    learns. In training several ranks act as one on the whole batch; in evaluation nothing is
    exchanged, so ranks may have different numbers of batches.
    """

    #: How many values each digit of a token has, where a token is made of several.
    levels: tuple[int, ...] | None = None

    def __init__(self, codebook_size: int, code_dim: int) -> None:
        super().__init__()
        self.codebook_size = codebook_size
        self.code_dim = code_dim

    @abstractmethod
    def nearest(self, vectors: Tensor) -> Tensor:
        """Tokens ``[...]`` of vectors ``[..., D]``."""

    @abstractmethod
    def lookup(self, tokens: Tensor) -> Tensor:
        """Code vectors ``[..., D]`` of tokens ``[...]``."""

    @abstractmethod
    def assign(self, rows: Tensor, share: BatchShare) -> tuple[Tensor, Tensor, Tensor]:
        """Codes ``[N, D]`` that pass the gradient on to ``rows``, tokens ``[N]``, commitment."""

    def start(self, rows: Tensor, share: BatchShare) -> None:
        """Whatever has to be done before the first training batch is quantized."""

    def learn(self, rows: Tensor, tokens: Tensor, counts: Tensor, share: BatchShare) -> None:
        """Whatever is learned without gradients from rows ``[N, D]`` and their tokens ``[N]``.

        ``counts`` [K] is how often each token occurs on all ranks.
        """

    def forward(
        self, vectors: Tensor, mask: Tensor | None = None, share: BatchShare | None = None
    ) -> Quantized:
        """Quantize vectors ``[B, S, D]``; ``mask`` [B, S] is True on real steps, None: all are.

        ``share`` is this rank's part of the batch, where the caller knows it already.
        """
        # In full precision even under autocast: the choice among near codes, and averages over
        # many batches, are a matter of small digits.
        with torch.autocast(vectors.device.type, enabled=False):
            vectors = vectors.float()
            rows = vectors.flatten(0, 1) if mask is None else vectors[mask]
            if not self.training:
                share = local_share(len(rows))
            elif share is None:
                share = batch_share(len(rows), rows.device)
            if self.training:
                self.start(rows.detach(), share)
            codes, tokens, commitment = self.assign(rows, share)
            counts = torch.bincount(tokens, minlength=self.codebook_size).to(rows)
            if self.training:
                counts = sum_over_ranks(counts)
                self.learn(rows.detach(), tokens, counts, share)
            return Quantized(*_unpack(codes, tokens, vectors, mask), commitment, *usage(counts))


def straight_through(rows: Tensor, codes: Tensor) -> Tensor:
    """Exactly ``codes``, with the gradient handed to ``rows``."""
    return codes.detach() + (rows - rows.detach())


def mean_squared_distance(first: Tensor, second: Tensor, share: BatchShare) -> Tensor:
    """Mean over the rows of all ranks; as a loss, see `BatchShare.divisor`."""
    return (first - second).square().sum() / (share.divisor * first.shape[1])


def _unpack(
    codes: Tensor, tokens: Tensor, vectors: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Rows back to where they stood among the ``vectors`` [B, S, D]."""
    if mask is None:
        return codes.view_as(vectors), tokens.view(vectors.shape[:2])
    padded_tokens = tokens.new_full(mask.shape, PADDING).masked_scatter(mask, tokens)
    padded_codes = torch.zeros_like(vectors)
    padded_codes[mask] = codes
    return padded_codes, padded_tokens
