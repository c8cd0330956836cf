"""Checks that stand between a caller's arrays of joint positions and the compiled kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

Array = np.ndarray | torch.Tensor


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


def to_numpy(array: Array) -> np.ndarray:
    """As a numpy array on the CPU: float32 stays float32, everything else becomes float64."""
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu()
        array = (array if array.dtype == torch.float32 else array.double()).numpy()
    array = np.asarray(array)
    return array if array.dtype == np.float32 else array.astype(np.float64)
