"""DTW errors of a generated clip against its reference, per point set.

Clips are scored points ``{point set: [T, J, 3]}`` in metres (`soke.body.BodyModel.scored_points`).
``DTW_JPE_body`` and so on are accumulated along the path, in metres; with ``_per_step`` they are
divided by the path's number of steps. For ``window`` see `soke.metrics.dtw`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count

import numpy as np
import torch

from soke.body.points import ALL_JOINTS, COMBINED, POINT_SETS
from soke.metrics.dtw import Warping, dtw_jpe, warp_jpe, warp_pa_jpe

Points = Mapping[str, np.ndarray]
Errors = dict[str, float]

_SETS = (*POINT_SETS, *COMBINED)
_JPE = "DTW_JPE_{}"
_KINDS = (_JPE, "DTW_PA_JPE_{}", "DTW_JPE_{}_per_step", "DTW_PA_JPE_{}_per_step")
#: The scores of `dtw_errors`, cheap enough to be watched in training.
DTW_NAMES = [_JPE.format(name) for name in _SETS]
#: The scores of `generation_errors`.
ALL_DTW_NAMES = [kind.format(name) for kind in _KINDS for name in _SETS]


def dtw_errors(generated: Points, reference: Points, window: float | None = None) -> Errors:
    """``DTW_NAMES`` of one clip, without alignment; errors are those of `generation_errors`."""
    errors = {
        _JPE.format(points.name): _score(
            dtw_jpe, generated, reference, points.name, points=points.scored, window=window
        )
        for points in POINT_SETS.values()
    }
    return _with_combined(errors, [_JPE])


def generation_errors(
    generated: Points, reference: Points, window: float | None = None, alone: bool = False
) -> Errors:
    """``ALL_DTW_NAMES`` of one clip: after root and after Procrustes alignment, also per step.

    The body is aligned over all joints, which ``scored_points(motion, all_joints=True)`` yields
    beside the point sets. With ``alone`` no other threads are woken for a long clip.

    Raises:
        ValueError: of a clip a point set is missing, empty, not finite or has other points than
            the other clip's, or the window is no share; the message names point set and side.
    """
    errors: Errors = {}
    for points in POINT_SETS.values():
        name = points.name
        scored = points.scored
        moved: Warping = _score(warp_jpe, generated, reference, name, points=scored, window=window)
        if points.joints:
            name = ALL_JOINTS
            scored = points.joints
        aligned: Warping = _score(
            warp_pa_jpe, generated, reference, name, points=scored, window=window, alone=alone
        )
        values = moved.cost, aligned.cost, moved.per_step, aligned.per_step
        errors |= {kind.format(points.name): value for kind, value in zip(_KINDS, values)}
    return _with_combined(errors, _KINDS)


def generation_errors_of_clips(
    pairs: Iterable[tuple[Points, Points]],
    window: float | None = None,
    names: Iterable[str] | None = None,
    threads: int | None = None,
) -> Iterator[Errors]:
    """`generation_errors` of many pairs (generated, reference), several at once, in their order.

    Each thread scores a clip of its own, which wastes less than sharing the frames of one clip,
    the more so on a busy machine. Pairs are drawn only a few ahead of what is yielded, so they can
    be made on the fly. ``names``, as many as pairs, are what errors call the clips ("clip 0" and
    so on by default); ``threads`` are those that torch may use by default.
    """
    threads = torch.get_num_threads() if threads is None else threads
    labels = (f"clip {i}" for i in count()) if names is None else names
    waiting: deque[Future[Errors]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for pair, label in zip(pairs, labels, strict=names is not None):
            waiting.append(pool.submit(_named_errors, label, *pair, window))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _named_errors(label: str, generated: Points, reference: Points, window: float | None) -> Errors:
    try:
        return generation_errors(generated, reference, window, alone=True)
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from error


def _score(
    score: Callable[..., float | Warping],
    generated: Points,
    reference: Points,
    name: str,
    **options: object,
) -> float | Warping:
    """Call a score of one point set; what it finds wrong is said of that set."""
    for side, clip in (("generated", generated), ("reference", reference)):
        if name not in clip:
            advice = "; give scored_points all_joints=True" if name == ALL_JOINTS else ""
            raise ValueError(f"{side}: no points {name!r}, only {sorted(clip)}{advice}")
    try:
        return score(generated[name], reference[name], **options)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _with_combined(errors: Errors, kinds: Sequence[str]) -> Errors:
    """Add the means of several point sets, and put all scores in the order of the names."""
    for name, members in COMBINED.items():
        for kind in kinds:
            errors[kind.format(name)] = float(np.mean([errors[kind.format(m)] for m in members]))
    return {kind.format(name): errors[kind.format(name)] for kind in kinds for name in _SETS}
