"""Quantizers, all behind the interface of `Quantizer`, chosen by name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from soke.tokenizer.quantizers.base import PADDING, Quantized, Quantizer, usage
from soke.tokenizer.quantizers.codebook import CodebookQuantizer
from soke.tokenizer.quantizers.finite_scalar import FiniteScalarQuantizer
from soke.tokenizer.quantizers.levels import SPLIT, choose_levels
from soke.tokenizer.quantizers.residual import ResidualQuantizer

__all__ = [
    "PADDING",
    "QUANTIZERS",
    "CodebookQuantizer",
    "FiniteScalarQuantizer",
    "Quantized",
    "Quantizer",
    "ResidualQuantizer",
    "build_quantizer",
    "usage",
]

#: How the codes of a single codebook are learned, and whether unused ones are reset.
_CODEBOOKS = {
    "ema_reset": ("ema", True),
    "ema": ("ema", False),
    "reset": ("gradient", True),
    "orig": ("gradient", False),
}
QUANTIZERS = (*_CODEBOOKS, *SPLIT)


def build_quantizer(
    kind: str, codebook_size: int, code_dim: int, decay: float, levels: Sequence[int] | None = None
) -> Quantizer:
    """A quantizer of ``codebook_size`` codes of ``code_dim`` numbers.

    ``kind`` is one of `QUANTIZERS`; ``levels`` splits the tokens of ``fsq`` and ``rvq`` and is
    chosen where left out. Raises ``ValueError`` for an unknown kind, for levels that do not fit,
    and for a decay outside 0 <= decay < 1.
    """
    if kind not in QUANTIZERS:
        nearest = difflib.get_close_matches(str(kind), QUANTIZERS, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"unknown quantizer {kind!r}; did you mean {nearest!r}? Choose one of "
            f"{list(QUANTIZERS)}"
        )
    if not 0 <= decay < 1:
        raise ValueError(f"decay is {decay}; it must be at least 0 and below 1")
    if kind in _CODEBOOKS:
        if levels is not None:
            raise ValueError(f"the quantizer {kind!r} takes no levels; only {list(SPLIT)} do")
        learning, reset = _CODEBOOKS[kind]
        return CodebookQuantizer(codebook_size, code_dim, decay, learning, reset)
    chosen = choose_levels(kind, codebook_size, levels)
    if kind == "fsq":
        return FiniteScalarQuantizer(chosen, code_dim)
    return ResidualQuantizer(chosen, code_dim, decay)
