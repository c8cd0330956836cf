"""Checks that stand between a caller's arrays of joint positions and the compiled kernels."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np
import torch

Array = np.ndarray | torch.Tensor

#: Points whose spread is below this fraction of their coordinates are one point plus rounding.
_ROUNDING = 1e-13


def as_positions(
    array: Array, name: str, other: np.ndarray | None = None, other_name: str = ""
) -> np.ndarray:
    """Check joint positions ``[T, J, 3]`` and return them as a numpy array.

    float32 stays float32, everything else becomes float64. Raises ``ValueError``, which calls the
    array ``name``, for another shape, no frames, no points, NaN or infinite values, and a J that
    differs from that of the (already checked) ``other``.
    """
    frames = to_numpy(array)
    if frames.ndim != 3 or frames.shape[-1] != 3 or not frames.size:
        raise ValueError(
            f"{name}: expected positions [frames, points, 3] with at least one frame and one "
            f"point, got shape {frames.shape}"
        )
    if not np.isfinite(frames).all():
        raise ValueError(f"{name}: positions must be finite, found NaN or infinite values")
    if other is not None and frames.shape[1] != other.shape[1]:
        raise ValueError(
            f"all clips need the same points: {name} has {frames.shape[1]}, {other_name} "
            f"{other.shape[1]}"
        )
    return frames


def as_pair(generated: Array, reference: Array) -> tuple[np.ndarray, np.ndarray]:
    """`as_positions` of two clips, under these names."""
    reference = as_positions(reference, "reference")
    return as_positions(generated, "generated", reference, "reference"), reference


def point_indices(points: Sequence[int] | None, count: int) -> np.ndarray:
    """Indices as int64, all of ``count`` for None; ``ValueError`` if empty or out of range."""
    if points is None:
        return np.arange(count)
    indices = np.asarray(points)
    if indices.ndim != 1 or not indices.size or not np.issubdtype(indices.dtype, np.integer):
        raise ValueError(f"points: expected a list of point indices, got {points!r}")
    if indices.min() < 0 or indices.max() >= count:
        raise ValueError(f"points: indices run from 0 to {count - 1}, got {indices.tolist()}")
    return indices.astype(np.int64)


def window_share(window: float | None) -> float:
    """A Sakoe-Chiba window as a share, 1 for None; ``ValueError`` if it is none from 0 to 1."""
    if window is None:
        return 1.0
    if isinstance(window, bool) or not isinstance(window, Real) or not 0 <= window <= 1:
        raise ValueError(
            f"window: expected a share of the clips' length from 0 to 1, or None for no window, "
            f"got {window!r}; for so many frames of clips of T frames give frames / (T - 1)"
        )
    return float(window)


def to_numpy(array: Array) -> np.ndarray:
    """As a numpy array on the CPU: float32 stays float32, everything else becomes float64."""
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu()
        array = (array if array.dtype == torch.float32 else array.double()).numpy()
    array = np.asarray(array)
    return array if array.dtype == np.float32 else array.astype(np.float64)


def unit_frames(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move the centroid of each frame ``[T, J, 3]`` to the origin and divide the frame by its size.

    Returns the unit frames ``[T, J, 3]`` and the sizes (root of the summed squares, metres)
    ``[T]``. A frame whose points coincide up to rounding becomes zeros of size 0.
    """
    centred = frames - frames.mean(axis=1, keepdims=True)
    extent = np.abs(centred).max(axis=(1, 2))
    spread = extent > _ROUNDING * np.abs(frames).max(axis=(1, 2))
    centred = np.where(spread[:, None, None], centred, 0.0)
    centred /= np.where(spread, extent, 1.0)[:, None, None]  # so that no square over- or underflows
    norm = np.sqrt((centred**2).sum(axis=(1, 2)))
    return centred / np.where(spread, norm, 1.0)[:, None, None], norm * extent


def time_last(frames: np.ndarray) -> np.ndarray:
    """``[T, J, 3]`` as contiguous ``[3, J, T]``."""
    return np.ascontiguousarray(frames.transpose(2, 1, 0))


def plain(array: np.ndarray) -> np.ndarray:
    """Contiguous and writable, the one kind of array that kernels are compiled for."""
    return np.require(array, requirements=["C", "W"])
