"""The convolutional encoder and decoder of one part.

Every convolution sees its input multiplied by the mask, so padding frames count as the zeros that
a convolution sees beyond the end of a clip: a clip encodes the same alone and padded in a batch.
Layer sizes follow the method's description: code rate T/4, residual stacks of dilation 9, 3, 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Two stages of stride 2: four frames are one token.
FRAMES_PER_TOKEN = 4
DILATIONS = (9, 3, 1)


class MaskedConv1d(nn.Conv1d):
    """A convolution over time that never sees padding. Input [B, C, T], mask [B, 1, T]."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().forward(x * mask)


class ResidualBlock(nn.Module):
    """ReLU, dilated convolution, ReLU, pointwise convolution, plus the input."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilated = MaskedConv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.pointwise = MaskedConv1d(width, width, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x + self.pointwise(F.relu(self.dilated(F.relu(x), mask)), mask)


class ResidualStack(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(width, dilation) for dilation in DILATIONS)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
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

    def forward(self, motion: Tensor, mask: Tensor) -> Tensor:
        """``mask`` is boolean [B, T]; T and every clip's length are multiples of four."""
        mask = mask[:, None].to(motion)  # [B, 1, T]
        x = F.relu(self.input(motion.transpose(1, 2), mask))
        for down, stack in zip(self.down, self.stacks):
            x = down(x, mask)
            mask = mask[..., ::2]
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

    def forward(self, codes: Tensor, mask: Tensor) -> Tensor:
        """``mask`` is boolean [B, S]. Frames beyond a clip's end come out as zeros."""
        mask = mask[:, None].to(codes)  # [B, 1, S]
        x = F.relu(self.input(codes.transpose(1, 2), mask))
        for stack, up in zip(self.stacks, self.up):
            x = stack(x, mask)
            mask = torch.repeat_interleave(mask, 2, dim=-1)
            x = up(torch.repeat_interleave(x, 2, dim=-1), mask)
        x = F.relu(self.middle(x, mask))
        return (self.output(x, mask) * mask).transpose(1, 2)
