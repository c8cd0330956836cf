"""Dynamic time warping of joint positions: DTW-JPE and DTW-PA-JPE.

The cost of a pair of frames is the mean Euclidean distance over the wanted points, in metres,
after the roots were moved together (JPE) or after the best similarity transform (PA-JPE). Warping
(Sakoe and Chiba, IEEE TASSP 26(1), 1978, without window and slope weights) takes the steps (1, 0),
(0, 1) and (1, 1); the score is the accumulated cost in the last cell, not divided by the length of
the path, so it grows with the length of the clips.

The positions of two float32 clips are compared in float32 (scores then hold to about 1e-6 of their
value) and of others in float64. Alignment and accumulation are always float64.

Letters in shapes: T, U frames of the generated and the reference clip, J points, Q, R clips.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numba import get_num_threads, njit, prange, set_num_threads

from soke.metrics.alignment_cost import similarity_cost, unit_frames
from soke.metrics.positions import Array, as_positions, point_indices, to_numpy

#: Distances that are worth another thread (half a millisecond). Waking threads costs little on an
#: idle machine and milliseconds a call on a busy one.
_WORK_PER_THREAD = 1_500_000
#: One aligned distance takes about as long as this many plain ones.
_ALIGNED_WORK = 10


def dtw_jpe(
    generated: Array, reference: Array, points: Sequence[int] | None = None, root: int = 0
) -> float:
    """DTW over the joint position error of two clips.

    Args:
        generated: ``[T, J, 3]`` in metres.
        reference: ``[U, J, 3]`` in metres.
        points: the points of J that are scored; all by default.
        root: the point that is moved to the origin in every frame, before ``points`` are chosen.

    Returns:
        The accumulated cost in metres.

    Raises:
        ValueError: an array is not ``[frames, points, 3]``, is empty or not finite, the clips
            differ in J, or an index is outside 0..J-1.
    """
    reference = as_positions(reference, "reference")
    generated = as_positions(generated, "generated", reference, "reference")
    return float(_scores([generated], [reference], points, root)[0, 0])


def dtw_pa_jpe(generated: Array, reference: Array, points: Sequence[int] | None = None) -> float:
    """DTW over the joint position error after Procrustes alignment, frame pair by frame pair.

    The generated frame is moved by the similarity transform (rotation without reflection, scale,
    translation) that brings all J points nearest to the reference frame in the least-squares
    sense (Umeyama, PAMI 13(4), 1991); only then ``points`` are chosen. A generated frame whose
    points all coincide has no scale: it is put on the centroid of the reference frame. Where the
    best rotation is not unique one of the best is taken; for collinear points they all cost the
    same, for mirrored points with an axis of symmetry they may not. Frame costs agree with the
    singular value decomposition to 1e-10 of the size of the reference, to 1e-8 for points on a
    line but for 1e-8 of its length.

    Arguments, unit and errors are those of `dtw_jpe`, without a root.
    """
    return accumulate(aligned_pairwise_cost(generated, reference, points))


def dtw_jpe_matrix(
    queries: Sequence[Array],
    references: Sequence[Array],
    points: Sequence[int] | None = None,
    root: int = 0,
) -> np.ndarray:
    """`dtw_jpe` of every query with every reference, ``[Q, R]`` in metres.

    ``queries`` and ``references`` are clips ``[T_i, J, 3]`` of any lengths. Pairs run in parallel
    and no pairwise cost matrix is stored. Errors are those of `dtw_jpe`, and a ``ValueError`` for
    an empty list.
    """
    if not len(queries) or not len(references):
        raise ValueError(f"no clips: got {len(queries)} queries, {len(references)} references")
    first = as_positions(queries[0], "query 0")
    queries = [as_positions(clip, f"query {i}", first, "query 0") for i, clip in enumerate(queries)]
    references = [
        as_positions(clip, f"reference {i}", first, "query 0") for i, clip in enumerate(references)
    ]
    return _scores(queries, references, points, root)


def pairwise_cost(
    generated: Array, reference: Array, points: Sequence[int] | None = None, root: int = 0
) -> np.ndarray:
    """Frame costs ``[T, U]`` of `dtw_jpe`, in metres; arguments and errors are its own."""
    reference = as_positions(reference, "reference")
    generated = as_positions(generated, "generated", reference, "reference")
    x, y = _rooted_pair(generated, reference, points, root)
    return _run(_jpe_cost, x[0].size * y.shape[2], x, y)


def aligned_pairwise_cost(
    generated: Array, reference: Array, points: Sequence[int] | None = None
) -> np.ndarray:
    """Frame costs ``[T, U]`` of `dtw_pa_jpe`, in metres; arguments and errors are its own."""
    reference = as_positions(reference, "reference")
    generated = as_positions(generated, "generated", reference, "reference")
    points = point_indices(points, generated.shape[1])
    source, _ = unit_frames(generated.astype(np.float64))
    target, size = unit_frames(reference.astype(np.float64))
    work = _ALIGNED_WORK * source[..., 0].size * len(target)
    return _run(similarity_cost, work, _time_last(source), _time_last(target), size, points)


def accumulate(cost: Array) -> float:
    """Accumulated cost of the cheapest warping path through ``cost`` ``[T, U]``.

    Raises ``ValueError`` for a matrix that is empty, not two-dimensional or not finite.
    """
    cost = to_numpy(cost)
    if cost.ndim != 2 or not cost.size or not np.isfinite(cost).all():
        raise ValueError(f"expected a finite cost matrix [T, U], got shape {cost.shape}")
    return _accumulate(np.ascontiguousarray(cost))


def _scores(
    queries: list[np.ndarray],
    references: list[np.ndarray],
    points: Sequence[int] | None,
    root: int,
) -> np.ndarray:
    x, y = _rooted_pair(np.concatenate(queries), np.concatenate(references), points, root)
    x_offsets = np.cumsum([0, *(len(clip) for clip in queries)])
    y_offsets = np.cumsum([0, *(len(clip) for clip in references)])
    work = x[0].size * y.shape[2] if len(queries) * len(references) > 1 else 0
    return _run(_jpe_pairs, work, x, x_offsets, y, y_offsets)


def _rooted_pair(
    x: np.ndarray, y: np.ndarray, points: Sequence[int] | None, root: int
) -> tuple[np.ndarray, np.ndarray]:
    """Roots to the origin, wanted points, time last: ``[T, J, 3]`` to ``[3, points, T]``, twice."""
    count = x.shape[1]
    if not isinstance(root, int | np.integer) or not 0 <= root < count:
        raise ValueError(f"root: point indices run from 0 to {count - 1}, got {root!r}")
    points = point_indices(points, count)
    dtype = np.result_type(x, y)
    x, y = x.astype(dtype, copy=False), y.astype(dtype, copy=False)
    return tuple(_time_last(clip[:, points] - clip[:, root, None]) for clip in (x, y))


def _time_last(frames: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(frames.transpose(2, 1, 0))


def _run(kernel: Callable[..., np.ndarray], work: int, *arguments: np.ndarray) -> np.ndarray:
    """Call a parallel kernel on as many threads as ``work`` distances are worth."""
    allowed, threads = torch.get_num_threads(), get_num_threads()
    set_num_threads(max(1, min(threads, allowed, work // _WORK_PER_THREAD)))
    try:
        return kernel(*arguments)
    finally:
        set_num_threads(threads)
        # numba's first parallel call raises torch's number to all cores: they share one OpenMP.
        if torch.get_num_threads() != allowed:
            torch.set_num_threads(allowed)


# Kernels. They call only kernels of this file: numba's cache does not notice changes elsewhere.


@njit(cache=True, fastmath={"contract"})
def _cost_row(x: np.ndarray, i: int, y: np.ndarray, row: np.ndarray) -> None:
    """Cost of frame ``x[:, :, i]`` against all frames of ``y`` ``[3, J, U]``."""
    row[:] = 0.0
    for n in range(x.shape[1]):
        a, b, c = x[0, n, i], x[1, n, i], x[2, n, i]
        for j in range(row.shape[0]):
            u, v, w = a - y[0, n, j], b - y[1, n, j], c - y[2, n, j]
            row[j] += math.sqrt(u * u + v * v + w * w)
    inverse = x.dtype.type(1.0 / x.shape[1])
    for j in range(row.shape[0]):
        row[j] *= inverse


@njit(cache=True)
def _first_row(row: np.ndarray, total: np.ndarray) -> None:
    total[0] = row[0]
    for j in range(1, row.shape[0]):
        total[j] = total[j - 1] + row[j]


@njit(cache=True)
def _next_row(row: np.ndarray, total: np.ndarray) -> None:
    """Move ``total``, the accumulated costs of one row of the cost matrix, on by one row."""
    diagonal = total[0]
    left = diagonal + row[0]
    total[0] = left
    for j in range(1, row.shape[0]):
        up = total[j]
        # the minimum of the two old values first: only `left` is on the critical path
        best = diagonal if diagonal < up else up
        left = row[j] + (best if best < left else left)
        total[j] = left
        diagonal = up


@njit(cache=True)
def _accumulate(cost: np.ndarray) -> float:
    total = np.empty(cost.shape[1])
    _first_row(cost[0], total)
    for i in range(1, cost.shape[0]):
        _next_row(cost[i], total)
    return total[-1]


@njit(cache=True, parallel=True)
def _jpe_cost(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    cost = np.empty((x.shape[2], y.shape[2]), x.dtype)
    for i in prange(x.shape[2]):
        _cost_row(x, i, y, cost[i])
    return cost


@njit(cache=True, parallel=True)
def _jpe_pairs(
    x: np.ndarray, x_offsets: np.ndarray, y: np.ndarray, y_offsets: np.ndarray
) -> np.ndarray:
    """Clip q lies in frames ``offsets[q]`` to ``offsets[q + 1]`` of ``x`` (``y``) ``[3, J, T]``."""
    queries, references = len(x_offsets) - 1, len(y_offsets) - 1
    scores = np.empty((queries, references))
    for pair in prange(queries * references):
        q, r = pair // references, pair % references
        reference = y[:, :, y_offsets[r] : y_offsets[r + 1]].copy()  # contiguous, to vectorise
        row, total = np.empty(reference.shape[2], x.dtype), np.empty(reference.shape[2])
        for i in range(x_offsets[q], x_offsets[q + 1]):
            _cost_row(x, i, reference, row)
            if i == x_offsets[q]:
                _first_row(row, total)
            else:
                _next_row(row, total)
        scores[q, r] = total[-1]
    return scores
