"""DTW errors of a generated clip against its reference, per point set."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from soke.body.points import COMBINED, POINT_SETS
from soke.metrics.dtw import dtw_jpe

#: ``DTW_JPE_body`` and so on, in metres, accumulated along the path.
DTW_NAMES = [f"DTW_JPE_{name}" for name in (*POINT_SETS, *COMBINED)]


def dtw_errors(
    generated: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Scores of one clip from its scored points, ``{point set: [T, J, 3]}`` in metres."""
    errors = {
        f"DTW_JPE_{points.name}": dtw_jpe(
            generated[points.name], reference[points.name], points=points.scored, root=0
        )
        for points in POINT_SETS.values()
    }
    for name, members in COMBINED.items():
        errors[f"DTW_JPE_{name}"] = float(np.mean([errors[f"DTW_JPE_{m}"] for m in members]))
    return errors
