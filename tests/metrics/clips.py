"""Made-up clips and slow reference implementations that the tests of this folder share."""

from fractions import Fraction

import numpy as np
from scipy.spatial.transform import Rotation


def random_clip(rng, frames, points=21, dtype=np.float64):
    """Smooth, turning, wandering points of the size of a hand, ``[frames, points, 3]``."""
    time = np.linspace(0, 4, frames)[:, None, None]
    shape = rng.normal(size=(points, 3)) * [0.06, 0.03, 0.01]
    for frequency in (1, 2, 5):
        wave = np.sin(frequency * time + rng.uniform(0, 6, size=(points, 3)))
        shape = shape + wave * rng.normal(size=(points, 3)) * 0.01
    turn = Rotation.from_rotvec(np.sin(time[:, 0] * rng.uniform(0.5, 3, 3))).as_matrix()
    return (shape @ turn + rng.normal(size=3)).astype(dtype)


def textbook_totals(cost, allowed=None):
    total = np.full((len(cost) + 1, len(cost[0]) + 1), np.inf)
    total[0, 0] = 0
    for i, row in enumerate(cost):
        for j, value in enumerate(row):
            if allowed is None or allowed[i][j]:
                total[i + 1, j + 1] = value + min(total[i, j], total[i, j + 1], total[i + 1, j])
    return total


def textbook_dtw(cost, allowed=None):
    return textbook_totals(cost, allowed)[-1, -1]


def textbook_steps(cost, allowed=None):
    """Steps of the shortest of all ways back through the cheapest predecessors."""
    total = textbook_totals(cost, allowed)
    cells, steps = {(len(cost), len(cost[0]))}, 1
    while (1, 1) not in cells:
        before = set()
        for i, j in cells:
            around = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
            cheapest = min(total[cell] for cell in around)
            before |= {cell for cell in around if total[cell] == cheapest}
        cells, steps = before, steps + 1
    return steps


def textbook_band(frames, others, window):
    """Cells of relative times at most ``window`` apart, and the nearest to the diagonal."""
    if frames > others:
        return [list(row) for row in zip(*textbook_band(others, frames, window))]
    allowed = [[False] * others for _ in range(frames)]
    for j in range(others):
        at = Fraction(j * (frames - 1), max(1, others - 1))
        for i in range(frames):
            apart = abs(i - at)
            near = apart <= Fraction(window) * (frames - 1) or apart <= Fraction(1, 2)
            allowed[i][j] = near or frames == 1
    return allowed


def plain_jpe_cost(x, y, points=None, root=0):
    points = list(range(x.shape[1])) if points is None else points
    return [
        [np.mean([np.linalg.norm((a[p] - a[root]) - (b[p] - b[root])) for p in points]) for b in y]
        for a in x
    ]


def plain_aligned(a, b):
    """Best similarity transform of frame ``a`` onto ``b``, with scipy."""
    centred, target = a - a.mean(axis=0), b - b.mean(axis=0)
    rotation, _ = Rotation.align_vectors(target, centred)
    turned = rotation.apply(centred)
    return (turned * target).sum() / (centred**2).sum() * turned + b.mean(axis=0)


def plain_pa_cost(x, y, points=slice(None)):
    return [
        [np.linalg.norm((plain_aligned(a, b) - b)[points], axis=-1).mean() for b in y] for a in x
    ]
