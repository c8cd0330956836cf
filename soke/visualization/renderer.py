"""The interface of a renderer, and the light that all renderers share.

`soke.visualization.Rasterizer` and `soke.blender.BlenderRenderer` implement it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from soke.visualization.camera import Camera

#: A picture: ``[height, width, 3]``, uint8, sRGB; ``[height, width, 4]`` on a transparent
#: background, where the last channel is the coverage and colours are not multiplied by it.
Frame = np.ndarray

SHADOW_MAP = 512  # texels per side
SHADOW_REACH = 0.8  # half the width of the shadow map, in spans of the camera
SHADOW_BIAS = 2.6  # texels along the normal, against shadow acne
SHADOW_SOFTNESS = 2.0  # texels over which the shade of a blocker becomes full


class Renderer(Protocol):
    """Draws one triangle mesh; its faces are passed to the constructor."""

    def render(self, vertices: np.ndarray, camera: Camera, colors: np.ndarray) -> Frame:
        """Draw ``vertices`` ``[V, 3]`` (metres) in ``colors`` ``[V, 3]`` (sRGB, 0 to 1).

        Returns a `Frame` ``[camera.height, camera.width, 3]``, or 4 channels if the `Lighting` has
        no ground.
        """
        ...


def _unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    length = (x * x + y * y + z * z) ** 0.5
    return x / length, y / length, z / length


@dataclass(frozen=True)
class Lighting:
    """Light for a body that faces +z with +y up. Directions point from the body to the light.

    Intensities are linear. Only the key light casts a shadow. ``sky`` and ``floor`` are ambient
    light from above and below. ``edge`` darkens surfaces that turn away from the viewer, which
    draws a soft outline around each finger in front of the palm. ``ground`` is the background
    colour, sRGB 0 to 255; None is transparent.
    """

    key_direction: tuple[float, float, float] = _unit(-0.55, 0.75, 0.8)
    key: float = 0.82
    fill_direction: tuple[float, float, float] = _unit(0.9, 0.15, 0.7)
    fill: float = 0.2
    sky: float = 0.3
    floor: float = 0.16
    edge: float = 0.42
    ground: tuple[int, int, int] | None = (238, 240, 243)

    @property
    def linear_ground(self) -> np.ndarray:
        """Linear colour [3] of the ground; black if transparent."""
        return ((np.array(self.ground or (0, 0, 0)) / 255) ** 2.2).astype(np.float32)

    @property
    def axes(self) -> np.ndarray:
        """Rows are the shadow map's right, its down and the direction to the key light [3, 3]."""
        back = np.array(self.key_direction)
        right = np.cross((0.0, 1.0, 0.0), back)
        right /= np.linalg.norm(right)
        return np.stack([right, -np.cross(back, right), back])  # [3, 3]


def shadow_texel(camera: Camera) -> float:
    """Width of a shadow-map texel in metres. The map is centred on the camera's target."""
    aspect = max(1.0, camera.width / camera.height)
    return 2 * SHADOW_REACH * aspect * camera.span / SHADOW_MAP


def checked_faces(faces: np.ndarray) -> np.ndarray:
    """Faces ``[F, 3]`` as int32; ``ValueError`` for another shape."""
    faces = np.ascontiguousarray(faces, dtype=np.int32)
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.size == 0:
        raise ValueError(f"faces must have the shape [F, 3], got {np.shape(faces)}")
    return faces


def checked_mesh(vertices: np.ndarray, colors: np.ndarray, count: int) -> np.ndarray:
    """Vertices ``[V, 3]`` as float32; the faces refer to the first ``count``.

    Raises ``ValueError`` if shapes do not match or a vertex is not finite.
    """
    vertices = np.ascontiguousarray(vertices, dtype=np.float32)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or len(vertices) < count:
        raise ValueError(
            f"the faces need vertices [V, 3] with V >= {count}, got {vertices.shape}: another body?"
        )
    if np.shape(colors) != vertices.shape:
        raise ValueError(f"colors are one RGB per vertex, {vertices.shape}, got {np.shape(colors)}")
    if not np.isfinite(vertices).all():
        raise ValueError("the vertices contain NaN or infinity")
    return vertices
