"""Compiled kernels of dynamic time warping: the band, the plain cost and the recurrence.

The recurrence ``total = cost + min(diagonal, up, left)`` is a chain of dependent additions along a
row. Four rows advance at once, each one column behind the row above it, so that four chains run
side by side. Every cell is still computed by the same two operations, to the same digits. Columns
outside the band (and the edges) hold infinite costs, so that no cell needs a special case.

All kernels that call one another stay in this file: numba's cache notices a changed file only for
the outermost function. Costs that come from elsewhere are handed over as a matrix.

Letters in shapes: T, U frames of the generated and the reference clip, J points.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

#: Rows that advance at once.
_ROWS = 4
#: Columns of infinite cost on either side of a row: the column before the first, in which the path
#: starts, and where later rows lag behind the first.
_EDGE = _ROWS


@njit(cache=True, nogil=True)
def band(frames: int, others: int, window: float) -> np.ndarray:
    """First column and end of the columns that a path may use, of every row: ``[T, 2]``.

    Cell (i, j) lies at the relative times i / (T - 1) and j / (U - 1) and may be used where they
    differ by at most ``window``. Along the longer clip the nearest frame of the shorter one may
    always be used, so that a path exists whatever the lengths. One frame meets all others.
    """
    columns = np.empty((frames, 2), np.int64)
    columns[:, 0], columns[:, 1] = 0, others
    if window >= 1.0 or frames == 1 or others == 1:
        return columns
    down = frames - 1
    across = others - 1
    # |i across - j down| <= reach, in whole numbers; the tiny factor makes up for rounding
    reach = math.floor(max(window * down * across * (1 + 1e-9), max(down, across) / 2))
    for i in range(frames):
        middle = i * across
        columns[i, 0] = max(0, -((reach - middle) // down))
        columns[i, 1] = min(others, (middle + reach) // down + 1)
    return columns


@njit(cache=True, nogil=True)
def walk(cost: np.ndarray, columns: np.ndarray, counted: bool) -> tuple:
    """Cost and steps of the cheapest path through ``cost`` ``[T, U]`` inside a `band`.

    Nothing outside the band is read. Steps are 0 unless they are ``counted``, which takes longer.
    """
    frames, others = cost.shape
    block, total, steps = _new_state(others, cost.dtype.type(0))
    for top in range(-(-frames % _ROWS), frames, _ROWS):
        first = columns[max(top, 0), 0]
        last = columns[top + _ROWS - 1, 1]
        for k in range(_ROWS):
            i = top + k
            _clear(block[k], first, last, i < 0)
            if i >= 0:
                for j in range(columns[i, 0], columns[i, 1]):
                    block[k, _EDGE + j] = cost[i, j]
        _advance(block, total, steps, first, last, -top, counted)
    return total[others + _EDGE - 1], steps[others + _EDGE - 1]


@njit(cache=True, nogil=True)
def walk_points(x: np.ndarray, y: np.ndarray, window: float, counted: bool) -> tuple:
    """`walk` over the mean distances of rooted points ``[3, J, T]`` and ``[3, J, U]``."""
    return _walk_points(x, 0, x.shape[2], y, window, counted)


@njit(cache=True, nogil=True)
def rooted(frames: np.ndarray, points: np.ndarray, root: int) -> np.ndarray:
    """Wanted points of ``[T, J, 3]`` relative to the root, time last: ``[3, points, T]``."""
    moved = np.empty((3, len(points), len(frames)), frames.dtype)
    for i in range(len(frames)):
        for n in range(len(points)):
            for a in range(3):
                moved[a, n, i] = frames[i, points[n], a] - frames[i, root, a]
    return moved


@njit(cache=True, parallel=True)
def walk_all_pairs(
    x: np.ndarray, x_offsets: np.ndarray, y: np.ndarray, y_offsets: np.ndarray, window: float
) -> np.ndarray:
    """Costs ``[Q, R]`` of the cheapest paths between all clips of ``x`` and all of ``y``.

    Clip q lies in frames ``offsets[q]`` to ``offsets[q + 1]`` of ``x`` (``y``) ``[3, J, T]``.
    """
    queries = len(x_offsets) - 1
    references = len(y_offsets) - 1
    scores = np.empty((queries, references))
    for pair in prange(queries * references):
        q = pair // references
        r = pair % references
        reference = y[:, :, y_offsets[r] : y_offsets[r + 1]].copy()  # contiguous, to vectorise
        frames = x_offsets[q + 1] - x_offsets[q]
        scores[q, r] = _walk_points(x, x_offsets[q], frames, reference, window, False)[0]
    return scores


@njit(cache=True, parallel=True)
def point_cost(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mean distances ``[T, U]`` of rooted points ``[3, J, T]`` and ``[3, J, U]``."""
    cost = np.empty((x.shape[2], y.shape[2]), x.dtype)
    for i in prange(x.shape[2]):
        _cost_row(x, i, y, cost[i], 0, y.shape[2])
    return cost


@njit(cache=True)
def _walk_points(
    x: np.ndarray, begin: int, frames: int, y: np.ndarray, window: float, counted: bool
) -> tuple:
    """Frames ``begin`` to ``begin + frames`` of ``x`` against all of ``y``, four rows at a time."""
    others = y.shape[2]
    columns = band(frames, others, window)
    block, total, steps = _new_state(others, x.dtype.type(0))
    for top in range(-(-frames % _ROWS), frames, _ROWS):
        first = columns[max(top, 0), 0]
        last = columns[top + _ROWS - 1, 1]
        for k in range(_ROWS):
            i = top + k
            _clear(block[k], first, last, i < 0)
            if i >= 0:
                _cost_row(x, begin + i, y, block[k][_EDGE:], columns[i, 0], columns[i, 1])
        _advance(block, total, steps, first, last, -top, counted)
    return total[others + _EDGE - 1], steps[others + _EDGE - 1]


@njit(cache=True, fastmath={"contract"})
def _cost_row(x: np.ndarray, i: int, y: np.ndarray, row: np.ndarray, first: int, last: int) -> None:
    """Cost of frame ``x[:, :, i]`` against frames ``first`` to ``last`` of ``y`` ``[3, J, U]``."""
    row = row[first:last]  # loops from 0 over slices: others are not vectorised
    row[:] = 0.0
    for n in range(x.shape[1]):
        a = x[0, n, i]
        b = x[1, n, i]
        c = x[2, n, i]
        p = y[0, n][first:last]
        q = y[1, n][first:last]
        r = y[2, n][first:last]
        for j in range(row.shape[0]):
            u = a - p[j]
            v = b - q[j]
            w = c - r[j]
            row[j] += math.sqrt(u * u + v * v + w * w)
    inverse = x.dtype.type(1.0 / x.shape[1])
    for j in range(row.shape[0]):
        row[j] *= inverse


@njit(cache=True)
def _new_state(others: int, zero: float) -> tuple:
    """Costs of four rows, accumulated costs and steps of the last one; all with their edges.

    The path starts in the corner before the first row and the first column.
    """
    block = np.full((_ROWS, others + 2 * _EDGE), zero)
    total = np.full(others + 2 * _EDGE, np.inf)
    total[_EDGE - 1] = 0.0
    return block, total, np.zeros(len(total), np.int64)


@njit(cache=True)
def _clear(row: np.ndarray, first: int, last: int, virtual: bool) -> None:
    """Infinite costs in columns ``first`` to ``last`` and their edges.

    A ``virtual`` row, which fills up the first four, costs nothing in the column before the first:
    it hands the start of the path down.
    """
    for j in range(first, last + 2 * _EDGE):
        row[j] = np.inf
    if virtual:
        row[_EDGE - 1] = 0.0


@njit(cache=True)
def _advance(
    block: np.ndarray,
    total: np.ndarray,
    steps: np.ndarray,
    first: int,
    last: int,
    virtual: int,
    counted: bool,
) -> None:
    """Move ``total``, the accumulated costs of one row, on by four rows.

    The first row goes from column ``first - 1``, the fourth from ``first - 4``, to the same end.
    """
    if counted:
        for k in range(max(0, virtual), _ROWS):
            _count_row(block[k], total, steps, first, last)
        return
    row_a = block[0][first + 3 :]
    row_b = block[1][first + 2 :]
    row_c = block[2][first + 1 :]
    row_d = block[3][first:]
    above, below = total[first + 3 :], total[first:]  # the same array, three columns apart
    diagonal = total[first + 2]
    old_a = old_b = old_c = a = b = c = d = np.inf  # last but one and last cells of the rows
    for j in range(last - first + _EDGE):
        # the minimum of the two older cells first: only the last cell is on the critical path
        best = old_c if old_c < c else c
        d = row_d[j] + (best if best < d else d)
        below[j] = d
        best = old_b if old_b < b else b
        old_c = c
        c = row_c[j] + (best if best < c else c)
        best = old_a if old_a < a else a
        old_b = b
        b = row_b[j] + (best if best < b else b)
        up = above[j]
        best = diagonal if diagonal < up else up
        old_a = a
        a = row_a[j] + (best if best < a else a)
        diagonal = up


@njit(cache=True)
def _count_row(
    row: np.ndarray, total: np.ndarray, steps: np.ndarray, first: int, last: int
) -> None:
    """Move ``total`` on by one row, and ``steps``, the fewest steps of a cheapest path."""
    diagonal = left = np.inf
    diagonal_steps = left_steps = 0
    for j in range(first + _EDGE - 1, last + _EDGE):
        up = total[j]
        up_steps = steps[j]
        best = diagonal
        count = diagonal_steps
        if up < best or (up == best and up_steps < count):
            best = up
            count = up_steps
        if left < best or (left == best and left_steps < count):
            best = left
            count = left_steps
        left = row[j] + best
        left_steps = count + 1
        total[j], steps[j] = left, left_steps
        diagonal = up
        diagonal_steps = up_steps
