"""What every renderer promises, and the light that all of them share.

The rasteriser of this package needs nothing but pip packages. A renderer on a graphics card only
has to keep the same promise and the same light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from soke.visualization.camera import Camera

#: A picture: ``[height, width, 3]``, uint8, sRGB.
Frame = np.ndarray


class Renderer(Protocol):
    """Draws one triangle mesh, whose faces were given when the renderer was built."""

    def render(self, vertices: np.ndarray, camera: Camera, colors: np.ndarray) -> Frame:
        """Draw ``vertices`` ``[V, 3]`` (metres) in ``colors`` ``[V, 3]`` (sRGB, 0 to 1).

        Returns a `Frame` of ``[camera.height, camera.width, 3]``.
        """
        ...


def _unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    length = (x * x + y * y + z * z) ** 0.5
    return x / length, y / length, z / length


@dataclass(frozen=True)
class Lighting:
    """Light for a body that faces +z with +y up. Directions point from the body to the light.

    Intensities are linear. Only the key light casts a shadow. ``edge`` darkens surfaces that turn
    away from the viewer, which draws a soft outline round each finger in front of the palm.
    ``ground`` is the background, sRGB 0 to 255.
    """

    key_direction: tuple[float, float, float] = _unit(-0.55, 0.75, 0.8)
    key: float = 0.82
    fill_direction: tuple[float, float, float] = _unit(0.9, 0.15, 0.7)
    fill: float = 0.2
    sky: float = 0.3
    floor: float = 0.16
    edge: float = 0.42
    ground: tuple[int, int, int] = (238, 240, 243)
