"""Speed of the DTW scores against plain Python loops: ``python -m benchmarks.metrics``.

    python -m benchmarks.metrics [--check] [--only {first,pair,gallery,split} ...] [--clips 2300]

The plain way is one function call and one numpy expression a cell of the cost matrix, then a loop
over the cells. It runs over one pair of clips, 400 x 393 frames of 21 points, in the same process
as ours. The goals are for float32, as a body model yields positions; that float64 is exact is
checked as well. Then the scores of a whole test split, 2,300 clips of 200 frames: body (aligned
over 144 joints, 12 scored) and two hands of 21 points, both scores, accumulated and per step.
``--clips`` of them are scored and the time is scaled. Compile times are measured in a process of
their own with an empty cache, and kept out of everything else.

``--check`` exits with 1 when a goal is missed. About two minutes are needed.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import numba
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from benchmarks.measuring import Report, options_of
from soke.body.points import ALL_JOINTS, POINT_SETS
from soke.metrics.dtw import dtw_jpe, dtw_jpe_matrix, dtw_pa_jpe, warp_jpe, warp_pa_jpe
from soke.metrics.generation import generation_errors, generation_errors_of_clips

FRAMES, OTHERS, POINTS = 400, 393, 21
JPE_GOAL, PA_GOAL, EXACT = 1500, 600, 1e-9
REPEATS = 100  # others may use the machine: the best counts
GALLERY, GALLERY_FRAMES = 40, 100
SPLIT, SPLIT_FRAMES, SPLIT_SECONDS = 2300, 200, 180
DISTINCT = 23  # clips that are made up; the split repeats them

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


def clip(rng, frames, points=POINTS):
    """Points of a turning, wandering hand, ``[frames, points, 3]`` in metres."""
    t = np.linspace(0, 6, frames)[:, None, None]
    shape = rng.normal(size=(points, 3)) * [0.06, 0.03, 0.01]
    for frequency in (1, 2, 5, 9):
        wave = np.sin(frequency * t + rng.uniform(0, 6, size=(points, 3)))
        shape = shape + 0.01 * wave * rng.normal(size=(points, 3))
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


def measure_first_calls(report: Report, _) -> None:
    print("first call in a process")
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        runs = [
            subprocess.run(
                [sys.executable, "-c", FIRST_CALL],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            ).stdout.split()
            for _ in range(2)
        ]
    for name, compiled, cached in zip(("dtw_jpe", "dtw_pa_jpe"), *runs):
        report.row(f"{name}, compiled", f"{float(compiled):.1f} s")
        report.row(f"{name}, from the cache on disk", f"{float(cached):.2f} s")


def compare(report, name, plain, fast, goal=None):
    reached = None if goal is None else plain / fast >= goal
    times = f"{plain:.2f} s -> {1000 * fast:.2f} ms"
    report.row(name, times, plain / fast, None if goal is None else f">= {goal} x", reached)


def measure_pair(report: Report, _) -> None:
    """One pair of long clips against plain loops."""
    rng = np.random.default_rng(0)
    x, y = clip(rng, FRAMES), clip(rng, OTHERS)
    wide = x.astype(np.float64), y.astype(np.float64)
    print(f"{FRAMES} x {OTHERS} frames, {POINTS} points; plain -> ours (best of {REPEATS})")
    for name, plain, ours, counted, goal in (
        ("DTW-JPE", plain_distance, dtw_jpe, warp_jpe, JPE_GOAL),
        ("DTW-PA-JPE", plain_aligned_distance, dtw_pa_jpe, warp_pa_jpe, PA_GOAL),
    ):
        ours(x, y), ours(*wide), counted(x, y)  # compiled or read from the cache
        slow, expected = seconds(lambda plain=plain: plain_dtw(x, y, plain), 1)
        fast, value = seconds(lambda ours=ours: ours(x, y), REPEATS)
        assert abs(value - expected) < 1e-5 * expected
        compare(report, name, slow, fast, goal)
        slow_wide, expected = seconds(lambda plain=plain: plain_dtw(*wide, plain), 1)
        fast, value = seconds(lambda ours=ours: ours(*wide), REPEATS)
        compare(report, f"{name}, float64", slow_wide, fast)
        error = abs(value - expected)
        difference = f"{name}, float64, difference"
        report.row(difference, f"{error:.1e} m", None, f"< {EXACT} m", error < EXACT)
        fast, _ = seconds(lambda counted=counted: counted(x, y), REPEATS)
        compare(report, f"{name} and its steps", slow, fast)
        fast, _ = seconds(lambda ours=ours: ours(x, y, window=0.1), REPEATS)
        report.row(f"{name}, window 0.1", f"{1000 * fast:.2f} ms")


def measure_gallery(report: Report, _) -> None:
    """Every clip against every other, as ranks need it."""
    rng = np.random.default_rng(0)
    clips = [clip(rng, GALLERY_FRAMES) for _ in range(GALLERY)]
    dtw_jpe_matrix(clips[:1], clips[:1])
    matrix, _ = seconds(lambda: dtw_jpe_matrix(clips, clips), 5)
    single, _ = seconds(lambda: [[dtw_jpe(a, b) for b in clips] for a in clips], 1)
    print(f"{GALLERY} x {GALLERY} clips of {GALLERY_FRAMES} frames")
    report.row(
        "one call a pair -> a matrix",
        f"{1e3 * single:.0f} -> {1e3 * matrix:.0f} ms",
        single / matrix,
    )


def posed(rng):
    """Scored points of a made-up clip, the body's among all joints."""
    joints = clip(rng, SPLIT_FRAMES, 144)
    sets = {ALL_JOINTS: joints}
    for name, points in POINT_SETS.items():
        chosen = [0, *points.joints]
        sets[name] = joints[:, chosen] if points.joints else clip(rng, SPLIT_FRAMES)
    return sets


def measure_split(report: Report, count: int) -> None:
    """All scores of a test split; several clips at once."""
    rng = np.random.default_rng(0)
    clips = [(posed(rng), posed(rng)) for _ in range(DISTINCT)]
    errors = generation_errors(*clips[0])
    assert next(generation_errors_of_clips(clips)) == errors
    print(
        f"{count} of {SPLIT} clips of {SPLIT_FRAMES} frames: {', '.join(POINT_SETS)}; "
        f"{len(errors)} scores a clip; {torch.get_num_threads()} threads"
    )
    pairs = (clips[i % DISTINCT] for i in range(count))
    taken, scored = seconds(lambda: sum(1 for _ in generation_errors_of_clips(pairs)), 1)
    assert scored == count
    whole = taken * SPLIT / count
    report.row("a clip", f"{1000 * taken / count:.1f} ms")
    name = "the whole split" + ("" if count == SPLIT else ", scaled")
    report.row(name, f"{whole:.0f} s", None, f"< {SPLIT_SECONDS} s", whole < SPLIT_SECONDS)


MEASUREMENTS: dict[str, Callable[[Report, int], None]] = {
    "first": measure_first_calls,
    "pair": measure_pair,
    "gallery": measure_gallery,
    "split": measure_split,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options_of(__doc__, MEASUREMENTS)
    parser.add_argument(
        "--clips", type=int, default=SPLIT, help="so many of the split's clips are scored"
    )
    options = parser.parse_args(arguments)
    if options.clips < 1:
        parser.error(f"--clips: expected at least 1, got {options.clips}")
    threads, python = numba.get_num_threads(), platform.python_version()
    print(f"{threads} threads, Python {python}, numba {numba.__version__}")
    report = Report()
    for name in options.only:
        MEASUREMENTS[name](report, options.clips)
    return report.verdict(options.check)


if __name__ == "__main__":
    sys.exit(main())
