"""Dynamic time warping of joint positions: DTW-JPE and DTW-PA-JPE.

The cost of a pair of frames is the mean Euclidean distance over the wanted points, in metres,
after the roots were moved together (JPE) or after the best similarity transform (PA-JPE). Warping
(Sakoe and Chiba, IEEE TASSP 26(1), 1978, without slope weights) takes the steps (1, 0), (0, 1) and
(1, 1); the score is the accumulated cost in the last cell, not divided by the length of the path,
so it grows with the length of the clips. `Warping.per_step` is divided by it.

``window`` narrows the paths to a Sakoe-Chiba band: frames i of T and j of U may be matched where
their relative times i / (T - 1) and j / (U - 1) differ by at most ``window``, a share from 0 to 1
of the clips' length. The band follows the slope of clips of unequal length, and along the longer
clip the nearest frame of the shorter one is always in it, so that every pair of clips has a path
(with window 0 nearly that of a uniform change of speed). For clips of equal length a band of r
frames to either side is ``window=r / (T - 1)``. None, the default, is no window.

Of several cheapest paths the one with the fewest steps counts. Two ways into a cell are equally
cheap where their accumulated costs are the same number in float64.

The positions of two float32 clips are compared in float32 (scores then hold to about 1e-6 of their
value) and of others in float64. Alignment and accumulation are always float64.

Letters in shapes: T, U frames of the generated and the reference clip, J points, Q, R clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from soke.metrics import warping
from soke.metrics.alignment_cost import similarity_cost
from soke.metrics.positions import (
    Array,
    as_pair,
    as_positions,
    plain,
    point_indices,
    time_last,
    to_numpy,
    unit_frames,
    window_share,
)
from soke.metrics.threads import run, run_in_blocks, threads_worth

#: One aligned distance takes about as long as this many plain ones.
_ALIGNED_WORK = 10


class Warping(NamedTuple):
    """The cheapest path: its accumulated ``cost`` in metres and its ``steps`` (pairs of frames)."""

    cost: float
    steps: int

    @property
    def per_step(self) -> float:
        """Mean cost of a pair of matched frames, in metres."""
        return self.cost / self.steps


def dtw_jpe(
    generated: Array,
    reference: Array,
    points: Sequence[int] | None = None,
    root: int = 0,
    window: float | None = None,
) -> float:
    """DTW over the joint position error of two clips.

    Args:
        generated: ``[T, J, 3]`` in metres.
        reference: ``[U, J, 3]`` in metres.
        points: the points of J that are scored; all by default.
        root: the point that is moved to the origin in every frame, before ``points`` are chosen.
        window: how far two matched frames may lie apart, a share of the clips' length from 0 to 1;
            None for no limit.

    Returns:
        The accumulated cost in metres.

    Raises:
        ValueError: an array is not ``[frames, points, 3]``, is empty or not finite, the clips
            differ in J, an index is outside 0..J-1, or the window is no share.
    """
    return _jpe_path(generated, reference, points, root, window, counted=False).cost


def warp_jpe(
    generated: Array,
    reference: Array,
    points: Sequence[int] | None = None,
    root: int = 0,
    window: float | None = None,
) -> Warping:
    """`dtw_jpe` with the number of steps; arguments and errors are its own."""
    return _jpe_path(generated, reference, points, root, window, counted=True)


def dtw_pa_jpe(
    generated: Array,
    reference: Array,
    points: Sequence[int] | None = None,
    window: float | None = None,
) -> float:
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
    cost, columns = _aligned_cost(generated, reference, points, window)
    return warping.walk(cost, columns, False)[0]


def warp_pa_jpe(
    generated: Array,
    reference: Array,
    points: Sequence[int] | None = None,
    window: float | None = None,
    alone: bool = False,
) -> Warping:
    """`dtw_pa_jpe` with the number of steps; the other arguments and errors are its own.

    A call may wake other threads for long clips. With ``alone`` it does not, so that several
    threads can each score clips of their own.
    """
    cost, columns = _aligned_cost(generated, reference, points, window, alone)
    return Warping(*warping.walk(cost, columns, True))


def dtw_jpe_matrix(
    queries: Sequence[Array],
    references: Sequence[Array],
    points: Sequence[int] | None = None,
    root: int = 0,
    window: float | None = None,
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
    x, y = _rooted_pair(np.concatenate(queries), np.concatenate(references), points, root)
    x_offsets = np.cumsum([0, *(len(clip) for clip in queries)])
    y_offsets = np.cumsum([0, *(len(clip) for clip in references)])
    work = x[0].size * y.shape[2]
    share = window_share(window)
    return run(warping.walk_all_pairs, work, x, x_offsets, y, y_offsets, share)


def pairwise_cost(
    generated: Array, reference: Array, points: Sequence[int] | None = None, root: int = 0
) -> np.ndarray:
    """Frame costs ``[T, U]`` of `dtw_jpe`, in metres; arguments and errors are its own."""
    x, y = as_pair(generated, reference)
    x, y = _rooted_pair(x, y, points, root)
    return run(warping.point_cost, x[0].size * y.shape[2], x, y)


def aligned_pairwise_cost(
    generated: Array, reference: Array, points: Sequence[int] | None = None
) -> np.ndarray:
    """Frame costs ``[T, U]`` of `dtw_pa_jpe`, in metres; arguments and errors are its own."""
    return _aligned_cost(generated, reference, points, None)[0]


def accumulate(cost: Array, window: float | None = None) -> float:
    """Accumulated cost of the cheapest warping path through ``cost`` ``[T, U]``.

    Raises ``ValueError`` for a matrix that is empty, not two-dimensional or not finite, and for a
    window that is no share.
    """
    return _path(cost, window, counted=False).cost


def warp(cost: Array, window: float | None = None) -> Warping:
    """`accumulate` with the number of steps; arguments and errors are its own."""
    return _path(cost, window, counted=True)


def _path(cost: Array, window: float | None, counted: bool) -> Warping:
    cost = to_numpy(cost)
    if cost.ndim != 2 or not cost.size or not np.isfinite(cost).all():
        raise ValueError(f"expected a finite cost matrix [T, U], got shape {cost.shape}")
    columns = warping.band(*cost.shape, window_share(window))
    return Warping(*warping.walk(plain(cost), columns, counted))


def _jpe_path(
    generated: Array,
    reference: Array,
    points: Sequence[int] | None,
    root: int,
    window: float | None,
    counted: bool,
) -> Warping:
    x, y = _rooted_pair(*as_pair(generated, reference), points, root)
    return Warping(*warping.walk_points(x, y, window_share(window), counted))


def _aligned_cost(
    generated: Array,
    reference: Array,
    points: Sequence[int] | None,
    window: float | None,
    alone: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Frame costs ``[T, U]`` and the columns ``[T, 2]`` of each row in which they are set."""
    x, y = as_pair(generated, reference)
    points = point_indices(points, x.shape[1])
    columns = warping.band(len(x), len(y), window_share(window))
    source, _ = unit_frames(x.astype(np.float64))
    target, size = unit_frames(y.astype(np.float64))
    cost = np.empty((len(x), len(y)))
    call = partial(
        similarity_cost, time_last(source), time_last(target), size, points, columns, cost
    )
    work = _ALIGNED_WORK * x.shape[1] * int((columns[:, 1] - columns[:, 0]).sum())
    run_in_blocks(call, len(x), 1 if alone else threads_worth(work))
    return cost, columns


def _rooted_pair(
    x: np.ndarray, y: np.ndarray, points: Sequence[int] | None, root: int
) -> tuple[np.ndarray, np.ndarray]:
    """Roots to the origin, wanted points, time last: ``[T, J, 3]`` to ``[3, points, T]``, twice."""
    count = x.shape[1]
    if not isinstance(root, int | np.integer) or not 0 <= root < count:
        raise ValueError(f"root: point indices run from 0 to {count - 1}, got {root!r}")
    points = point_indices(points, count)
    dtype = np.result_type(x, y)
    x, y = (plain(clip.astype(dtype, copy=False)) for clip in (x, y))
    return warping.rooted(x, points, root), warping.rooted(y, points, root)
