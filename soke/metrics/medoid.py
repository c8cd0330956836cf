"""Of several recordings of one sign, the one that is most like the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from soke.body.points import POINT_SETS
from soke.metrics.dtw import dtw_jpe_matrix


def recording_distances(recordings: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    """Distances [R, R] between recordings, in metres, from points ``{point set: [T, J, 3]}``.

    The mean over the point sets of DTW-JPE, divided by the sum of both lengths (the symmetric
    normalisation of Sakoe and Chiba, IEEE TASSP 26(1), 1978): without it a short recording would be
    near to all others. The matrix is symmetric, and its diagonal 0.
    """
    frames = np.array([len(next(iter(points.values()))) for points in recordings])
    total = np.zeros((len(recordings), len(recordings)))
    for point_set in POINT_SETS.values():
        clips = [points[point_set.name] for points in recordings]
        total += dtw_jpe_matrix(clips, clips, points=point_set.scored, root=0)
    distances = total / len(POINT_SETS) / (frames[:, None] + frames)
    return (distances + distances.T) / 2


def medoid(distances: np.ndarray) -> int:
    """The row whose distances [R, R] to all others sum to the least; the first of equal ones.

    Of two recordings neither is nearer to the others: the first is taken.
    """
    return int(np.asarray(distances).sum(axis=1).argmin())
