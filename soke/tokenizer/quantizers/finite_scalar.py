"""Finite scalar quantization (Mentzer et al. 2023), by vector-quantize-pytorch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from soke.tokenizer.quantizers.base import Quantizer
from soke.tokenizer.ranks import BatchShare


class FiniteScalarQuantizer(Quantizer):
    """A few numbers a step, each rounded to one of ``levels`` values.

    Nothing is learned but the two projections between code vectors and these numbers, so there is
    no commitment (it is 0), no start and nothing that ranks would have to agree on.
    """

    def __init__(self, levels: Sequence[int], code_dim: int) -> None:
        from vector_quantize_pytorch import FSQ  # its import takes seconds

        super().__init__(math.prod(levels), code_dim)
        self.levels = tuple(levels)
        # Symmetric rounding is the one that the library admits for levels of two values.
        self.fsq = FSQ(list(levels), dim=code_dim, preserve_symmetry=True)

    def nearest(self, vectors: Tensor) -> Tensor:
        with torch.autocast(vectors.device.type, enabled=False):
            rows = vectors.reshape(1, -1, self.code_dim).float()
            return self.fsq(rows)[1].long().view(vectors.shape[:-1])

    def lookup(self, tokens: Tensor) -> Tensor:
        with torch.autocast(tokens.device.type, enabled=False):
            codes = self.fsq.indices_to_codes(tokens.reshape(1, -1))
        return codes.view(*tokens.shape, self.code_dim)

    def assign(self, rows: Tensor, share: BatchShare) -> tuple[Tensor, Tensor, Tensor]:
        codes, tokens = self.fsq(rows[None])
        return codes[0], tokens[0].long(), rows.new_zeros(())
