"""Speed of the DTW scores against plain Python loops: ``python -m benchmarks.metrics``.

The plain way is one function call and one numpy expression a cell of the cost matrix, then a loop
over the cells. All numbers come from one process and one pair of clips, 400 x 393 frames of 21
points in float32, as a body model yields them; only the compile time is measured in a fresh one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

import numba
import numpy as np
from scipy.spatial.transform import Rotation

from soke.metrics.dtw import dtw_jpe, dtw_jpe_matrix, dtw_pa_jpe

FRAMES, OTHERS, POINTS = 400, 393, 21
PA_ROWS = 40  # the plain loops with alignment run over so many of the 400 rows
GALLERY, GALLERY_FRAMES = 40, 100

FIRST_CALL = """
import time
import numpy as np
from soke.metrics import dtw_jpe, dtw_pa_jpe
x = np.random.default_rng(0).normal(size=(5, 21, 3)).astype(np.float32)
for call in (dtw_jpe, dtw_pa_jpe):
    start = time.perf_counter()
    call(x, x)
    print(time.perf_counter() - start)
"""


def clip(rng, frames):
    """Points of a turning, wandering hand, ``[frames, 21, 3]`` in metres."""
    t = np.linspace(0, 6, frames)[:, None, None]
    shape = rng.normal(size=(POINTS, 3)) * [0.06, 0.03, 0.01]
    for frequency in (1, 2, 5, 9):
        wave = np.sin(frequency * t + rng.uniform(0, 6, size=(POINTS, 3)))
        shape = shape + 0.01 * wave * rng.normal(size=(POINTS, 3))
    turn = Rotation.from_rotvec(np.sin(t[:, 0] * rng.uniform(0.5, 3, 3))).as_matrix()
    return (shape @ turn + rng.normal(size=3)).astype(np.float32)


def plain_distance(a, b):
    a, b = a - a[:1], b - b[:1]
    return np.linalg.norm(a - b, axis=-1).mean()


def plain_aligned_distance(a, b):
    """The usual textbook function: scale, rotation and translation, then the moved points."""
    mean_a, mean_b = np.mean(a, axis=0), np.mean(b, axis=0)
    u, s, vh = np.linalg.svd(np.dot((a - mean_a).T, b - mean_b) / len(a))
    rotation = np.dot(vh.T, u.T)
    if np.linalg.det(rotation) < 0:
        s[-1], vh[-1] = -s[-1], -vh[-1]
        rotation = np.dot(vh.T, u.T)
    scale = np.sum(s) / np.var(a, axis=0).sum()
    translation = mean_b - scale * np.dot(rotation, mean_a)
    moved = scale * np.dot(a, rotation.T) + translation
    return np.linalg.norm(moved - b, axis=-1).mean()


def plain_dtw(x, y, distance):
    total = np.full((len(x) + 1, len(y) + 1), np.inf)
    total[0, 0] = 0
    for i in range(len(x)):
        for j in range(len(y)):
            total[i + 1, j + 1] = distance(x[i], y[j])
    for i in range(len(x)):
        for j in range(len(y)):
            total[i + 1, j + 1] += min(total[i, j], total[i, j + 1], total[i + 1, j])
    return total[-1, -1]


def seconds(call, repeats):
    """Shortest time of a call (others may use the machine), and its value."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        value = call()
        times.append(time.perf_counter() - start)
    return min(times), value


def report_first_calls():
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        runs = [
            subprocess.run(
                [sys.executable, "-c", FIRST_CALL],
                env=environment, check=True, capture_output=True, text=True,
            ).stdout.split()
            for _ in range(2)
        ]  # fmt: skip
    print("first call in a process, compiled / loaded from the cache:")
    for name, compiled, cached in zip(("dtw_jpe", "dtw_pa_jpe"), *runs):
        print(f"  {name:16}{float(compiled):6.1f} s / {float(cached):.2f} s")


def report(name, plain, fast, target, remark=""):
    ratio = plain / fast
    print(
        f"  {name:22}{plain:8.2f} s {1000 * fast:8.2f} ms {ratio:7.0f} x  "
        f"(target {target} x){remark}"
    )


def main():
    rng = np.random.default_rng(0)
    x, y = clip(rng, FRAMES), clip(rng, OTHERS)
    wide = x.astype(np.float64), y.astype(np.float64)
    print(f"{numba.get_num_threads()} threads; {FRAMES} x {OTHERS} frames, {POINTS} points")
    report_first_calls()
    for call in (dtw_jpe, dtw_pa_jpe):
        call(x, y), call(*wide)

    print("                           plain  compiled (best of 20 or 50)")
    plain, expected = seconds(lambda: plain_dtw(x, y, plain_distance), 1)
    fast, value = seconds(lambda: dtw_jpe(x, y), 50)
    assert abs(value - expected) < 1e-5 * expected
    report("dtw_jpe", plain, fast, 1500)
    fast, value = seconds(lambda: dtw_jpe(*wide), 50)
    report("dtw_jpe, float64", plain, fast, 1500)

    rows = wide[0][:PA_ROWS]
    plain, expected = seconds(lambda: plain_dtw(rows, wide[1], plain_aligned_distance), 1)
    assert abs(dtw_pa_jpe(rows, wide[1]) - expected) < 1e-9
    fast, _ = seconds(lambda: dtw_pa_jpe(x, y), 20)
    remark = f"; plain time of {PA_ROWS} of {FRAMES} rows, scaled"
    report("dtw_pa_jpe", plain * FRAMES / PA_ROWS, fast, 600, remark)

    clips = [clip(rng, GALLERY_FRAMES) for _ in range(GALLERY)]
    dtw_jpe_matrix(clips[:1], clips[:1])
    fast, _ = seconds(lambda: dtw_jpe_matrix(clips, clips), 5)
    single, _ = seconds(lambda: [[dtw_jpe(a, b) for b in clips] for a in clips], 1)
    print(
        f"  dtw_jpe_matrix, {GALLERY} x {GALLERY} clips of {GALLERY_FRAMES} frames: "
        f"{1000 * fast:.0f} ms; one call a pair {1000 * single:.0f} ms"
    )


if __name__ == "__main__":
    main()
