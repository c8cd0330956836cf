"""Residual vector quantization: each codebook refines what the ones before it left over.

The stages are our own codebooks and not those of vector-quantize-pytorch: that library draws start
and replacement codes from the global random numbers, and decides when a layer is built whether
ranks exchange anything, which is before Lightning starts them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from soke.tokenizer.quantizers.base import Quantizer, straight_through
from soke.tokenizer.quantizers.codebook import CodebookQuantizer
from soke.tokenizer.ranks import BatchShare


class ResidualQuantizer(Quantizer):
    """Codebooks of ``levels`` codes in turn (Zeghidour et al. 2021, SoundStream, algorithm 1).

    The stages' choices are the digits of one token, the first stage's the most significant, so a
    part still has one token a step and ``prod(levels)`` of them. The commitment is the mean over
    the stages. Each stage is learned as in ``ema_reset``.
    """

    def __init__(self, levels: Sequence[int], code_dim: int, decay: float) -> None:
        super().__init__(math.prod(levels), code_dim)
        self.levels = tuple(levels)
        self.stages = nn.ModuleList(
            CodebookQuantizer(level, code_dim, decay, learning="ema", reset=True)
            for level in levels
        )

    def digits(self, tokens: Tensor) -> list[Tensor]:
        """Every stage's choice ``[...]`` from tokens ``[...]``."""
        digits = []
        for level in reversed(self.levels):
            digits.append(tokens % level)
            tokens = tokens // level
        return digits[::-1]

    def token(self, digits: Sequence[Tensor]) -> Tensor:
        """The inverse of `digits`."""
        token = torch.zeros_like(digits[0])
        for level, digit in zip(self.levels, digits):
            token = token * level + digit
        return token

    def nearest(self, vectors: Tensor) -> Tensor:
        digits = []
        residual = vectors.float()
        for stage in self.stages:
            digits.append(stage.nearest(residual))
            residual = residual - stage.lookup(digits[-1])
        return self.token(digits)

    def lookup(self, tokens: Tensor) -> Tensor:
        digits = self.digits(tokens)
        return sum(stage.lookup(digit) for stage, digit in zip(self.stages, digits))

    def assign(self, rows: Tensor, share: BatchShare) -> tuple[Tensor, Tensor, Tensor]:
        digits = []
        losses = []
        residual = rows
        for stage in self.stages:
            codes, digit, loss = stage.assign(residual, share)
            residual = residual - codes.detach()
            digits.append(digit)
            losses.append(loss)
        tokens = self.token(digits)
        codes = straight_through(rows, self.lookup(tokens))
        return codes, tokens, torch.stack(losses).mean()

    @torch.no_grad()
    def start(self, rows: Tensor, share: BatchShare) -> None:
        for stage in self.stages:
            if stage.started:
                return
            stage.start(rows, share)
            rows = rows - stage.lookup(stage.nearest(rows))

    @torch.no_grad()
    def learn(self, rows: Tensor, tokens: Tensor, counts: Tensor, share: BatchShare) -> None:
        counts = counts.view(self.levels)
        for i, (stage, digit) in enumerate(zip(self.stages, self.digits(tokens))):
            others = [axis for axis in range(len(self.levels)) if axis != i]
            own = counts.sum(dim=others) if others else counts
            left = rows - stage.lookup(digit)
            stage.learn(rows, digit, own, share)
            rows = left
