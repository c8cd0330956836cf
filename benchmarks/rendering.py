"""Speed and memory of drawing bodies and encoding them: ``python -m benchmarks.rendering``.

    python -m benchmarks.rendering [--check] [--only {frames,video,comparison,memory} ...]

The body that ships with the package waves; every frame has new vertices. Pictures are 512 x 512,
with 2 x 2 samples a pixel and the shadow of the key light. Both renderers take turns, and the best
of several short runs counts: other programs may share the machine. Frames a CPU-second say what a
core does meanwhile. The goals of frames are for two cores, and for OpenGL in Mesa's software; a
graphics card is measured in its place where there is one.

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
    choose_renderer,
    render_clip,
    write_frames,
    write_gif,
    write_video,
)
from soke.visualization.renderer import ClosableRenderer

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
        self, renderer: ClosableRenderer, frames: int, camera: Camera | None = None
    ) -> Iterator[Frame]:
        camera = camera or Camera((0.0, 0.0, 0.0), 0.9, SIZE, SIZE)
        for vertices in LazyClip(frames, self.pose):
            yield renderer.render(vertices, camera, self.colors)


def renderers(faces: np.ndarray, **options) -> dict[str, ClosableRenderer]:
    """The renderers that this machine has, by a name of theirs."""
    found: dict[str, ClosableRenderer] = {"CPU": Rasterizer(faces, **options)}
    try:
        found["OpenGL"] = choose_renderer(faces, "opengl", **options)
    except ValueError as error:
        print(f"  OpenGL is left out: {error}")
    return found


def best_of(calls: Sequence[Callable[[], object]], runs: int) -> list[tuple[float, float]]:
    """The least seconds, by the clock and of all threads, of each call; they take turns."""
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
    found = renderers(body.faces)
    goals = {"CPU": 20, "OpenGL": 12}
    print(f"one body of {len(body.rest)} vertices, {SIZE} x {SIZE}, antialiased, with shadow")
    calls = [lambda r=r: consume(body.drawn(r, RUN_FRAMES)) for r in found.values()]
    for (name, renderer), (wall, cpu) in zip(found.items(), best_of(calls, RUNS)):
        rate = RUN_FRAMES / wall
        label = f"{name}: {renderer.name}" if name == "OpenGL" else f"{name}, {cores()} cores"
        goal = goals[name]
        report.row(label, f"{rate:.1f} frames/s", None, f">= {goal}", rate >= goal)
        print(f"    {RUN_FRAMES / cpu:.1f} frames a CPU-second")
    if len(found) > 1:
        ours, other = (next(body.drawn(r, 1)).astype(int) for r in found.values())
        mean = np.abs(ours - other).mean()
        report.row("their mean difference", f"{mean:.3f} / 255", None, "< 1", mean < 1)
    for renderer in found.values():
        renderer.close()
    plainer = {
        "CPU, one thread": Rasterizer(body.faces, threads=1),
        "CPU, without shadow": Rasterizer(body.faces, shadow=False),
        "CPU, plain": Rasterizer(body.faces, supersampling=1, shadow=False),
        "CPU, transparent ground": Rasterizer(body.faces, lighting=Lighting(ground=None)),
    }
    calls = [lambda r=r: consume(body.drawn(r, RUN_FRAMES)) for r in plainer.values()]
    for name, (wall, _) in zip(plainer, best_of(calls, RUNS // 2)):
        report.row(name, f"{RUN_FRAMES / wall:.1f} frames/s")


def measure_video(report: Report) -> None:
    print("drawn and written, one body")
    body = WavingBody()
    found = renderers(body.faces)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip"
        ways = {
            f"{name}, MP4": lambda r=r: write_video(
                clip.with_suffix(".mp4"), body.drawn(r, VIDEO_FRAMES), FPS
            )
            for name, r in found.items()
        }
        cpu = found["CPU"]
        ways["CPU, GIF"] = lambda: write_gif(
            clip.with_suffix(".gif"), body.drawn(cpu, VIDEO_FRAMES), FPS
        )
        ways["CPU, PNG frames"] = lambda: write_frames(clip, body.drawn(cpu, VIDEO_FRAMES))
        for name, (wall, _) in zip(ways, best_of(list(ways.values()), VIDEO_RUNS)):
            rate = VIDEO_FRAMES / wall
            reached = rate >= 10 if name.endswith("MP4") else None
            report.row(name, f"{rate:.1f} frames/s", None, ">= 10", reached)
    for renderer in found.values():
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
    """MB that a process has needed at most when a comparison of so many frames is written."""
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
