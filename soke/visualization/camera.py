"""Cameras that frame a body by its own bounds, and follow a part of it smoothly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

#: Vertex indices of the named regions of a body.
Regions = Mapping[str, np.ndarray]
#: Maps vertices [V, 3] to their bounding box, low and high [2, 3].
Look = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Camera:
    """A long-lens perspective camera that looks at ``target`` (metres).

    ``span`` metres are visible from top to bottom at the target, on ``height`` pixels. The camera
    is ``lens`` spans away: 4 is a field of view of 14 degrees. ``yaw`` and ``pitch`` (radians)
    orbit it around the target; at 0 it looks along -z. Surfaces more than ``fade`` metres behind
    the target gradually fade into the background; None disables fading. Raises ``ValueError`` for
    a size or span that is not positive.
    """

    target: tuple[float, float, float]
    span: float
    width: int
    height: int
    yaw: float = 0.0
    pitch: float = 0.0
    lens: float = 4.0
    fade: float | None = None

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a picture of {self.width} x {self.height} pixels cannot be drawn")
        if not self.span > 0:
            raise ValueError(f"a camera needs a span of more than 0 metres, got {self.span}")

    @property
    def distance(self) -> float:
        return self.lens * self.span

    @property
    def rotation(self) -> np.ndarray:
        """Rows are the picture's right, the picture's up and the direction to the camera."""
        sin_yaw = np.sin(self.yaw)
        cos_yaw = np.cos(self.yaw)
        sin_pitch = np.sin(self.pitch)
        cos_pitch = np.cos(self.pitch)
        back = np.array([sin_yaw * cos_pitch, sin_pitch, cos_yaw * cos_pitch])
        right = np.array([cos_yaw, 0.0, -sin_yaw])
        return np.stack([right, np.cross(back, right), back])  # [3, 3]

    @property
    def eye(self) -> np.ndarray:
        return np.asarray(self.target) + self.rotation[2] * self.distance

    def project(self, vertices: np.ndarray, scale: int = 1) -> np.ndarray:
        """Project points ``[V, 3]`` (metres) to ``[V, 3]``: x, y in pixels / ``scale``, 1 / depth.

        The top left corner of the picture is (0, 0). 1 / depth (1 / metre) is zero for points at
        or behind the camera; it is linear in the picture between the corners of a triangle.
        """
        seen = (np.asarray(vertices, np.float64) - self.eye) @ self.rotation.T
        depth = -seen[:, 2]
        nearness = np.where(depth > 1e-3, 1 / np.maximum(depth, 1e-3), 0)
        zoom = scale * self.height / self.span * self.distance * nearness
        x = scale * self.width / 2 + seen[:, 0] * zoom
        y = scale * self.height / 2 - seen[:, 1] * zoom
        return np.stack([x, y, nearness], axis=1)


@dataclass(frozen=True)
class Framing:
    """A row of the camera table.

    The camera follows ``regions``; without any it stands still and shows the whole body.
    ``share`` is the part of the body's height, from the top, that must be visible. ``margin``
    widens the view. ``follow`` is the standard deviation (seconds) of the Gaussian that smooths
    the camera's path. ``fade`` is that of `Camera`.
    """

    regions: tuple[str, ...] = ()
    share: float = 1.0
    margin: float = 1.1
    follow: float = 0.0
    fade: float | None = None


#: Share of the picture that the followed region may fill before the camera moves along with it.
#: Parts nearer than the target look up to a tenth larger.
BORDER = 0.88

#: A close-up or view is a row.
FRAMINGS: dict[str, Framing] = {
    "whole_body": Framing(),
    "upper_body": Framing(share=0.47, margin=1.06),
    "right_hand": Framing(regions=("right_hand",), margin=1.2, follow=0.12, fade=0.14),
    "left_hand": Framing(regions=("left_hand",), margin=1.2, follow=0.12, fade=0.14),
    "face": Framing(regions=("head",), margin=1.15, follow=0.4),
}


def framing(name: str, regions: Regions) -> Framing:
    """Return a row of `FRAMINGS`; ``ValueError`` if it or a region that it needs is missing."""
    if name not in FRAMINGS:
        raise ValueError(f"there is no view {name!r}; choose from {', '.join(FRAMINGS)}")
    for region in FRAMINGS[name].regions:
        if region not in regions or len(regions[region]) == 0:
            known = ", ".join(sorted(regions)) or "none"
            raise ValueError(f"view {name!r} needs the vertices of {region!r}; available: {known}")
    return FRAMINGS[name]


def cameras(
    name: str,
    bodies: Sequence[Sequence[np.ndarray]],
    regions: Regions,
    width: int,
    height: int,
    fps: float = 25.0,
) -> list[list[Camera]]:
    """One camera per frame and body, all at the same scale so that bodies can be compared.

    ``bodies`` are vertices ``[T, V, 3]`` (metres; T may differ), ``width`` and ``height`` the
    picture's size in pixels. Raises ``ValueError`` for a view that is not in `FRAMINGS` or whose
    region is not among ``regions``.
    """
    return cameras_of_views([(name, width, height)], bodies, regions, fps)[0]


def cameras_of_views(
    views: Sequence[tuple[str, int, int]],
    bodies: Sequence[Sequence[np.ndarray]],
    regions: Regions,
    fps: float = 25.0,
) -> list[list[list[Camera]]]:
    """`cameras` for several ``views``, each a name, a width and a height.

    Each frame is read once, in order, and not kept.
    """
    rows = [framing(name, regions) for name, _, _ in views]
    firsts = [body[0][:, 1] for body in bodies]
    top = max(y.max() for y in firsts)
    bottom = min(y.min() for y in firsts)
    looks = [_look(row, regions, float(top), float(bottom)) for row in rows]
    boxes = [
        np.array([[look(vertices) for look in looks] for vertices in body], np.float64)
        for body in bodies
    ]  # [T, views, 2, 3] each
    return [
        _aim(
            Camera((0.0, 0.0, 0.0), 1.0, width, height, fade=row.fade),
            row,
            [box[:, i] for box in boxes],
            fps,
        )
        for i, (row, (_, width, height)) in enumerate(zip(rows, views))
    ]


def _look(row: Framing, regions: Regions, top: float, bottom: float) -> Look:
    """A function from vertices [V, 3] to the box, low and high [2, 3], that a view must show."""
    if row.regions:
        chosen = np.unique(np.concatenate([regions[region] for region in row.regions]))
        return lambda vertices: _box(vertices[chosen])
    line = top - row.share * (top - bottom)

    def above(vertices: np.ndarray) -> np.ndarray:
        upper = vertices[vertices[:, 1] >= line]
        if not len(upper):  # nothing to show in this frame: NaN is ignored later
            return np.full((2, 3), np.nan)
        box = _box(upper)
        box[0, 1] = line
        return box

    return above


def _box(points: np.ndarray) -> np.ndarray:
    return np.stack([points.min(axis=0), points.max(axis=0)])


def _aim(view: Camera, row: Framing, boxes: Sequence[np.ndarray], fps: float) -> list[list[Camera]]:
    """Cameras like ``view`` for the boxes ``[T, 2, 3]`` of each body."""
    width = view.width
    height = view.height
    if not row.regions:
        everything = np.concatenate(boxes)
        low = np.nanmin(everything[:, 0], axis=0)
        high = np.nanmax(everything[:, 1], axis=0)
        centre = (low + high) / 2
        size = high - low
        span = row.margin * max(size[1], size[0] * height / width)
        still = replace(view, target=tuple(centre.tolist()), span=float(span))
        return [[still] * len(box) for box in boxes]
    sizes = np.concatenate([box[:, 1] - box[:, 0] for box in boxes])
    needed = np.maximum(sizes[:, 1], sizes[:, 0] * height / width)
    span = max(row.margin * float(needed.max()), 1e-3)
    paths = [
        _follow(box[:, 0], box[:, 1], row.follow * fps, span, span * width / height)
        for box in boxes
    ]
    return [
        [replace(view, target=tuple(point.tolist()), span=span) for point in path] for path in paths
    ]


def _follow(
    low: np.ndarray, high: np.ndarray, deviation: float, tall: float, wide: float
) -> np.ndarray:
    """A smooth path ``[T, 3]`` through the middles of boxes ``low`` to ``high`` ``[T, 3]``.

    Where a box would leave the ``wide`` x ``tall`` view, the path follows it more closely. A wider
    view would make a hand small in every frame.
    """
    middle = (low + high) / 2
    path = gaussian_filter1d(middle, deviation, axis=0, mode="nearest") if deviation > 0 else middle
    spare = (BORDER * np.array([wide, tall, np.inf]) - (high - low)) / 2
    return np.clip(path, middle - spare, middle + spare)
