"""Rigid and similarity alignment of point sets, batched over any leading axes.

The best similarity s R x + t follows Umeyama, "Least-squares estimation of transformation
parameters between two point patterns", PAMI 13(4), 1991. On the CPU a compiled kernel fits one
frame at a time: the first pass over a frame collects the moments of both point sets, the second
applies the fit while the frame is still in the cache. Torch is used on other devices and where
gradients are needed.

Kernels that call each other stay in one file: numba's cache does not notice changes in other files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numba import get_num_threads, njit, prange, set_num_threads
from torch import Tensor

#: Points whose spread is below this fraction of their coordinates coincide up to rounding.
_ROUNDING = 1e-13
#: Points that torch aligns at once; this limits its float64 copies to about 150 MB.
_CHUNK_POINTS = 1 << 20
#: Points per thread of the kernel (about half a millisecond of work).
_POINTS_PER_THREAD = 100_000
#: Lets the compiler vectorise sums; infinities and NaN keep their meaning.
_FASTMATH = {"nsz", "arcp", "contract", "reassoc"}


def root_align(points: Tensor, root: int) -> Tensor:
    """Move point ``root`` of ``points`` ``[..., J, 3]`` to the origin; the unit stays.

    Raises ``ValueError`` for another shape or a root outside 0..J-1.
    """
    _check(points, "points")
    if not 0 <= root < points.shape[-2]:
        raise ValueError(f"root: point indices run from 0 to {points.shape[-2] - 1}, got {root}")
    return points - points[..., root : root + 1, :]


def similarity_align(source: Tensor, target: Tensor) -> Tensor:
    """Align ``source`` ``[..., J, 3]`` to ``target`` ``[..., J, 3]`` by the best similarity.

    The result is s R x + t with the scale s, proper rotation R (no reflection) and translation t
    that minimise the sum of squared distances. Both point sets and the result have one unit. The
    result has the dtype and device of ``source``; it is computed in float64.

    A source whose points coincide has no scale and moves to the centroid of the target. If the best
    rotation is not unique (collinear points, some mirrored ones), any of the best is used.

    Raises ``ValueError`` if a shape is not ``[..., J, 3]``, the two differ, or a value is not
    finite.
    """
    x, y = _pair(source, target)
    if _is_compiled(x, y):
        moved = _moved_by_kernel(x, y)
    else:
        moved = torch.cat([_moved_by_torch(*pair) for pair in _chunks(x, y)])
    _require_finite(moved[:, 0])
    return moved.view(source.shape).to(source.dtype)


def similarity_errors(
    source: Tensor, target: Tensor, points: Sequence[int] | None = None
) -> Tensor:
    """Mean distance ``[...]`` of ``source`` to ``target`` ``[..., J, 3]`` after `similarity_align`.

    The alignment uses all J points, the mean those with an index in ``points`` (default: all).
    The result is float64, in the unit of ``target``, on the device of ``source``. The aligned
    points are not stored. Raises ``ValueError`` as `similarity_align` does, and for indices outside
    0..J-1.
    """
    x, y = _pair(source, target)
    chosen = _indices(points, x.shape[1])
    if _is_compiled(x, y):
        errors = torch.from_numpy(_run(_mean_distances, x, y, chosen))
    else:
        errors = torch.cat([_errors_by_torch(a, b, chosen) for a, b in _chunks(x, y)])
    _require_finite(errors)
    return errors.view(source.shape[:-2])


def _check(points: Tensor, name: str) -> None:
    if points.ndim < 2 or points.shape[-1] != 3 or points.shape[-2] == 0:
        raise ValueError(f"{name}: expected points [..., J, 3], got shape {tuple(points.shape)}")


def _pair(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both as ``[N, J, 3]`` on one device, both float32 or both float64."""
    _check(source, "source")
    _check(target, "target")
    if source.shape != target.shape:
        raise ValueError(
            f"source and target differ in shape: {tuple(source.shape)} and {tuple(target.shape)}"
        )
    shape = (math.prod(source.shape[:-2]), *source.shape[-2:])
    x = source.reshape(shape)
    y = target.to(source.device).reshape(shape)
    return (x, y) if x.dtype == y.dtype == torch.float32 else (x.double(), y.double())


def _indices(points: Sequence[int] | None, count: int) -> np.ndarray:
    """The chosen indices as int64; empty means all."""
    if points is None:
        return np.empty(0, dtype=np.int64)
    chosen = np.asarray(points)
    if chosen.ndim != 1 or not chosen.size or not np.issubdtype(chosen.dtype, np.integer):
        raise ValueError(f"points: expected a list of point indices, got {points!r}")
    if chosen.min() < 0 or chosen.max() >= count:
        raise ValueError(f"points: indices run from 0 to {count - 1}, got {chosen.tolist()}")
    return chosen.astype(np.int64)


def _require_finite(result: Tensor) -> None:
    """Raise for NaN or infinity: any in a frame reaches the frame's result."""
    if not result.isfinite().all():
        raise ValueError("points must be finite, found NaN or infinite values")


def _is_compiled(x: Tensor, y: Tensor) -> bool:
    differentiated = torch.is_grad_enabled() and (x.requires_grad or y.requires_grad)
    return x.device.type == "cpu" and not differentiated


# Torch: on any device, with gradients.


def _chunks(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    frames = max(1, _CHUNK_POINTS // x.shape[1])
    return zip(x.split(frames), y.split(frames))


def _moved_by_torch(x: Tensor, y: Tensor) -> Tensor:
    """``x`` ``[N, J, 3]`` aligned on ``y``, in float64."""
    x = x.double()
    y = y.double()
    if not (x.isfinite().all() and y.isfinite().all()):
        return torch.full_like(x, torch.nan)
    centroid = y.mean(dim=-2, keepdim=True)
    x = _centred(x)
    y = _centred(y)
    u, singular, vh = torch.linalg.svd(y.mT @ x)  # [N, 3, 3]
    # If the best orthogonal map is a reflection, the smallest singular direction is flipped.
    sign = torch.ones_like(singular)
    sign[..., 2] = (torch.linalg.det(u) * torch.linalg.det(vh)).sign()
    rotation = (u * sign[..., None, :]) @ vh
    variance = x.square().sum(dim=(-2, -1))
    scale = (singular * sign).sum(dim=-1) / variance.where(variance > 0, 1)
    return scale[..., None, None] * (x @ rotation.mT) + centroid


def _centred(points: Tensor) -> Tensor:
    """Centroid at the origin; exact zeros where all points coincide up to rounding."""
    centred = points - points.mean(dim=-2, keepdim=True)
    extent = centred.abs().amax(dim=(-2, -1), keepdim=True)
    size = points.abs().amax(dim=(-2, -1), keepdim=True)
    return centred.where(extent > _ROUNDING * size, 0)


def _errors_by_torch(x: Tensor, y: Tensor, chosen: np.ndarray) -> Tensor:
    distances = (_moved_by_torch(x, y) - y).norm(dim=-1)
    if len(chosen):
        distances = distances[:, torch.from_numpy(chosen).to(x.device)]
    return distances.mean(dim=-1)


# Compiled kernels. A frame is flat, x y z x y z ...: reading it as [J, 3] takes twice as long.


def _run(
    kernel: Callable[..., np.ndarray | None], x: Tensor, y: Tensor, *rest: np.ndarray
) -> np.ndarray | None:
    """Call a kernel on a number of threads that suits the points, at most torch's."""
    flat = [p.detach().reshape(len(p), 3 * p.shape[1]).contiguous().numpy() for p in (x, y)]
    allowed = torch.get_num_threads()
    threads = get_num_threads()
    worth = x[..., 0].numel() // _POINTS_PER_THREAD
    set_num_threads(max(1, min(threads, allowed, worth)))
    try:
        return kernel(*flat, *rest)
    finally:
        set_num_threads(threads)
        if torch.get_num_threads() != allowed:  # numba and torch may share one OpenMP
            torch.set_num_threads(allowed)


def _moved_by_kernel(x: Tensor, y: Tensor) -> Tensor:
    """``x`` ``[N, J, 3]`` aligned on ``y``, in the type of ``x``."""
    # numpy requests huge pages; touching new memory otherwise takes longer than the alignment.
    moved = np.empty(x.shape, np.float32 if x.dtype == torch.float32 else np.float64)
    _run(_move_all, x, y, moved.reshape(len(x), 3 * x.shape[1]))
    return torch.from_numpy(moved)


@njit(cache=True, fastmath=_FASTMATH, error_model="numpy")
def _moments(x: np.ndarray, y: np.ndarray, cross: np.ndarray) -> tuple[Any, ...]:
    """Sums over one frame: of y_i x_j in ``cross[i, j]``; returns those of x, y (3 + 3) and x^2.

    Both point sets are relative to their first points. Their centroids are then within the size
    of the set, so subtracting them later costs no accuracy, wherever the set is.
    """
    ox = np.float64(x[0])
    oy = np.float64(x[1])
    oz = np.float64(x[2])
    px = np.float64(y[0])
    py = np.float64(y[1])
    pz = np.float64(y[2])
    a = b = c = d = e = f = square = 0.0
    xx = xy = xz = yx = yy = yz = zx = zy = zz = 0.0
    for j in range(x.shape[0] // 3):
        u = x[3 * j] - ox
        v = x[3 * j + 1] - oy
        w = x[3 * j + 2] - oz
        p = y[3 * j] - px
        q = y[3 * j + 1] - py
        r = y[3 * j + 2] - pz
        a += u
        b += v
        c += w
        d += p
        e += q
        f += r
        square += u * u + v * v + w * w
        xx += p * u
        xy += p * v
        xz += p * w
        yx += q * u
        yy += q * v
        yz += q * w
        zx += r * u
        zy += r * v
        zz += r * w
    cross[0, 0], cross[0, 1], cross[0, 2] = xx, xy, xz
    cross[1, 0], cross[1, 1], cross[1, 2] = yx, yy, yz
    cross[2, 0], cross[2, 1], cross[2, 2] = zx, zy, zz
    return a, b, c, d, e, f, square


@njit(cache=True, error_model="numpy")
def _fit(x: np.ndarray, y: np.ndarray) -> tuple[Any, ...]:
    """The best similarity of one frame: ``m`` [3, 3] and ``t`` [3] of m (x_j - x_0) + t."""
    # Written for scalars: each array expression takes another second to compile.
    count = x.shape[0] // 3
    cross = np.empty((3, 3))
    m = np.zeros((3, 3))
    t = np.empty(3)
    a, b, c, d, e, f, square = _moments(x, y, cross)
    source = (a / count, b / count, c / count)
    target = (d / count, e / count, f / count)
    variance = square - count * (source[0] ** 2 + source[1] ** 2 + source[2] ** 2)
    total = variance
    place = 0.0
    for i in range(3):
        t[i] = y[i] + target[i]
        place += (x[i] + source[i]) ** 2
        for j in range(3):
            cross[i, j] -= count * target[i] * source[j]
            total += cross[i, j]
    if not math.isfinite(total):
        t[:] = np.nan
    elif variance > _ROUNDING**2 * count * place:
        u, singular, vh = np.linalg.svd(cross)
        # If the best orthogonal map is a reflection, the weakest direction is flipped.
        sign = 1.0 if _determinant(u) * _determinant(vh) > 0 else -1.0
        scale = (singular[0] + singular[1] + sign * singular[2]) / variance
        for i in range(3):
            for j in range(3):
                turned = u[i, 0] * vh[0, j] + u[i, 1] * vh[1, j] + sign * u[i, 2] * vh[2, j]
                m[i, j] = scale * turned
                t[i] -= m[i, j] * source[j]
    return m, t


@njit(cache=True, error_model="numpy")
def _determinant(a: np.ndarray) -> float:
    return (
        a[0, 0] * (a[1, 1] * a[2, 2] - a[1, 2] * a[2, 1])
        - a[0, 1] * (a[1, 0] * a[2, 2] - a[1, 2] * a[2, 0])
        + a[0, 2] * (a[1, 0] * a[2, 1] - a[1, 1] * a[2, 0])
    )


@njit(cache=True, fastmath=_FASTMATH, error_model="numpy")
def _mean_distance(
    x: np.ndarray, y: np.ndarray, origin: np.ndarray, m: np.ndarray, t: np.ndarray
) -> float:
    """Mean distance of m (x_j - origin) + t to y_j."""
    a = np.float64(origin[0])
    b = np.float64(origin[1])
    c = np.float64(origin[2])
    d = t[0]
    e = t[1]
    f = t[2]
    m00 = m[0, 0]
    m01 = m[0, 1]
    m02 = m[0, 2]
    m10 = m[1, 0]
    m11 = m[1, 1]
    m12 = m[1, 2]
    m20 = m[2, 0]
    m21 = m[2, 1]
    m22 = m[2, 2]
    total = 0.0
    count = x.shape[0] // 3
    for j in range(count):
        u = x[3 * j] - a
        v = x[3 * j + 1] - b
        w = x[3 * j + 2] - c
        p = m00 * u + m01 * v + m02 * w + (d - y[3 * j])
        q = m10 * u + m11 * v + m12 * w + (e - y[3 * j + 1])
        r = m20 * u + m21 * v + m22 * w + (f - y[3 * j + 2])
        total += math.sqrt(p * p + q * q + r * r)
    return total / count


@njit(cache=True, parallel=True, error_model="numpy")
def _mean_distances(x: np.ndarray, y: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mean distance of the chosen points (none: all) in each frame of ``x``, ``y`` [N, 3 J]."""
    errors = np.empty(len(x))
    for i in prange(len(x)):
        m, t = _fit(x[i], y[i])
        if len(chosen) == 0:
            errors[i] = _mean_distance(x[i], y[i], x[i], m, t)
        else:
            errors[i] = _mean_distance(_taken(x[i], chosen), _taken(y[i], chosen), x[i], m, t)
    return errors


@njit(cache=True)
def _taken(frame: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return frame.reshape((-1, 3))[chosen].reshape(-1)


@njit(cache=True, parallel=True, error_model="numpy")
def _move_all(x: np.ndarray, y: np.ndarray, moved: np.ndarray) -> None:
    """Align ``x`` to ``y`` and write the result to ``moved``, all [N, 3 J]."""
    for i in prange(len(x)):
        m, t = _fit(x[i], y[i])
        _move(x[i], m, t, moved[i])


@njit(cache=True, fastmath=_FASTMATH, error_model="numpy")
def _move(x: np.ndarray, m: np.ndarray, t: np.ndarray, moved: np.ndarray) -> None:
    a = np.float64(x[0])
    b = np.float64(x[1])
    c = np.float64(x[2])
    d = t[0]
    e = t[1]
    f = t[2]
    m00 = m[0, 0]
    m01 = m[0, 1]
    m02 = m[0, 2]
    m10 = m[1, 0]
    m11 = m[1, 1]
    m12 = m[1, 2]
    m20 = m[2, 0]
    m21 = m[2, 1]
    m22 = m[2, 2]
    for j in range(x.shape[0] // 3):
        u = x[3 * j] - a
        v = x[3 * j + 1] - b
        w = x[3 * j + 2] - c
        moved[3 * j] = m00 * u + m01 * v + m02 * w + d
        moved[3 * j + 1] = m10 * u + m11 * v + m12 * w + e
        moved[3 * j + 2] = m20 * u + m21 * v + m22 * w + f
