"""What crosses from one layer to the next: frozen dataclasses, checked when they are built.

Shape letters, here and everywhere: B clips, T frames, S token steps, P parts, F features,
V vocabulary rows, L source tokens, J points. Masks are boolean and True where something is real.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor


def lengths_to_mask(lengths: Tensor, size: int | None = None) -> Tensor:
    """Turn lengths ``[B]`` into a mask ``[B, size]`` True on the first ``length`` places."""
    size = int(lengths.max()) if size is None else size
    return torch.arange(size, device=lengths.device)[None] < lengths[:, None]


@dataclass(frozen=True)
class _Movable:
    """Adds ``.to(device)`` to a frozen dataclass of tensors (Lightning calls it)."""

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        moved = {
            field.name: value.to(device, non_blocking=non_blocking)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **moved)

    def pin_memory(self) -> Self:
        pinned = {
            field.name: value.pin_memory()
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **pinned)


def _check_mask(mask: Tensor, shape: Sequence[int], name: str) -> None:
    assert mask.dtype == torch.bool, f"{name} must be boolean"
    assert tuple(mask.shape) == tuple(shape), f"{name} has shape {tuple(mask.shape)}, not {shape}"


@dataclass(frozen=True)
class PoseBatch(_Movable):
    """Normalised motion of several clips, padded with zeros."""

    names: tuple[str, ...]  # B
    corpora: tuple[str, ...]  # B
    texts: tuple[str, ...]  # B
    motion: Tensor  # [B, T, F] float
    mask: Tensor  # [B, T] bool

    def __post_init__(self) -> None:
        assert self.motion.ndim == 3
        _check_mask(self.mask, self.motion.shape[:2], "mask")
        assert len(self.names) == len(self.corpora) == len(self.texts) == len(self.motion)

    @property
    def lengths(self) -> Tensor:  # [B]
        return self.mask.sum(dim=1)


@dataclass(frozen=True, eq=False)
class Keyword:
    """A sign, or several in a row, retrieved for a piece of text."""

    word: str  # the dictionary entry; several are joined by hyphens ("h-i")
    tokens: np.ndarray  # [n, P]
    text: str = ""  # the piece of text
    match: str = "exact"  # how it was found


@dataclass(frozen=True, eq=False)
class Retrieval:
    """What was retrieved for a text, and what was not."""

    keywords: tuple[Keyword, ...] = ()  # in the order of the text
    missing: tuple[str, ...] = ()  # words of the text that have no sign
    dropped: tuple[tuple[str, str], ...] = ()  # words that have one, and why it was left out
    listed: bool = True  # False: the clip is not in the list of keywords chosen beforehand


@dataclass(frozen=True)
class TokenSample:
    """A text and, where known, its motion tokens.

    ``draw`` in [0, 1) chooses the wording of the prompt; 0 is the first one.
    """

    name: str
    corpus: str
    text: str
    tokens: np.ndarray | None = None  # [S, P]
    draw: float = 0.0
    gloss: str = ""


@dataclass(frozen=True)
class TokenBatch(_Movable):
    """Texts as embedding rows and, in training, the motion tokens that belong to them."""

    names: tuple[str, ...]  # B
    corpora: tuple[str, ...]  # B
    texts: tuple[str, ...]  # B
    keywords: tuple[tuple[str, ...], ...]  # B, the retrieved dictionary words
    source: Tensor  # [B, L] int64, embedding rows
    source_mask: Tensor  # [B, L] bool
    sign_language: Tensor  # [B] int64, embedding row of the sign-language token
    tokens: Tensor  # [B, S, P] int64, tokenizer ids, 0 where padded; S = 0 when unknown
    token_mask: Tensor  # [B, S] bool
    retrievals: tuple[Retrieval, ...] = ()  # B, also what was not found; () where unknown

    def __post_init__(self) -> None:
        assert self.source.ndim == 2 and self.tokens.ndim == 3
        _check_mask(self.source_mask, self.source.shape, "source_mask")
        _check_mask(self.token_mask, self.tokens.shape[:2], "token_mask")
        assert len(self.names) == len(self.source) == len(self.tokens) == len(self.sign_language)
        assert len(self.retrievals) in (0, len(self.names))

    @property
    def missing(self) -> tuple[tuple[str, ...], ...]:
        """Of each clip the words that have no sign."""
        return tuple(retrieval.missing for retrieval in self.retrievals) or ((),) * len(self.names)


@dataclass(frozen=True)
class TokenizerOutput:
    """One pass through the tokenizer; the last three are over the real steps of the batch."""

    reconstruction: Tensor  # [B, T, F]
    tokens: Tensor  # [B, S, P] int64, -1 where padded
    commitment: Tensor  # [P], mean squared error a part
    perplexity: Tensor  # [P], exp(entropy of the tokens)
    codes_used: Tensor  # [P], share of the codebook that occurs, 0 to 1


@dataclass(frozen=True)
class BodyOutput:
    """The posed body, in metres."""

    vertices: Tensor  # [N, 10475, 3]
    joints: Tensor  # [N, 144, 3]
