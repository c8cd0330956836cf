"""Speed and memory of drawing bodies and encoding them: ``python -m benchmarks.rendering``.

    python -m benchmarks.rendering [--check] [--only {frames,video,comparison,memory} ...]

The body that ships with the package waves; every frame has new vertices. Pictures are 512 x 512,
with 2 x 2 samples per pixel and the shadow of the key light. The best of several short runs counts,
since other programs may share the machine. Frames per CPU-second show the work of one core. The
goals are for two cores.

``--check`` exits with 1 when a goal is missed. It takes about 1 GB and two minutes.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.measuring import Report, apart, options_of
from soke.visualization import (
    Camera,
    Frame,
    LazyClip,
    Lighting,
    Panel,
    Rasterizer,
    render_clip,
    write_frames,
    write_gif,
    write_video,
)

BODY = Path(__file__).parents[1] / "soke" / "body" / "assets" / "smplx" / "SMPLX_NEUTRAL.npz"
SIZE, FPS = 512, 25
RUNS, RUN_FRAMES = 12, 8  # short runs, of which the best counts
VIDEO_RUNS, VIDEO_FRAMES = 5, 25
COMPARED, COMPARISON_RUNS = 100, 3  # frames of the comparison
FEW, MANY = 100, 600  # frames of the clips whose memory is compared: the encoder looks 50 ahead
MORE = 12  # MB that the peak may differ: 500 more frames, kept, would be 63 MB of vertices alone


class WavingBody:
    """The shipped body; each vertex of it moves."""

    def __init__(self) -> None:
        with np.load(BODY) as file:
            self.rest = file["v_template"].astype(np.float32)
            self.faces, weights = file["f"], file["weights"]
        joint = weights.argmax(axis=1)
        hands = {"left_hand": [20, *range(25, 40)], "right_hand": [21, *range(40, 55)]}
        self.regions = {name: np.flatnonzero(np.isin(joint, ids)) for name, ids in hands.items()}
        self.colors = np.full(self.rest.shape, 0.6, np.float32)

    def pose(self, rows: slice) -> np.ndarray:
        """Vertices [n, V, 3] of some frames."""
        phase = 0.25 * np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        vertices = np.tile(self.rest, (len(phase), 1, 1))
        vertices[..., 1] += 0.05 * np.sin(phase + 3 * self.rest[:, 0])
        vertices[..., 2] += 0.05 * np.sin(phase + 5 * self.rest[:, 1])
        return vertices

    def panel(self, title: str, frames: int) -> Panel:
        return Panel(title, LazyClip(frames, self.pose))

    def drawn(
        self, renderer: Rasterizer, frames: int, camera: Camera | None = None
    ) -> Iterator[Frame]:
        camera = camera or Camera((0.0, 0.0, 0.0), 0.9, SIZE, SIZE)
        for vertices in LazyClip(frames, self.pose):
            yield renderer.render(vertices, camera, self.colors)


def best_of(calls: Sequence[Callable[[], object]], runs: int) -> list[tuple[float, float]]:
    """The shortest wall time and CPU time (seconds) of each call; the calls take turns."""
    times = np.empty((runs + 1, len(calls), 2))
    for row in times:
        for i, call in enumerate(calls):
            cpu, wall = time.process_time(), time.perf_counter()
            call()
            row[i] = time.perf_counter() - wall, time.process_time() - cpu
    return [tuple(best) for best in times[1:].min(axis=0).tolist()]  # the first one compiles


def consume(frames: Iterable[Frame]) -> None:
    for _ in frames:
        pass


def measure_frames(report: Report) -> None:
    body = WavingBody()
    print(f"one body of {len(body.rest)} vertices, {SIZE} x {SIZE}, antialiased, with shadow")
    usual = Rasterizer(body.faces)
    ((wall, cpu),) = best_of([lambda: consume(body.drawn(usual, RUN_FRAMES))], RUNS)
    rate = RUN_FRAMES / wall
    report.row(f"{cores()} cores", f"{rate:.1f} frames/s", None, ">= 20", rate >= 20)
    print(f"    {RUN_FRAMES / cpu:.1f} frames per CPU-second")
    usual.close()
    plainer = {
        "one thread": Rasterizer(body.faces, threads=1),
        "without shadow": Rasterizer(body.faces, shadow=False),
        "plain": Rasterizer(body.faces, supersampling=1, shadow=False),
        "transparent background": Rasterizer(body.faces, lighting=Lighting(ground=None)),
    }
    calls = [lambda r=r: consume(body.drawn(r, RUN_FRAMES)) for r in plainer.values()]
    for name, (wall, _) in zip(plainer, best_of(calls, RUNS // 2)):
        report.row(name, f"{RUN_FRAMES / wall:.1f} frames/s")


def measure_video(report: Report) -> None:
    print("drawn and written, one body")
    body = WavingBody()
    renderer = Rasterizer(body.faces)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip"
        ways = {
            "MP4": lambda frames: write_video(clip.with_suffix(".mp4"), frames, FPS),
            "GIF": lambda frames: write_gif(clip.with_suffix(".gif"), frames, FPS),
            "PNG frames": lambda frames: write_frames(clip, frames),
        }
        calls = [lambda w=w: w(body.drawn(renderer, VIDEO_FRAMES)) for w in ways.values()]
        for name, (wall, _) in zip(ways, best_of(calls, VIDEO_RUNS)):
            rate = VIDEO_FRAMES / wall
            goal = (">= 10", rate >= 10) if name == "MP4" else ()
            report.row(name, f"{rate:.1f} frames/s", None, *goal)
    renderer.close()


def comparison(frames: int, path: Path, **options) -> None:
    body = WavingBody()
    titles = "reference", "generated", "another"
    panels = [body.panel(title, frames) for title in titles]
    pages = render_clip(
        panels, body.faces, body.regions, caption="A sentence that is signed.", fps=FPS, **options
    )
    write_video(path, pages, FPS)


def measure_comparison(report: Report) -> None:
    print(f"three bodies side by side, {COMPARED} frames, written as MP4")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        ways = {
            "upper body, right hand below": {},
            "combined": {"view": "combined"},
        }
        calls = [lambda o=o: comparison(COMPARED, path, **o) for o in ways.values()]
        comparison(2, path)  # compiles
        for name, (wall, _) in zip(ways, best_of(calls, COMPARISON_RUNS - 1)):
            report.row(name, f"{wall:.1f} s", None, "< 15 s", wall < 15)


def peak_after(frames: int) -> float:
    """Peak memory (MB) of a process when it writes a comparison of this many frames."""
    with tempfile.TemporaryDirectory() as folder:
        comparison(frames, Path(folder) / "clip.mp4", panel_width=128)
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure_memory(report: Report) -> None:
    print("peak memory of a process that writes a comparison")
    few, many = (apart(peak_after, frames, start="spawn") for frames in (FEW, MANY))
    for frames, peak in ((FEW, few), (MANY, many)):
        report.row(f"{frames} frames", f"{peak:.0f} MB")
    more = many - few
    report.row(f"{MANY} more than {FEW}", f"{more:.1f} MB", None, f"< {MORE} MB", more < MORE)


def cores() -> int:
    return len(os.sched_getaffinity(0))


MEASUREMENTS = {
    "frames": measure_frames,
    "video": measure_video,
    "comparison": measure_comparison,
    "memory": measure_memory,
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(__doc__, MEASUREMENTS).parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    report = Report()
    load = os.getloadavg()[0]
    print(
        f"{cores()} cores, load {load:.1f} from this and other programs, "
        f"Python {platform.python_version()}; the best of several short runs"
    )
    for name in options.only:
        MEASUREMENTS[name](report)
    return report.verdict(options.check)


if __name__ == "__main__":
    sys.exit(main())
