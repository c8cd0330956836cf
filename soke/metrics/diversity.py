"""How different several samples of one text are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from soke.metrics.dtw import warp_jpe
from soke.metrics.positions import Array, as_positions


def diversity(
    samples: Sequence[Array],
    points: Sequence[int] | None = None,
    root: int = 0,
    window: float | None = None,
) -> float:
    """Mean over all pairs of samples of DTW-JPE per path step, in metres.

    Per step, because DTW-JPE grows with the length: long clips would count as diverse. 0 means that
    all samples are the same but for their timing.

    Args:
        samples: clips ``[T_i, J, 3]`` in metres, generated for the same text.
        points: the points of J that are compared; all by default.
        root: the point that is moved to the origin in every frame.
        window: see `soke.metrics.dtw`.

    Returns:
        The mean; NaN for one sample, which has nothing to differ from.

    Raises:
        ValueError: no samples, or the errors of `soke.metrics.dtw.dtw_jpe`, naming the sample.
    """
    if not len(samples):
        raise ValueError("diversity: expected samples of one text, got none")
    first = as_positions(samples[0], "sample 0")
    clips = [as_positions(clip, f"sample {i}", first, "sample 0") for i, clip in enumerate(samples)]
    distances = [
        warp_jpe(one, other, points, root, window).per_step for one, other in combinations(clips, 2)
    ]
    return float(np.mean(distances)) if distances else float("nan")
