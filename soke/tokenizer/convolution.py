"""Convolutions over time, on a CPU in training as a few large matrix products.

A convolution is a sum over its taps: the input moved by some steps, times the tap's matrix. With
time as the outermost axis in memory every moved input is one block of rows, so each tap is one
matrix product without copies, and what a tap would read beyond the clip is left out instead of
multiplied by zeros. The CPU library's own convolution is slower than that where gradients are
wanted, not elsewhere. Shapes are those of `torch.nn.functional.conv1d`, only strides differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

#: Channels from which on products are large enough for several threads.
SHARED_WIDTH = 256


def convolve(x: Tensor, weight: Tensor, bias: Tensor, dilation: int = 1) -> Tensor:
    """Input ``[B, C, T]`` and weight ``[O, C, K]``, K odd, to ``[B, O, T]``."""
    half = weight.shape[-1] // 2
    if not as_products(x, weight):
        return F.conv1d(x, weight, bias, padding=half * dilation, dilation=dilation)
    return _taps(x, weight, bias, [(k - half) * dilation for k in range(weight.shape[-1])])


def halve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Stride 2 with kernel 4 and padding 1: ``[B, C, 2 T]`` to ``[B, O, T]``."""
    if not as_products(x, weight):
        return F.conv1d(x, weight, bias, stride=2, padding=1)
    # By way of the order in memory, which the gradient then has as well.
    pairs = x.permute(2, 0, 1).unflatten(0, (-1, 2)).unbind(1)
    even, odd = (steps.permute(1, 2, 0) for steps in pairs)
    of_odd, of_even = weight.unflatten(-1, (2, 2)).unbind(-1)
    none = torch.zeros_like(bias)
    return _taps(odd, of_odd, bias, [-1, 0]) + _taps(even, of_even, none, [0, 1])


def double(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Every step twice, then kernel 3 with padding 1: ``[B, C, T]`` to ``[B, O, 2 T]``.

    Two of three taps see the same step, so that two products do for three.
    """
    if not as_products(x, weight):
        return F.conv1d(x.repeat_interleave(2, dim=-1), weight, bias, padding=1)
    first, middle, last = weight.unbind(-1)
    even = _taps(x, torch.stack([first, middle + last], dim=-1), bias, [-1, 0])
    odd = _taps(x, torch.stack([first + middle, last], dim=-1), bias, [0, 1])
    both = torch.stack([even.permute(2, 0, 1), odd.permute(2, 0, 1)], dim=1)
    return both.flatten(0, 1).permute(1, 2, 0)


def as_products(x: Tensor, weight: Tensor) -> bool:
    """Whether matrix products are the faster way.

    Several threads lose more time meeting after each small product than they gain.
    """
    large = min(weight.shape[:2]) >= SHARED_WIDTH
    return (
        (large or torch.get_num_threads() == 1)
        and weight.requires_grad
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def _taps(x: Tensor, weight: Tensor, bias: Tensor, offsets: Sequence[int]) -> Tensor:
    return _Taps.apply(x, weight, bias, tuple(offsets))


class _Taps(Function):
    """``y[t] = bias + sum over k of weight[..., k] @ x[t + offsets[k]]``, one offset being 0.

    x [B, C, T] in any memory order, weight [O, C, K], y [B, O, T] with time outermost in memory.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, offsets: tuple[int, ...]
    ) -> Tensor:
        rows = _time_first(x)
        matrices = weight.permute(2, 0, 1).contiguous()  # [K, O, C]
        ctx.save_for_backward(rows, matrices)
        ctx.offsets = offsets
        ctx.shape = x.shape
        y, sums = _new(x, len(weight))
        here = offsets.index(0)
        torch.addmm(bias, rows, matrices[here].T, out=sums)
        for k, (to, source) in enumerate(_spans(x.shape, offsets)):
            if k != here:
                sums[to].addmm_(rows[source], matrices[k].T)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        rows, matrices = ctx.saved_tensors
        of_weight = torch.empty_like(matrices)
        of_x = None
        here = ctx.offsets.index(0)
        if ctx.needs_input_grad[0]:
            of_x, sums = _new(gradient, rows.shape[1])
        gradient = _time_first(gradient)
        if of_x is not None:
            torch.mm(gradient, matrices[here], out=sums)
        for k, (to, source) in enumerate(_spans(ctx.shape, ctx.offsets)):
            torch.mm(gradient[to].T, rows[source], out=of_weight[k])
            if of_x is not None and k != here:
                sums[source].addmm_(gradient[to], matrices[k])
        return of_x, of_weight.permute(1, 2, 0), gradient.sum(dim=0), None


def _time_first(x: Tensor) -> Tensor:
    """Rows ``[T * B, C]`` of ``[B, C, T]``, without a copy where time is outermost in memory."""
    return x.permute(2, 0, 1).contiguous().flatten(0, 1)


def _new(x: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """A new tensor ``[B, channels, T]`` and the same memory as rows ``[T * B, channels]``.

    The tensor itself is no view: what follows may work on it in place at no cost.
    """
    batch, _, steps = x.shape
    new = x.new_empty_strided((batch, channels, steps), (channels, 1, batch * channels))
    return new, new.permute(2, 0, 1).flatten(0, 1)


def _spans(shape: Sequence[int], offsets: Sequence[int]) -> list[tuple[slice, slice]]:
    """For every offset the rows that are written and those that they read; others are beyond."""
    batch, _, steps = shape
    pairs = []
    for offset in offsets:
        start = min(max(0, -offset), steps)
        stop = max(start, min(steps, steps - offset))
        to = slice(start * batch, stop * batch)
        pairs.append((to, slice((start + offset) * batch, (stop + offset) * batch)))
    return pairs
