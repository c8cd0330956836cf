"""Rigid and similarity alignment of point sets, batched over any leading axes."""

from __future__ import annotations

import torch
from torch import Tensor

#: Points whose spread is below this fraction of their coordinates are one point plus rounding.
_ROUNDING = 1e-13


def root_align(points: Tensor, root: int) -> Tensor:
    """Move point ``root`` of ``points`` ``[..., J, 3]`` to the origin; the unit stays.

    Raises ``ValueError`` for another shape or a root outside 0..J-1.
    """
    _check(points, "points")
    if not 0 <= root < points.shape[-2]:
        raise ValueError(f"root: point indices run from 0 to {points.shape[-2] - 1}, got {root}")
    return points - points[..., root : root + 1, :]


def similarity_align(source: Tensor, target: Tensor) -> Tensor:
    """Move ``source`` ``[..., J, 3]`` onto ``target`` ``[..., J, 3]`` as well as a similarity can.

    The result is s R x + t with the scale s, proper rotation R (no reflection) and translation t
    that minimise the summed squared distances (Umeyama, "Least-squares estimation of
    transformation parameters between two point patterns", PAMI 13(4), 1991). Both in one unit,
    which is that of the result; dtype and device are those of ``source``, computed in float64.

    A source whose points coincide has no scale and is put on the centroid of the target. Where
    the best rotation is not unique (collinear points, some mirrored ones) one of the best is taken.

    Raises ``ValueError`` if a shape is not ``[..., J, 3]``, the two differ, or a value is not
    finite.
    """
    _check(source, "source")
    _check(target, "target")
    if source.shape != target.shape:
        raise ValueError(
            f"source and target need one shape, got {tuple(source.shape)} and {tuple(target.shape)}"
        )
    if not (source.isfinite().all() and target.isfinite().all()):
        raise ValueError("points must be finite, found NaN or infinite values")
    x, y = source.double(), target.to(source.device).double()
    centroid = y.mean(dim=-2, keepdim=True)
    x, y = _centred(x), _centred(y)
    u, singular, vh = torch.linalg.svd(y.mT @ x)  # [..., 3, 3]
    # The smallest singular direction is flipped where the best orthogonal map is a reflection.
    sign = torch.ones_like(singular)
    sign[..., 2] = (torch.linalg.det(u) * torch.linalg.det(vh)).sign()
    rotation = (u * sign[..., None, :]) @ vh
    variance = x.square().sum(dim=(-2, -1))
    scale = (singular * sign).sum(dim=-1) / variance.where(variance > 0, 1)
    return (scale[..., None, None] * (x @ rotation.mT) + centroid).to(source.dtype)


def _centred(points: Tensor) -> Tensor:
    """Centroid at the origin; exact zeros where all points coincide up to rounding."""
    centred = points - points.mean(dim=-2, keepdim=True)
    extent = centred.abs().amax(dim=(-2, -1), keepdim=True)
    size = points.abs().amax(dim=(-2, -1), keepdim=True)
    return centred.where(extent > _ROUNDING * size, 0)


def _check(points: Tensor, name: str) -> None:
    if points.ndim < 2 or points.shape[-1] != 3 or points.shape[-2] == 0:
        raise ValueError(f"{name}: expected points [..., J, 3], got shape {tuple(points.shape)}")
