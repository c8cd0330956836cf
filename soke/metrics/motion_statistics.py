"""How fast and how far a generated clip moves, against its reference.

DTW forgives a clip that stands still near the mean pose, and one that trembles about the right
poses: the first moves too little, the second too fast. Points are taken relative to the root of
their set, so that only the pose counts.

- Speed: mean over frames and points of the distance to the next frame, in metres a frame.
- Deviation: root mean square over frames and points of the distance to the clip's mean pose, in
  metres.

One frame moves neither: speed and deviation 0. A ratio to a reference that stands still is not
defined: NaN.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from soke.body.points import COMBINED, POINT_SETS, PointSet
from soke.metrics.positions import Array, as_pair, as_positions

#: In metres (a frame). Less than this is rounding of positions in float32: it stands still.
_STILL = 1e-6


def motion_ratios(
    generated: Mapping[str, Array], reference: Mapping[str, Array]
) -> dict[str, float]:
    """``speed_ratio_{set}`` and ``deviation_ratio_{set}`` of scored points ``{set: [T, J, 3]}``.

    1 is the reference's own, below 1 the generated clip moves too little. ``hands`` is the mean of
    both hands, NaN if one of them is.

    Raises:
        ValueError: a clip's points are not ``[frames, points, 3]``, are empty or not finite, or
            the clips differ in their points; the message names point set and side.
    """
    ratios: dict[str, dict[str, float]] = {"speed_ratio": {}, "deviation_ratio": {}}
    for points in POINT_SETS.values():
        try:
            sides = as_pair(generated[points.name], reference[points.name])
        except ValueError as error:
            raise ValueError(f"{points.name}: {error}") from error
        ours, theirs = (_moved(side, points) for side in sides)
        ratios["speed_ratio"][points.name] = _ratio(speed(ours), speed(theirs))
        ratios["deviation_ratio"][points.name] = _ratio(deviation(ours), deviation(theirs))
    for values in ratios.values():
        for name, members in COMBINED.items():
            values[name] = float(np.mean([values[member] for member in members]))
    return {f"{what}_{name}": value for what, of in ratios.items() for name, value in of.items()}


def speed(positions: Array) -> float:
    """Mean distance to the next frame, metres a frame, of points ``[T, J, 3]``; 0 for one frame.

    Raises ``ValueError`` for other shapes, no frames and values that are not finite.
    """
    frames = as_positions(positions, "positions").astype(np.float64)
    if len(frames) == 1:
        return 0.0
    return float(np.linalg.norm(np.diff(frames, axis=0), axis=-1).mean())


def deviation(positions: Array) -> float:
    """Root mean square distance to the mean pose, in metres, of points ``[T, J, 3]``.

    Raises ``ValueError`` for other shapes, no frames and values that are not finite.
    """
    frames = as_positions(positions, "positions").astype(np.float64)
    return float(np.sqrt(((frames - frames.mean(axis=0)) ** 2).sum(axis=-1).mean()))


def _moved(frames: np.ndarray, points: PointSet) -> np.ndarray:
    """The scored points relative to the root."""
    frames = frames.astype(np.float64)
    return (frames - frames[:, :1])[:, points.scored]


def _ratio(generated: float, reference: float) -> float:
    return generated / reference if reference > _STILL else float("nan")
