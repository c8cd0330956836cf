"""The convolutional encoder and decoder of one part.

Every convolution that looks sideways sees zeros in place of padding, just as it does beyond the end
of a clip: a clip encodes the same alone and padded in a batch. A mask of None says that there is
no padding. Layer sizes follow the method's description: code rate T/4, residual stacks of dilation
9, 3, 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soke.tokenizer.convolution import convolve, double, halve

#: Two stages of stride 2: four frames are one token.
FRAMES_PER_TOKEN = 4
DILATIONS = (9, 3, 1)
#: Steps that one convolution of a stack looks sideways, at most.
REACH_OF_STACK = max(DILATIONS)


class MaskedConv1d(nn.Conv1d):
    """A convolution over time that never sees padding. Input [B, C, T], mask [B, 1, T] or None."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, dilation: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, dilation=dilation)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return self.convolve(x if mask is None else x * mask)

    def convolve(self, x: Tensor) -> Tensor:
        return convolve(x, self.weight, self.bias, self.dilation[0])


class Halving(MaskedConv1d):
    """Stride 2, kernel 4, padding 1: [B, C, 2 T] to [B, C, T]."""

    def convolve(self, x: Tensor) -> Tensor:
        return halve(x, self.weight, self.bias)


class Doubling(MaskedConv1d):
    """Nearest upsampling by two, then kernel 3: [B, C, T] to [B, C, 2 T]."""

    def convolve(self, x: Tensor) -> Tensor:
        return double(x, self.weight, self.bias)


class ResidualBlock(nn.Module):
    """ReLU, dilated convolution, ReLU, pointwise convolution, plus the input."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilated = MaskedConv1d(width, width, dilation=dilation)
        self.pointwise = MaskedConv1d(width, width, 1)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        # In place where autograd does not need what is overwritten: memory costs time here.
        hidden = F.relu(self.dilated(F.relu(x), mask), inplace=True)
        return self.pointwise(hidden, None).add_(x)


class ResidualStack(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(width, dilation) for dilation in DILATIONS)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for block in self.blocks:
            x = block(x, mask)
        return x


class Encoder(nn.Module):
    """Features [B, T, F] to code vectors [B, T/4, D]."""

    def __init__(self, features: int, width: int, code_dim: int) -> None:
        super().__init__()
        self.input = MaskedConv1d(features, width)
        self.down = nn.ModuleList(Halving(width, width, 4) for _ in "ab")
        self.stacks = nn.ModuleList(ResidualStack(width) for _ in self.down)
        self.output = MaskedConv1d(width, code_dim)

    def forward(self, motion: Tensor, mask: Tensor | None) -> Tensor:
        """``mask`` is boolean [B, T]; T and every clip's length are multiples of four."""
        motion = motion.transpose(1, 2)
        steps = None
        if mask is not None:
            mask = mask[:, None]  # [B, 1, T]
            motion = motion.masked_fill(~mask, 0)  # padding may hold anything, even NaN
            mask = mask.to(motion)
            steps = mask[..., ::FRAMES_PER_TOKEN]
        # The first stack runs at twice the rate of tokens, so it reaches half as many of them.
        gaps = Gaps(steps, REACH_OF_STACK // 2 + 1)
        mask = gaps.narrow(mask, FRAMES_PER_TOKEN)
        x = F.relu(self.input(gaps.narrow(motion, FRAMES_PER_TOKEN), None), inplace=True)
        x = self.down[0](x, mask)
        mask = None if mask is None else mask[..., ::2]
        x = self.down[1](self.stacks[0](x, mask), mask)
        x = self.stacks[1](gaps.widen(x), steps)
        return self.output(x, steps).transpose(1, 2)


class Decoder(nn.Module):
    """Code vectors [B, S, D] to features [B, 4 S, F]."""

    def __init__(self, features: int, width: int, code_dim: int) -> None:
        super().__init__()
        self.input = MaskedConv1d(code_dim, width)
        self.stacks = nn.ModuleList(ResidualStack(width) for _ in "ab")
        self.up = nn.ModuleList(Doubling(width, width) for _ in self.stacks)
        self.middle = MaskedConv1d(width, width)
        self.output = MaskedConv1d(width, features)

    def forward(self, codes: Tensor, mask: Tensor | None) -> Tensor:
        """``mask`` is boolean [B, S]. Frames beyond a clip's end come out as zeros."""
        codes = codes.transpose(1, 2)
        if mask is not None:
            mask = mask[:, None].to(codes)  # [B, 1, S]
        x = F.relu(self.input(codes, mask), inplace=True)
        narrowed = []
        # What follows reaches half as far before a doubling, and one step in the end.
        for stack, up, reach in zip(self.stacks, self.up, (REACH_OF_STACK // 2 + 1, 1)):
            x = stack(x, mask)
            narrowed.append(Gaps(mask, reach))
            x = narrowed[-1].narrow(x)
            mask = narrowed[-1].narrow(mask)
            x = up(x, mask)
            mask = None if mask is None else mask.repeat_interleave(2, dim=-1)
        x = F.relu(self.middle(x, mask), inplace=True)
        x = self.output(x, mask)
        x = x if mask is None else x * mask
        for gaps, rate in zip(reversed(narrowed), (2, FRAMES_PER_TOKEN)):
            x = gaps.widen(x, rate)
        return x.transpose(1, 2)


class Gaps:
    """The empty steps between clips that lie one after another in a single row.

    There are as many as the widest convolution at the rate of tokens reaches. At higher rates those
    are more than any convolution reaches, and computing them would be in vain.
    """

    def __init__(self, mask: Tensor | None, reach: int) -> None:
        """``mask`` [B, 1, T] is 1 on real steps. ``reach`` steps behind a clip are kept."""
        self.kept = None
        self.size = 0
        if mask is None or len(mask) > 1:
            return
        near = F.max_pool1d(F.pad(mask, (reach, 0)), reach + 1, stride=1)
        kept = near[0, 0].nonzero()[:, 0]
        if len(kept) < mask.shape[-1]:
            self.kept = kept
            self.size = mask.shape[-1]

    def narrow(self, x: Tensor | None, rate: int = 1) -> Tensor | None:
        """What is kept of ``x`` [B, C, rate * T]."""
        return x if x is None or self.kept is None else x[..., self._places(rate)]

    def widen(self, x: Tensor, rate: int = 1) -> Tensor:
        """The inverse of `narrow`, zeros where nothing was kept."""
        if self.kept is None:
            return x
        wide = x.new_zeros(*x.shape[:2], self.size * rate)
        return wide.index_copy(-1, self._places(rate), x)

    def _places(self, rate: int) -> Tensor:
        steps = torch.arange(rate, device=self.kept.device)
        return (self.kept[:, None] * rate + steps).flatten()
