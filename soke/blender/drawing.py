"""Draw folders of meshes with Blender, as images or videos."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from soke.blender.cycles import BlenderRenderer
from soke.blender.environment import FOLDER, blender_python
from soke.exports.ply import Meshes, read_ply
from soke.visualization import Camera, Frame, Panel, Renderer, render_clip, write_image, write_video

log = logging.getLogger(__name__)

SAMPLES = 32
PANEL_WIDTH = 480


def draw_meshes(
    folders: Sequence[str | Path],
    out: str | Path,
    *,
    view: str = "upper_body",
    close_ups: Sequence[str] = ("right_hand",),
    panel_width: int = PANEL_WIDTH,
    samples: int = SAMPLES,
    frames: Sequence[int] | None = None,
    font: str | None = None,
    environment: str | Path = FOLDER,
) -> list[Path]:
    """Draw folders of meshes side by side, with the text as caption.

    A clip becomes ``out``/NAME.mp4, where NAME is that of the first folder. ``frames`` (numbers in
    the first folder), or meshes that are not consecutive, become one image each, NAME-00012.png.
    For ``view``, ``close_ups``, ``panel_width`` and ``font`` see `soke.visualization.render_clip`;
    ``samples`` is the number per pixel. Returns the paths written.

    Raises ``ValueError`` for folders that cannot be read or do not match, a missing frame and an
    unknown view, and `soke.files.MissingAssetError` without Blender's environment.
    """
    blender_python(environment)  # before anything slow
    clips = [read_ply(folder) for folder in folders]
    _check_alike(folders, clips)
    places = _places(clips[0], frames)
    name = Path(folders[0]).name.removesuffix("-ply")
    stem = Path(out) / name
    with BlenderRenderer(clips[0].faces, samples=samples, environment=environment) as renderer:
        log.info(
            "drawing with Cycles of Blender %s, %d samples per pixel", renderer.version, samples
        )
        gate = _Gate(renderer)
        pages = render_clip(
            [_panel(folder, clip) for folder, clip in zip(folders, clips)],
            clips[0].faces,
            clips[0].regions,
            caption=str(clips[0].about.get("text") or ""),
            note=str(clips[0].about.get("body") or ""),
            view=view,
            close_ups=close_ups,
            panel_width=panel_width,
            fps=clips[0].fps,
            font=font,
            renderer=gate,
        )
        total = max(len(clip.frames) for clip in clips)
        if places is None:
            path = stem.with_name(f"{name}.mp4")
            write_video(path, track(pages, "drawing", total=total), clips[0].fps)
            return [path]
        ends = {len(clip.frames) for clip in clips}
        written = []
        for place, page in gate.only(pages, places, ends):
            path = stem.with_name(f"{name}-{clips[0].frames[place]:05d}.png")
            write_image(path, page)
            written.append(path)
        return written


class _Gate:
    """Passes only selected frames to a renderer; cameras still follow the whole clip."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer
        self.open = True

    def render(self, vertices: np.ndarray, camera: Camera, colors: np.ndarray) -> Frame:
        if self.open:
            return self.renderer.render(vertices, camera, colors)
        return np.zeros((camera.height, camera.width, 3), np.uint8)

    def only(
        self, pages: Iterator[Frame], places: Sequence[int], ends: set[int]
    ) -> Iterator[tuple[int, Frame]]:
        """The pages at ``places`` (ascending). The end of a clip is drawn too, since it is held."""
        last = max(places)
        for place in range(last + 1):
            self.open = place in places or place in ends
            page = next(pages)
            if place in places:
                yield place, page


def _panel(folder: str | Path, clip: Meshes) -> Panel:
    title = clip.about.get("title") or Path(folder).name.removesuffix("-ply")
    return Panel(str(title), clip.vertices, _tint(clip.about))


def _tint(about: dict[str, Any]) -> tuple[int, int, int] | None:
    tint = about.get("tint")
    if tint is None:
        return None
    red, green, blue = (int(value) for value in tint)
    return red, green, blue


def _check_alike(folders: Sequence[str | Path], clips: Sequence[Meshes]) -> None:
    for folder, clip in zip(folders, clips):
        if clip.faces.shape != clips[0].faces.shape or (clip.faces != clips[0].faces).any():
            raise ValueError(f"{folder} and {folders[0]} have different bodies")
        if clip.fps != clips[0].fps:
            raise ValueError(
                f"{folder} has {clip.fps:g} frames per second, {folders[0]} has {clips[0].fps:g}"
            )


def _places(clip: Meshes, frames: Sequence[int] | None) -> list[int] | None:
    """Positions in the clip of the frames to draw as images; None for a video of all."""
    if frames is not None:
        missing = sorted(set(frames) - set(clip.frames))
        if missing or not frames:
            raise ValueError(
                f"there is no mesh of frame {missing[0] if missing else '(none named)'}; there are "
                f"{len(clip.frames)}, from {clip.frames[0]} to {clip.frames[-1]}"
            )
        return sorted({clip.frames.index(frame) for frame in frames})
    first = clip.frames[0]
    last = clip.frames[-1]
    if len(clip.frames) > 1 and clip.frames == tuple(range(first, last + 1)):
        return None
    return list(range(len(clip.frames)))
