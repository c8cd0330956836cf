"""A z-buffer rasteriser on the CPU, compiled with numba.

A frame is drawn in two passes. The first finds the face that is visible at each sample, from the
camera and, for the shadow, from the key light. The second computes the colour of each sample and
averages samples to pixels. Both process bands of rows on Python threads with the GIL released.
numba's own ``parallel=True`` is not used, since its default threading layer aborts the process when
two Python threads enter it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from soke.visualization.camera import Camera
from soke.visualization.kernels import Light, draw, shade, vertex_normals
from soke.visualization.renderer import (
    SHADOW_BIAS,
    SHADOW_MAP,
    SHADOW_SOFTNESS,
    Frame,
    Lighting,
    checked_faces,
    checked_mesh,
    shadow_texel,
)

GAMMA_STEPS = 4096


class Rasterizer:
    """A `Renderer` of a mesh with ``faces`` ``[F, 3]`` (vertex indices).

    A pixel is the mean of ``supersampling`` squared samples. ``threads`` defaults to the number of
    cores that the process may use. An instance may be used from several threads at once. The first
    call in a fresh installation compiles for some seconds; the result is cached on disk. Raises
    ``ValueError`` for faces of another shape or a ``supersampling`` below 1.
    """

    def __init__(
        self,
        faces: np.ndarray,
        *,
        supersampling: int = 2,
        shadow: bool = True,
        lighting: Lighting | None = None,
        threads: int | None = None,
    ) -> None:
        self.faces = checked_faces(faces)
        if supersampling < 1:
            raise ValueError(f"supersampling must be 1 or more, got {supersampling}")
        self.supersampling = supersampling
        self.shadow = shadow
        self.lighting = lighting or Lighting()
        self.threads = threads or _cores()
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="rasterizer")
        self._vertex_count = int(self.faces.max()) + 1
        ramp = np.linspace(0, 1, GAMMA_STEPS)
        self._gamma = np.round(255 * ramp ** (1 / 2.2)).astype(np.uint8)

    def render(self, vertices: np.ndarray, camera: Camera, colors: np.ndarray) -> Frame:
        """Draw ``vertices`` ``[V, 3]`` (metres) in ``colors`` ``[V, 3]`` (sRGB, 0 to 1).

        Returns ``[camera.height, camera.width, 3]`` uint8, or 4 channels if the `Lighting` has no
        ground. Raises ``ValueError`` if shapes do not match or a vertex is not finite.
        """
        vertices = checked_mesh(vertices, colors, self._vertex_count)
        scale = self.supersampling
        normals = np.empty_like(vertices)
        vertex_normals(vertices, self.faces, normals)
        points = camera.project(vertices, scale)  # [V, 3]
        texel = shadow_texel(camera)
        lit = self._seen_from_light(vertices, camera)  # [V, 3]
        asked = self._seen_from_light(vertices + SHADOW_BIAS * texel * normals, camera)
        height = camera.height * scale
        width = camera.width * scale
        seen = np.zeros((height, width), np.float32), np.full((height, width), -1, np.int32)
        rows = SHADOW_MAP if self.shadow else 1
        shadow = np.full((rows, rows), -np.inf, np.float32), np.empty((0, 0), np.int32)
        jobs = self._in_bands(height, draw, points, self.faces, *seen)
        if self.shadow:
            jobs += self._in_bands(SHADOW_MAP, draw, lit, self.faces, *shadow)
        for job in jobs:
            job.result()

        colors = np.asarray(colors, np.float32) ** 2.2
        vertex_data = np.concatenate([normals, colors, asked], axis=1, dtype=np.float32)  # [V, 9]
        channels = 4 if self.lighting.ground is None else 3
        frame = np.empty((camera.height, camera.width, channels), np.uint8)
        light = self._light(camera, texel)
        arguments = points, vertex_data, self.faces, *seen, shadow[0], light, self._gamma, frame
        for job in self._in_bands(camera.height, shade, *arguments):
            job.result()
        return frame

    def close(self) -> None:
        """Stop the threads. Nothing can be drawn afterwards."""
        self._pool.shutdown()

    def _in_bands(self, rows: int, kernel: Callable, *arguments: object) -> list[Future]:
        edges = np.linspace(0, rows, self.threads + 1).astype(int).tolist()
        return [
            self._pool.submit(kernel, *arguments, top, bottom) for top, bottom in pairwise(edges)
        ]

    def _seen_from_light(self, vertices: np.ndarray, camera: Camera) -> np.ndarray:
        """Vertices [V, 3] in texels of the shadow map (x, y) and metres towards the light (z)."""
        seen = (vertices - np.asarray(camera.target)) @ self.lighting.axes.T
        seen[:, :2] = seen[:, :2] / shadow_texel(camera) + SHADOW_MAP / 2
        return seen

    def _light(self, camera: Camera, texel: float) -> Light:
        lighting = self.lighting
        return Light(
            np.array([*lighting.key_direction, lighting.key], np.float32),
            np.array([*lighting.fill_direction, lighting.fill], np.float32),
            np.array([lighting.sky, lighting.floor, lighting.edge], np.float32),
            lighting.linear_ground,
            camera.rotation[2].astype(np.float32),
            np.float32(np.inf if camera.fade is None else camera.distance + camera.fade),
            np.float32(camera.fade or 1),
            np.float32(SHADOW_SOFTNESS * texel),
        )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
