"""Clips of bodies side by side: what a person looks at to compare systems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, identity

from soke.visualization.camera import FRAMINGS, Camera, Regions, cameras, framing
from soke.visualization.captions import INK, Color, text_strip
from soke.visualization.rasterizer import Rasterizer
from soke.visualization.renderer import Frame, Lighting, Renderer

#: Clothes of the first, second, ... panel, sRGB.
TINTS: tuple[Color, ...] = (
    (92, 122, 168),
    (206, 132, 92),
    (96, 152, 118),
    (150, 112, 168),
    (190, 156, 78),
)
SKIN: Color = (238, 206, 184)
SKIN_TINT = 0.06  # share of the clothes' colour in the skin
PAGE: Color = (255, 255, 255)
PALE_INK: Color = (110, 114, 122)
HEM_ROUNDS = 5
GAP = 8  # pixels between views
CLOSE_UP_SHARE = 0.66  # height of a row of close-ups, as a share of the panel's width


@dataclass(frozen=True)
class Panel:
    """One body of a clip.

    ``vertices`` are ``[T, V, 3]`` in metres, facing +z with +y up. ``tint`` is the colour of its
    clothes (sRGB, 0 to 255); without one the panel's place among the panels decides.
    """

    title: str
    vertices: np.ndarray
    tint: Color | None = None


def body_colors(
    vertex_count: int, regions: Regions, tint: Color, faces: np.ndarray | None = None
) -> np.ndarray:
    """Colours ``[V, 3]`` (sRGB, 0 to 1): clothes in ``tint``, bare skin where close-ups look.

    A light hand before a darker chest is easier to read than one of the chest's colour. With
    ``faces`` [F, 3] the hem between the two is softened: regions end at whole triangles.
    """
    clothes, skin = np.array(tint) / 255, np.array(SKIN) / 255
    bare = np.zeros(vertex_count)
    for name in {name for row in FRAMINGS.values() for name in row.regions}:
        if name in regions:
            bare[regions[name]] = 1
    if faces is not None:
        bare = _softened(bare, faces)
    share = (1 - SKIN_TINT) * bare[:, None]
    return (share * skin + (1 - share) * clothes).astype(np.float32)


def _softened(values: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Values ``[V]`` averaged with their neighbours on the mesh, a few times over."""
    count = len(values)
    rows, columns = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    ones = np.ones(len(rows))
    edges = coo_matrix((ones, (rows, columns)), shape=(count, count)).tocsr()
    edges = edges + edges.T + identity(count, format="csr")
    degree = np.asarray(edges.sum(axis=1))[:, 0]
    for _ in range(HEM_ROUNDS):
        values = (edges @ values) / degree
    return values


def render_clip(
    panels: Sequence[Panel],
    faces: np.ndarray,
    regions: Regions,
    *,
    caption: str = "",
    note: str = "",
    view: str = "upper_body",
    close_ups: Sequence[str] = ("right_hand",),
    panel_width: int = 480,
    fps: float = 25.0,
    font: str | None = None,
    renderer: Renderer | None = None,
) -> Iterator[Frame]:
    """Draw bodies side by side, each with close-ups below, titles above and a caption at the foot.

    Args:
        panels: the bodies; all have the same V vertices, their lengths T may differ. A clip that
            is over holds its last frame, paler and marked "end".
        faces: ``[F, 3]`` vertex numbers.
        regions: vertex numbers by name, such as ``{"right_hand": ids, "head": ids}``.
        caption: the text that is signed.
        note: a smaller line below it.
        view, close_ups: names from `camera.FRAMINGS`. All panels share one scale.
        panel_width: width of a panel in pixels; the view is as tall as it is wide.
        fps: frames a second, for how smoothly close-ups follow.
        font: a font file or its name, for letters that the system's fonts lack.
        renderer: another renderer built for the same faces.

    Returns an iterator of as many frames ``[H, W, 3]`` (uint8, even sizes) as the longest clip
    has; one frame at a time is in memory. Raises ``ValueError`` at once, before the first frame,
    for no panels, vertices of wrong or differing shape, NaN, an unknown view or a missing region.
    """
    clips = _checked(panels)
    for name in (view, *close_ups):
        framing(name, regions)
    if panel_width < 64:
        raise ValueError(f"a panel of {panel_width} pixels is too narrow; take 64 or more")
    panel_width += panel_width % 2
    views = _place(view, close_ups, panel_width)
    paths = [cameras(name, clips, regions, w, h, fps) for name, _, _, w, h in views]
    tints = [panel.tint or TINTS[i % len(TINTS)] for i, panel in enumerate(panels)]
    stages = [
        _Stage(
            clip,
            body_colors(clip.shape[1], regions, tint, faces),
            [(top, left, path[i]) for (_, top, left, _, _), path in zip(views, paths)],
            text_strip("end", panel_width // 9, max(panel_width // 28, 8), padding=4, font=font),
        )
        for i, (clip, tint) in enumerate(zip(clips, tints))
    ]
    heads = [_head(p.title, panel_width, tint, font) for p, tint in zip(panels, tints)]
    width = len(panels) * (panel_width + GAP) - GAP
    lines = ((caption, panel_width // 18, INK), (note, panel_width // 30, PALE_INK))
    strips = [
        _text(size, width, text, font=font, color=color)
        for text, size, color in lines
        if text.strip()
    ]
    foot = np.concatenate(strips) if strips else None
    return _frames(stages, heads, foot, renderer or Rasterizer(faces))


def _checked(panels: Sequence[Panel]) -> list[np.ndarray]:
    if not panels:
        raise ValueError("there are no panels to draw")
    clips = [np.asarray(panel.vertices) for panel in panels]
    for panel, clip in zip(panels, clips):
        if clip.ndim != 3 or clip.shape[2] != 3 or clip.size == 0:
            raise ValueError(f"panel {panel.title!r}: vertices are [T, V, 3], got {clip.shape}")
        if clip.shape[1] != clips[0].shape[1]:
            raise ValueError(
                f"panel {panel.title!r} has {clip.shape[1]} vertices, the first panel "
                f"{clips[0].shape[1]}: they have to come from one body model"
            )
        for t, vertices in enumerate(clip):
            if not np.isfinite(vertices).all():
                raise ValueError(f"panel {panel.title!r}: frame {t} contains NaN or infinity")
    return clips


def _place(
    view: str, close_ups: Sequence[str], panel_width: int
) -> list[tuple[str, int, int, int, int]]:
    """Name, top, left, width and height of each view of a panel."""
    places = [(view, 0, 0, panel_width, panel_width)]
    if close_ups:
        height = round(CLOSE_UP_SHARE * panel_width)
        edges = np.linspace(0, panel_width + GAP, len(close_ups) + 1).round().astype(int).tolist()
        for name, left, right in zip(close_ups, edges, edges[1:]):
            places.append((name, panel_width + GAP, left, right - left - GAP, height))
    return places


def _text(size: int, width: int, text: str, *, font: str | None, color: Color = INK) -> np.ndarray:
    size = max(size, 10)
    return text_strip(text, width, size, color=color, padding=size // 2, ground=PAGE, font=font)


def _head(title: str, width: int, tint: Color, font: str | None) -> np.ndarray:
    """A title with a bar in the colour of the panel's body."""
    bar = np.empty((max(width // 100, 2), width, 3), np.uint8)
    bar[:] = tint
    return np.concatenate([_text(width // 22, width, title, font=font), bar])


class _Stage:
    """One panel: draws its frames, and holds the last one when they are over."""

    def __init__(
        self,
        clip: np.ndarray,
        colors: np.ndarray,
        views: list[tuple[int, int, list[Camera]]],
        mark: np.ndarray,
    ) -> None:
        self.clip, self.colors, self.views, self.mark = clip, colors, views, mark
        self._held: Frame | None = None
        height = max(top + path[0].height for top, _, path in views)
        width = max(left + path[0].width for _, left, path in views)
        self.shape = (height + height % 2, width, 3)

    def draw(self, t: int, renderer: Renderer) -> Frame:
        if t < len(self.clip):
            return self._draw(t, renderer)
        if self._held is None:
            last = self._draw(len(self.clip) - 1, renderer).astype(np.float32)
            pale = 0.5 * last + 0.5 * np.array(Lighting().ground, np.float32)
            self._held = pale.round().astype(np.uint8)
            height, width = self.mark.shape[:2]
            self._held[GAP : GAP + height, -GAP - width : -GAP] = self.mark
        return self._held

    def _draw(self, t: int, renderer: Renderer) -> Frame:
        picture = np.empty(self.shape, np.uint8)
        picture[:] = PAGE
        for top, left, path in self.views:
            camera = path[t]
            view = renderer.render(self.clip[t], camera, self.colors)
            picture[top : top + camera.height, left : left + camera.width] = view
        return picture


def _frames(
    stages: list[_Stage], heads: list[np.ndarray], foot: np.ndarray | None, renderer: Renderer
) -> Iterator[Frame]:
    tallest = max(len(head) for head in heads)
    height, panel_width, _ = stages[0].shape
    foot_top = tallest + height
    total = foot_top + (0 if foot is None else len(foot))
    page = np.empty((total + total % 2, len(stages) * (panel_width + GAP) - GAP, 3), np.uint8)
    page[:] = PAGE
    for i, head in enumerate(heads):
        left = i * (panel_width + GAP)
        page[tallest - len(head) : tallest, left : left + panel_width] = head
    if foot is not None:
        page[foot_top : foot_top + len(foot)] = foot
    for t in range(max(len(stage.clip) for stage in stages)):
        frame = page.copy()
        for i, stage in enumerate(stages):
            left = i * (panel_width + GAP)
            frame[tallest:foot_top, left : left + panel_width] = stage.draw(t, renderer)
        yield frame
