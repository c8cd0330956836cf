"""The decoupled tokenizer: one VQ-VAE a row of the part table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soke.files import require
from soke.parts import FEATURE_SIZE, PartTable
from soke.structures import TokenizerOutput, lengths_to_mask
from soke.tokenizer.network import FRAMES_PER_TOKEN, Decoder, Encoder
from soke.tokenizer.quantizer import EMAResetQuantizer

#: What a token of padding is in the result of `PartTokenizer.encode`.
PADDING = -1


class VQVAE(nn.Module):
    """Encoder, quantizer and decoder of one part."""

    def __init__(
        self, features: int, width: int, code_dim: int, codebook_size: int, decay: float
    ) -> None:
        super().__init__()
        self.encoder = Encoder(features, width, code_dim)
        self.quantizer = EMAResetQuantizer(codebook_size, code_dim, decay)
        self.decoder = Decoder(features, width, code_dim)


class PartTokenizer(nn.Module):
    """Motion [B, T, 133] to tokens [B, S, P] and back, S = T / 4.

    The parts share no weights. The statistics that normalise motion are buffers, so that a
    checkpoint alone is enough to encode poses and to give poses back.
    """

    def __init__(
        self,
        parts: PartTable,
        width: int = 512,
        code_dim: int = 512,
        decay: float = 0.99,
        mean: Tensor | None = None,
        std: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.parts = parts
        self.arguments = {"width": width, "code_dim": code_dim, "decay": decay}
        self.networks = nn.ModuleList(
            VQVAE(part.size, width, code_dim, part.codebook_size, decay) for part in parts
        )
        self.register_buffer("mean", torch.zeros(FEATURE_SIZE) if mean is None else mean.clone())
        self.register_buffer("std", torch.ones(FEATURE_SIZE) if std is None else std.clone())

    def normalize(self, motion: Tensor) -> Tensor:
        """SMPL-X parameters ``[..., 133]`` (radians) to zero mean and unit deviation."""
        return (motion - self.mean) / self.std

    def denormalize(self, motion: Tensor) -> Tensor:
        """The inverse of `normalize`."""
        return motion * self.std + self.mean

    def forward(self, motion: Tensor, mask: Tensor) -> TokenizerOutput:
        """Reconstruct normalised motion ``[B, T, 133]``; ``mask`` [B, T] is True on real frames."""
        self._check_frames(motion, mask.sum(dim=1))
        steps = mask[:, ::FRAMES_PER_TOKEN]
        pieces, tokens, commitments, perplexities = [], [], [], []
        for network, piece in zip(self.networks, self.parts.split(motion)):
            codes, indices, commitment, perplexity = network.quantizer(
                network.encoder(piece, mask), steps
            )
            pieces.append(network.decoder(codes, steps))
            tokens.append(indices)
            commitments.append(commitment)
            perplexities.append(perplexity)
        return TokenizerOutput(
            reconstruction=self.parts.merge(pieces),
            tokens=torch.stack(tokens, dim=-1),
            commitment=torch.stack(commitments),
            perplexity=torch.stack(perplexities),
        )

    def encode(self, motion: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """Normalised motion ``[B, T, 133]`` to tokens ``[B, T/4, P]``.

        ``lengths`` [B] are frames a clip (all of them when left out), multiples of four. Steps
        beyond a clip's end are -1. Raises ``ValueError`` for other shapes or lengths.
        """
        if motion.ndim != 3 or motion.shape[-1] != FEATURE_SIZE:
            raise ValueError(
                f"motion must be [B, T, {FEATURE_SIZE}], got shape {tuple(motion.shape)}"
            )
        lengths = self._lengths(lengths, motion)
        self._check_frames(motion, lengths)
        mask = lengths_to_mask(lengths, motion.shape[1])
        tokens = torch.stack(
            [
                network.quantizer.nearest(network.encoder(piece, mask))
                for network, piece in zip(self.networks, self.parts.split(motion))
            ],
            dim=-1,
        )  # [B, S, P]
        return tokens.masked_fill(~mask[:, ::FRAMES_PER_TOKEN, None], PADDING)

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
        for part, column in zip(self.parts, tokens.unbind(-1)):
            if column.numel() and not 0 <= int(column.min()) <= int(column.max()) < (
                part.codebook_size
            ):
                raise ValueError(
                    f"tokens of part {part.name!r} must lie in 0..{part.codebook_size - 1}, got "
                    f"{int(column.min())}..{int(column.max())}"
                )
        return self.parts.merge(
            [
                network.decoder(network.quantizer.lookup(column), mask)
                for network, column in zip(self.networks, tokens.unbind(-1))
            ]
        )

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
    def from_description(cls, description: dict[str, object]) -> PartTokenizer:
        rest = {key: value for key, value in description.items() if key != "parts"}
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
    def _check_frames(motion: Tensor, lengths: Tensor) -> None:
        if motion.shape[1] % FRAMES_PER_TOKEN or (lengths % FRAMES_PER_TOKEN).any():
            raise ValueError(
                f"clips must be multiples of {FRAMES_PER_TOKEN} frames, got lengths "
                f"{lengths.tolist()} padded to {motion.shape[1]}; soke.data.length_rule cuts them"
            )


def reconstruction_loss(kind: str, predicted: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean over real frames and features of ``l1``, ``l2`` or ``l1_smooth`` (beta 1).

    Shapes [B, T, F], mask [B, T].
    """
    losses = {"l1": F.l1_loss, "l2": F.mse_loss, "l1_smooth": F.smooth_l1_loss}
    if kind not in losses:
        raise ValueError(f"LOSS.ABLATION.RECONS_LOSS is {kind!r}; choose one of {sorted(losses)}")
    return losses[kind](predicted[mask], target[mask])


def load_tokenizer(checkpoint: str | Path) -> PartTokenizer:
    """Load a trained tokenizer, in evaluation mode, from a checkpoint of `python -m train`.

    Raises `soke.files.MissingAssetError` when there is no such file and ``ValueError`` when it
    holds no tokenizer.
    """
    path = require(
        checkpoint,
        "The tokenizer's checkpoint",
        "Train one with `python -m train --cfg configs/deto.yaml --nodebug`, or name another in "
        "TRAIN.PRETRAINED_VAE",
    )
    content = torch.load(path, map_location="cpu", weights_only=True)
    description = content.get("soke", {}).get("tokenizer")
    if description is None:
        raise ValueError(f"{path} is not a tokenizer checkpoint of SOKE (it has no description)")
    tokenizer = PartTokenizer.from_description(description)
    prefix = "tokenizer."
    tokenizer.load_state_dict(
        {
            key.removeprefix(prefix): value
            for key, value in content["state_dict"].items()
            if key.startswith(prefix)
        }
    )
    return tokenizer.eval()
