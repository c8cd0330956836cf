"""Draw the bodies of a clip side by side, to compare systems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from soke.visualization.background import PAGE, PALE_INK, Ground, choose_ground, put
from soke.visualization.camera import Camera, Regions, cameras_of_views
from soke.visualization.captions import Color, text_strip
from soke.visualization.colors import TINTS, body_colors
from soke.visualization.lazy_frames import LazyClip
from soke.visualization.panel_layout import GAP, Place, place_views
from soke.visualization.rasterizer import Rasterizer
from soke.visualization.renderer import Frame, Lighting, Renderer

__all__ = ["GAP", "PAGE", "PALE_INK", "TINTS", "Panel", "body_colors", "render_clip"]


@dataclass(frozen=True)
class Panel:
    """One body of a clip.

    ``vertices`` ``[T, V, 3]`` are in metres, facing +z with +y up; a `LazyClip` computes them when
    needed. ``tint`` is the colour of the clothes (sRGB, 0 to 255); without one the panel's position
    decides.
    """

    title: str
    vertices: np.ndarray | LazyClip
    tint: Color | None = None


def render_clip(
    panels: Sequence[Panel],
    faces: np.ndarray,
    regions: Regions,
    *,
    caption: str = "",
    note: str = "",
    view: str = "upper_body",
    close_ups: Sequence[str] | None = None,
    panel_width: int = 480,
    fps: float = 25.0,
    font: str | None = None,
    background: str | Color | None = None,
    renderer: Renderer | None = None,
) -> Iterator[Frame]:
    """Draw bodies side by side, with titles above, close-ups below and a caption at the bottom.

    Args:
        panels: the bodies; all have the same V vertices, their lengths T may differ. A clip that
            has ended holds its last frame, paler and marked "end".
        faces: vertex indices ``[F, 3]``.
        regions: vertex indices by name, such as ``{"right_hand": ids, "head": ids}``.
        caption: the signed text.
        note: a smaller line below it.
        view: a name from `panel_layout.VIEWS`; "combined" is the upper body with both hands inset.
        close_ups: names from `camera.FRAMINGS`, drawn below the view; by default the right hand,
            or nothing below a combined view. All panels share one scale.
        panel_width: width of a panel in pixels; the view is square.
        fps: frames per second; it decides how smoothly close-ups follow.
        font: a font file or its name, for letters that the system's fonts lack.
        background: "transparent", or a colour (see `background.choose_ground`).
        renderer: draws instead of a `Rasterizer`, such as `soke.blender.BlenderRenderer`. It must
            be built for the same faces and background, and is not closed.

    Returns an iterator over frames ``[H, W, 3]`` (uint8, even sizes; ``[H, W, 4]`` if
    transparent), as many as the longest clip has. One frame at a time is in memory. Raises
    ``ValueError`` before the first frame for no panels, vertices of wrong or differing shape, NaN,
    an unknown view or background, and a missing region.
    """
    clips = _checked(panels)
    if panel_width < 64:
        raise ValueError(f"a panel of {panel_width} pixels is too narrow; use 64 or more")
    panel_width += panel_width % 2
    places = place_views(view, close_ups, panel_width, regions)
    ground = choose_ground(background)
    views = [(place.name, place.width, place.height) for place in places]
    paths = cameras_of_views(views, clips, regions, fps)
    tints = [panel.tint or TINTS[i % len(TINTS)] for i, panel in enumerate(panels)]
    mark = text_strip("end", panel_width // 9, max(panel_width // 28, 8), padding=4, font=font)
    stages = [
        _Stage(
            clip,
            body_colors(clip.shape[1], regions, tint, faces),
            [(place, path[i]) for place, path in zip(places, paths)],
            mark,
            ground,
        )
        for i, (clip, tint) in enumerate(zip(clips, tints))
    ]
    heads = [_head(p.title, panel_width, tint, font, ground) for p, tint in zip(panels, tints)]
    foot = _foot(caption, note, panel_width, len(panels), font, ground)
    if renderer is not None:
        return _frames(stages, heads, foot, ground, renderer)
    own = Rasterizer(faces, lighting=Lighting(ground=ground.view))
    return _closing(own.close, _frames(stages, heads, foot, ground, own))


def _closing(close: Callable[[], None], frames: Iterator[Frame]) -> Iterator[Frame]:
    try:
        yield from frames
    finally:
        close()


class _CheckedClip:
    """The vertices of a panel, frame by frame; ``ValueError`` if one is not finite."""

    def __init__(self, panel: Panel) -> None:
        self.title = panel.title
        lazy = isinstance(panel.vertices, LazyClip)
        self.frames = panel.vertices if lazy else np.asarray(panel.vertices)
        self.shape = self.frames.shape

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, t: int) -> np.ndarray:
        vertices = self.frames[t]  # IndexError ends an iteration
        if not np.isfinite(vertices).all():
            raise ValueError(f"panel {self.title!r}: frame {t} contains NaN or infinity")
        return vertices


def _checked(panels: Sequence[Panel]) -> list[_CheckedClip]:
    if not panels:
        raise ValueError("there are no panels to draw")
    clips = [_CheckedClip(panel) for panel in panels]
    for clip in clips:
        if len(clip.shape) != 3 or clip.shape[2] != 3 or 0 in clip.shape:
            raise ValueError(f"panel {clip.title!r}: vertices are [T, V, 3], got {clip.shape}")
        if clip.shape[1] != clips[0].shape[1]:
            raise ValueError(
                f"panel {clip.title!r} has {clip.shape[1]} vertices, the first panel "
                f"{clips[0].shape[1]}: all panels must use the same body model"
            )
    return clips


def _text(
    size: int, width: int, text: str, font: str | None, color: Color, ground: Ground
) -> np.ndarray:
    size = max(size, 10)
    return text_strip(
        text, width, size, color=color, padding=size // 2, ground=ground.page, font=font
    )


def _head(title: str, width: int, tint: Color, font: str | None, ground: Ground) -> np.ndarray:
    """A title above a bar in the colour of the panel's body."""
    text = _text(width // 22, width, title, font, ground.ink, ground)
    bar = np.full((max(width // 100, 2), width, text.shape[2]), 255, np.uint8)
    bar[..., :3] = tint
    return np.concatenate([text, bar])


def _foot(
    caption: str, note: str, panel_width: int, panels: int, font: str | None, ground: Ground
) -> np.ndarray | None:
    """The lines of text below all panels; None if there are none."""
    width = panels * (panel_width + GAP) - GAP
    lines = ((caption, panel_width // 18, ground.ink), (note, panel_width // 30, ground.pale_ink))
    strips = [
        _text(size, width, text, font, color, ground) for text, size, color in lines if text.strip()
    ]
    return np.concatenate(strips) if strips else None


class _Stage:
    """Draws the frames of one panel, and holds the last one after the end."""

    def __init__(
        self,
        clip: _CheckedClip,
        colors: np.ndarray,
        views: list[tuple[Place, list[Camera]]],
        mark: np.ndarray,
        ground: Ground,
    ) -> None:
        self.clip = clip
        self.colors = colors
        self.views = views
        self.mark = mark
        self.ground = ground
        self._held: Frame | None = None
        height = max(place.top + place.height + place.rim for place, _ in views)
        self.height = height + height % 2
        self.width = max(place.left + place.width + place.rim for place, _ in views)

    def draw(self, t: int, renderer: Renderer) -> Frame:
        if t < len(self.clip):
            return self._draw(t, renderer)
        if self._held is None:
            self._held = self._pale(self._draw(len(self.clip) - 1, renderer))
            put(self._held, self.mark, GAP, self.width - GAP - self.mark.shape[1])
        return self._held

    def _pale(self, picture: Frame) -> Frame:
        if self.ground.view is None:
            picture[..., 3] //= 2
            return picture
        mixed = 0.5 * picture.astype(np.float32) + 0.5 * np.array(self.ground.view, np.float32)
        return mixed.round().astype(np.uint8)

    def _draw(self, t: int, renderer: Renderer) -> Frame:
        picture = self.ground.blank(self.height, self.width)
        for place, path in self.views:
            if place.rim:
                around = [size + 2 * place.rim for size in (place.height, place.width)]
                put(picture, self._rim(*around), place.top - place.rim, place.left - place.rim)
            put(picture, renderer.render(self.clip[t], path[t], self.colors), place.top, place.left)
        return picture

    def _rim(self, height: int, width: int) -> Frame:
        """The frame around an inset, in the pale text colour: it is visible on any background."""
        rim = np.empty((height, width, 3), np.uint8)
        rim[:] = self.ground.pale_ink
        return rim


def _frames(
    stages: list[_Stage],
    heads: list[np.ndarray],
    foot: np.ndarray | None,
    ground: Ground,
    renderer: Renderer,
) -> Iterator[Frame]:
    tallest = max(len(head) for head in heads)
    panel_width = stages[0].width
    foot_top = tallest + stages[0].height
    total = foot_top + (0 if foot is None else len(foot))
    page = ground.blank(total + total % 2, len(stages) * (panel_width + GAP) - GAP)
    for i, head in enumerate(heads):
        put(page, head, tallest - len(head), i * (panel_width + GAP))
    if foot is not None:
        put(page, foot, foot_top, 0)
    for t in range(max(len(stage.clip) for stage in stages)):
        frame = page.copy()
        for i, stage in enumerate(stages):
            put(frame, stage.draw(t, renderer), tallest, i * (panel_width + GAP))
        yield frame
