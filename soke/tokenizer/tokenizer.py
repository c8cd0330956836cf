"""The decoupled tokenizer: one VQ-VAE a row of the part table."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from soke.parts import FEATURE_SIZE, PartTable
from soke.structures import TokenizerOutput, lengths_to_mask
from soke.tokenizer.batch_layout import Layout
from soke.tokenizer.conv_network import FRAMES_PER_TOKEN, Decoder, Encoder
from soke.tokenizer.quantizers import PADDING, Quantizer, build_quantizer
from soke.tokenizer.ranks import batch_share

#: Levels of the quantizer, the same for every part or by a part's name.
Levels = Sequence[int] | Mapping[str, Sequence[int]]


class VQVAE(nn.Module):
    """Encoder, quantizer and decoder of one part."""

    def __init__(self, features: int, width: int, quantizer: Quantizer) -> None:
        super().__init__()
        self.encoder = Encoder(features, width, quantizer.code_dim)
        self.quantizer = quantizer
        self.decoder = Decoder(features, width, quantizer.code_dim)

    def encode(self, piece: Tensor, layout: Layout) -> Tensor:
        """Tokens ``[R, N]`` of one part's features ``[R, 4 N, F]``, PADDING beyond a clip's end."""
        vectors = self.encoder(piece, layout.frames)
        steps = layout.steps
        if steps is None:
            return self.quantizer.nearest(vectors)
        tokens = torch.full_like(steps, PADDING, dtype=torch.int64)
        return tokens.masked_scatter(steps, self.quantizer.nearest(vectors[steps]))


class PartTokenizer(nn.Module):
    """Motion [B, T, 133] to tokens [B, S, P] and back, S = T / 4.

    The parts share no weights. ``quantizer`` is a name of `soke.tokenizer.QUANTIZERS`; ``levels``
    splits the codebook sizes for ``fsq`` and ``rvq``, as a list for all parts or a list by a part's
    name; what it leaves out is split evenly. The statistics that normalise motion (``mean`` and
    ``std``, 133 numbers each) are buffers, so that a checkpoint alone is enough to encode poses
    and to give poses back.

    Raises ``ValueError`` for a codebook that the quantizer cannot have and for statistics of
    another length.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        parts: PartTable,
        width: int = 512,
        code_dim: int = 512,
        decay: float = 0.99,
        mean: Tensor | None = None,
        std: Tensor | None = None,
        quantizer: str = "ema_reset",
        levels: Levels | None = None,
    ) -> None:
        super().__init__()
        self.parts = parts
        given = _levels_by_part(levels, parts)
        chosen = {}
        self.networks = nn.ModuleList()
        for part in parts:
            try:
                built = build_quantizer(
                    quantizer, part.codebook_size, code_dim, decay, given.get(part.name)
                )
            except ValueError as error:
                raise ValueError(f"part {part.name!r}: {error}") from None
            self.networks.append(VQVAE(part.size, width, built))
            if built.levels is not None:
                chosen[part.name] = list(built.levels)
        # The levels in use rather than the given ones: a checkpoint must not depend on the rule
        # that splits a codebook size.
        self.arguments = {
            "width": width,
            "code_dim": code_dim,
            "decay": decay,
            "quantizer": quantizer,
            "levels": chosen or None,
        }
        self.register_buffer("mean", _statistic("mean", mean, torch.zeros(FEATURE_SIZE)))
        self.register_buffer("std", _statistic("std", std, torch.ones(FEATURE_SIZE)))

    def compile_networks(self) -> None:
        """Compile all encoders and decoders in place (`torch.compile`).

        The quantizers stay as they are, and so do the names in checkpoints.
        """
        for network in self.networks:
            network.encoder.compile()
            network.decoder.compile()

    def normalize(self, motion: Tensor) -> Tensor:
        """SMPL-X parameters ``[..., 133]`` (radians) to zero mean and unit deviation."""
        return (motion - self.mean) / self.std

    def denormalize(self, motion: Tensor) -> Tensor:
        """The inverse of `normalize`."""
        return motion * self.std + self.mean

    def forward(self, motion: Tensor, mask: Tensor) -> TokenizerOutput:
        """Reconstruct normalised motion ``[B, T, 133]``; ``mask`` [B, T] is True on real frames.

        In training the codebooks learn from the batch, and all ranks have to take part.
        """
        self._check_motion(motion, mask.sum(dim=1))
        steps = mask[:, ::FRAMES_PER_TOKEN]
        share = batch_share(int(steps.sum()), motion.device) if self.training else None
        layout = Layout(steps)
        pieces = []
        quantized = []
        for network, piece in zip(self.networks, self.parts.split(layout.arrange(motion))):
            vectors = network.encoder(piece, layout.frames)
            quantized.append(network.quantizer(vectors, layout.steps, share))
            pieces.append(network.decoder(quantized[-1].codes, layout.steps).float())
        tokens = torch.stack([one.tokens for one in quantized], dim=-1)
        return TokenizerOutput(
            reconstruction=layout.restore(self.parts.merge(pieces)),
            tokens=layout.restore(tokens, PADDING),
            commitment=torch.stack([one.commitment for one in quantized]),
            perplexity=torch.stack([one.perplexity for one in quantized]),
            codes_used=torch.stack([one.codes_used for one in quantized]),
        )

    def encode(self, motion: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """Normalised motion ``[B, T, 133]`` to tokens ``[B, T/4, P]``.

        ``lengths`` [B] are frames a clip (all of them when left out), multiples of four. Steps
        beyond a clip's end are -1. Raises ``ValueError`` for other shapes or lengths.
        """
        lengths = self._lengths(lengths, motion)
        self._check_motion(motion, lengths)
        layout = Layout(lengths_to_mask(lengths, motion.shape[1])[:, ::FRAMES_PER_TOKEN])
        pieces = self.parts.split(layout.arrange(motion))
        tokens = [network.encode(piece, layout) for network, piece in zip(self.networks, pieces)]
        return layout.restore(torch.stack(tokens, dim=-1), PADDING)

    def decode(self, tokens: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """Tokens ``[B, S, P]`` to normalised motion ``[B, 4 S, 133]``.

        ``lengths`` [B] are token steps a clip; frames beyond a clip's end are zeros. Raises
        ``ValueError`` for a wrong shape or a token outside its part's codebook.
        """
        if tokens.ndim != 3 or tokens.shape[-1] != len(self.parts):
            raise ValueError(
                f"tokens must be [B, S, {len(self.parts)}] for the parts {self.parts.names}, "
                f"got shape {tuple(tokens.shape)}"
            )
        mask = lengths_to_mask(self._lengths(lengths, tokens), tokens.shape[1])
        tokens = tokens.masked_fill(~mask[..., None], 0)
        self._check_tokens(tokens)
        layout = Layout(mask)
        pieces = [
            network.decoder(network.quantizer.lookup(column), layout.steps)
            for network, column in zip(self.networks, layout.arrange(tokens).unbind(-1))
        ]
        return layout.restore(self.parts.merge(pieces))

    @torch.no_grad()
    def decode_to_motion(self, tokens: Sequence[Tensor]) -> list[Tensor]:
        """SMPL-X parameters [4 S, 133] of token sequences [S, P], decoded as one padded batch."""
        lengths = [len(sequence) for sequence in tokens]
        padded = torch.nn.utils.rnn.pad_sequence(list(tokens), batch_first=True)
        motion = self.denormalize(self.decode(padded, lengths))
        return [motion[i, : n * FRAMES_PER_TOKEN] for i, n in enumerate(lengths)]

    def description(self) -> dict[str, object]:
        """Plain values from which `from_description` builds the same architecture."""
        return {"parts": self.parts.to_rows(), **self.arguments}

    @classmethod
    def from_description(cls, description: Mapping[str, object]) -> PartTokenizer:
        """The inverse of `description`; raises ``ValueError`` for keys that it does not know."""
        rest = {key: value for key, value in description.items() if key != "parts"}
        unknown = sorted(set(rest) - set(inspect.signature(cls).parameters))
        if unknown or "parts" not in description:
            raise ValueError(
                f"the description of the tokenizer {'has ' if unknown else 'lacks '}"
                f"{unknown or 'parts'}: it was written by another version"
            )
        return cls(PartTable.from_rows(description["parts"]), **rest)

    @staticmethod
    def _lengths(lengths: Tensor | Sequence[int] | None, batch: Tensor) -> Tensor:
        if lengths is None:
            return torch.full((len(batch),), batch.shape[1], device=batch.device)
        lengths = torch.as_tensor(lengths, device=batch.device)
        if lengths.shape != (len(batch),) or lengths.min() < 1 or lengths.max() > batch.shape[1]:
            raise ValueError(
                f"lengths must be {len(batch)} numbers from 1 to {batch.shape[1]}, got "
                f"{lengths.tolist()}"
            )
        return lengths

    @staticmethod
    def _check_motion(motion: Tensor, lengths: Tensor) -> None:
        if motion.ndim != 3 or motion.shape[-1] != FEATURE_SIZE:
            raise ValueError(
                f"motion must be [B, T, {FEATURE_SIZE}], got shape {tuple(motion.shape)}"
            )
        if motion.shape[1] % FRAMES_PER_TOKEN or (lengths % FRAMES_PER_TOKEN).any():
            raise ValueError(
                f"clips must be multiples of {FRAMES_PER_TOKEN} frames, got lengths "
                f"{lengths.tolist()} padded to {motion.shape[1]}; soke.data.length_rule cuts them"
            )

    def _check_tokens(self, tokens: Tensor) -> None:
        if not tokens.numel():
            return
        low = tokens.amin(dim=(0, 1))
        high = tokens.amax(dim=(0, 1))
        for part, least, most in zip(self.parts, low.tolist(), high.tolist()):
            if least < 0 or most >= part.codebook_size:
                raise ValueError(
                    f"tokens of part {part.name!r} must lie in 0..{part.codebook_size - 1}, got "
                    f"{least}..{most}"
                )


def _levels_by_part(levels: Levels | None, parts: PartTable) -> dict[str, list[int]]:
    if levels is None:
        return {}
    if not isinstance(levels, Mapping):
        return {part.name: list(levels) for part in parts}
    unknown = sorted(set(levels) - set(parts.names))
    if unknown:
        raise ValueError(f"levels names the parts {unknown}; there are {parts.names}")
    return {name: list(numbers) for name, numbers in levels.items()}


def _statistic(name: str, value: Tensor | None, default: Tensor) -> Tensor:
    if value is None:
        return default
    if value.shape != default.shape:
        raise ValueError(
            f"{name} has shape {tuple(value.shape)}; the tokenizer takes {FEATURE_SIZE} numbers "
            "(soke.parts.frames_to_features cuts statistics of whole frames)"
        )
    return value.detach().clone().float()
