"""Frames a second of the rasteriser, alone and with the video encoder behind it.

    python -m benchmarks.rendering [--frames 60] [--size 512]

The body that ships with the package waves; every frame has new vertices. Frames a CPU-second say
what a core does while other programs share the machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from soke.visualization import Camera, Rasterizer, render_clip, write_video
from soke.visualization.scene import Panel

BODY = Path(__file__).parents[1] / "soke" / "body" / "assets" / "smplx" / "SMPLX_NEUTRAL.npz"
FPS = 25


def waving(frames):
    """Vertices [T, V, 3], faces and regions of a body whose every vertex moves."""
    with np.load(BODY) as file:
        rest, faces, weights = file["v_template"], file["f"], file["weights"]
    phase = np.linspace(0, 4 * np.pi, frames)[:, None]
    vertices = np.tile(rest, (frames, 1, 1)).astype(np.float32)
    vertices[..., 1] += 0.05 * np.sin(phase + 3 * rest[:, 0])
    vertices[..., 2] += 0.05 * np.sin(phase + 5 * rest[:, 1])
    hand = np.flatnonzero(np.isin(weights.argmax(axis=1), [21, *range(40, 55)]))
    return vertices, faces, {"right_hand": hand}


def measure(name, draw):
    frames, cpu, wall = 0, time.process_time(), time.perf_counter()
    for _ in draw:
        frames += 1
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"{name:48}{frames / wall:8.1f} frames/s {frames / cpu:8.1f} frames/CPU-s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", type=int, default=512)
    options = parser.parse_args()
    vertices, faces, regions = waving(options.frames)
    size = options.size
    camera = Camera((0.0, 0.0, 0.0), 0.9, size, size)
    colors = np.full(vertices.shape[1:], 0.6, np.float32)

    def draw(rasterizer):
        return (rasterizer.render(frame, camera, colors) for frame in vertices)

    rasterizer = Rasterizer(faces)
    next(draw(rasterizer))  # compiles
    print(
        f"{vertices.shape[1]} vertices, {len(faces)} faces, {size} x {size} pixels, "
        f"{rasterizer.threads} threads"
    )
    measure("plain", draw(Rasterizer(faces, supersampling=1, shadow=False)))
    measure("2x supersampling", draw(Rasterizer(faces, shadow=False)))
    measure("2x supersampling, shadow", draw(rasterizer))
    measure("2x supersampling, shadow, one thread", draw(Rasterizer(faces, threads=1)))
    panels = [Panel("reference", vertices), Panel("generated", vertices)]
    measure("two panels with close-ups and caption", render_clip(panels, faces, regions))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        start = time.perf_counter()
        count = write_video(path, draw(rasterizer), FPS)
        rate = count / (time.perf_counter() - start)
        print(f"{'2x supersampling, shadow, encoded':48}{rate:8.1f} frames/s")


if __name__ == "__main__":
    main()
