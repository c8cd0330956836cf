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

#: Two stages of stride 2: four frames are one token.
FRAMES_PER_TOKEN = 4
DILATIONS = (9, 3, 1)


class MaskedConv1d(nn.Conv1d):
    """A convolution over time that never sees padding. Input [B, C, T], mask [B, 1, T] or None."""

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return super().forward(x if mask is None else x * mask)


class ResidualBlock(nn.Module):
    """ReLU, dilated convolution, ReLU, pointwise convolution, plus the input."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilated = MaskedConv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.pointwise = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        # In place where autograd does not need what is overwritten: memory costs time here.
        hidden = F.relu(self.dilated(F.relu(x), mask), inplace=True)
        return self.pointwise(hidden).add_(x)


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
        self.input = MaskedConv1d(features, width, 3, padding=1)
        self.down = nn.ModuleList(MaskedConv1d(width, width, 4, stride=2, padding=1) for _ in "ab")
        self.stacks = nn.ModuleList(ResidualStack(width) for _ in self.down)
        self.output = MaskedConv1d(width, code_dim, 3, padding=1)

    def forward(self, motion: Tensor, mask: Tensor | None) -> Tensor:
        """``mask`` is boolean [B, T]; T and every clip's length are multiples of four."""
        motion = motion.transpose(1, 2)
        if mask is not None:
            mask = mask[:, None]  # [B, 1, T]
            motion = motion.masked_fill(~mask, 0)  # padding may hold anything, even NaN
        x = F.relu(self.input(motion, None), inplace=True)
        mask = None if mask is None else mask.to(x)
        for down, stack in zip(self.down, self.stacks):
            x = down(x, mask)
            mask = None if mask is None else mask[..., ::2]
            x = stack(x, mask)
        return self.output(x, mask).transpose(1, 2)


class Decoder(nn.Module):
    """Code vectors [B, S, D] to features [B, 4 S, F]."""

    def __init__(self, features: int, width: int, code_dim: int) -> None:
        super().__init__()
        self.input = MaskedConv1d(code_dim, width, 3, padding=1)
        self.stacks = nn.ModuleList(ResidualStack(width) for _ in "ab")
        self.up = nn.ModuleList(MaskedConv1d(width, width, 3, padding=1) for _ in self.stacks)
        self.middle = MaskedConv1d(width, width, 3, padding=1)
        self.output = MaskedConv1d(width, features, 3, padding=1)

    def forward(self, codes: Tensor, mask: Tensor | None) -> Tensor:
        """``mask`` is boolean [B, S]. Frames beyond a clip's end come out as zeros."""
        codes = codes.transpose(1, 2)
        if mask is not None:
            mask = mask[:, None].to(codes)  # [B, 1, S]
        x = F.relu(self.input(codes, mask), inplace=True)
        mask = None if mask is None else mask.to(x)
        for stack, up in zip(self.stacks, self.up):
            x = stack(x, mask)
            mask = None if mask is None else torch.repeat_interleave(mask, 2, dim=-1)
            x = up(torch.repeat_interleave(x, 2, dim=-1), mask)
        x = F.relu(self.middle(x, mask), inplace=True)
        x = self.output(x, mask)
        return (x if mask is None else x * mask).transpose(1, 2)
