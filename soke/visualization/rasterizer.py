"""A z-buffer rasteriser on the CPU: numba, nothing to install beyond pip packages.

A frame is drawn in two passes: which face is seen at each sample (once from the camera and once
from the key light, for the shadow), then light and colour at each sample, averaged to pixels. Both
run in bands of rows on Python threads with the GIL released. numba's own ``parallel=True`` is not
used, since its default threading layer aborts the process when two Python threads enter it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from soke.visualization.camera import Camera
from soke.visualization.kernels import Light, draw, shade, vertex_normals
from soke.visualization.renderer import Frame, Lighting

SHADOW_MAP = 512  # texels a side
SHADOW_REACH = 0.8  # half of what the shadow map covers, in spans of the camera
SHADOW_BIAS = 2.6  # texels along the normal, against shadow acne
GAMMA_STEPS = 4096


class Rasterizer:
    """A `Renderer` of a mesh with ``faces`` ``[F, 3]`` (vertex numbers).

    ``supersampling`` squared samples are taken a pixel. ``threads`` defaults to the cores that the
    process may use. Instances may be used from several threads at a time. The first call in a
    fresh installation compiles for some seconds; the result is cached on disk.
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
        self.faces = np.ascontiguousarray(faces, dtype=np.int32)
        if self.faces.ndim != 2 or self.faces.shape[1] != 3 or self.faces.size == 0:
            raise ValueError(f"faces have the shape [F, 3], got {np.shape(faces)}")
        if supersampling < 1:
            raise ValueError(f"supersampling is 1 or more, got {supersampling}")
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

        Returns ``[camera.height, camera.width, 3]`` uint8. Raises ``ValueError`` where shapes do
        not fit or a vertex is not a finite number.
        """
        vertices = self._check(vertices, colors)
        scale = self.supersampling
        normals = np.empty_like(vertices)
        vertex_normals(vertices, self.faces, normals)
        points = camera.project(vertices, scale)  # [V, 3]
        lit, texel = self._seen_from_light(vertices, camera)  # [V, 3]
        asked, _ = self._seen_from_light(vertices + SHADOW_BIAS * texel * normals, camera)
        height, width = camera.height * scale, camera.width * scale
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
        frame = np.empty((camera.height, camera.width, 3), np.uint8)
        light = self._light(camera, texel)
        arguments = points, vertex_data, self.faces, *seen, shadow[0], light, self._gamma, frame
        for job in self._in_bands(camera.height, shade, *arguments):
            job.result()
        return frame

    def _check(self, vertices: np.ndarray, colors: np.ndarray) -> np.ndarray:
        vertices = np.ascontiguousarray(vertices, dtype=np.float32)
        if vertices.ndim != 2 or vertices.shape[1] != 3 or len(vertices) < self._vertex_count:
            raise ValueError(
                f"the faces need vertices [V, 3] with V >= {self._vertex_count}, got "
                f"{vertices.shape}"
            )
        if np.shape(colors) != vertices.shape:
            raise ValueError(
                f"colors are one RGB a vertex, {vertices.shape}, got {np.shape(colors)}"
            )
        if not np.isfinite(vertices).all():
            raise ValueError("the vertices contain NaN or infinity")
        return vertices

    def _in_bands(self, rows: int, kernel: Callable, *arguments: object) -> list[Future]:
        edges = np.linspace(0, rows, self.threads + 1).astype(int).tolist()
        return [
            self._pool.submit(kernel, *arguments, top, bottom) for top, bottom in pairwise(edges)
        ]

    def _seen_from_light(self, vertices: np.ndarray, camera: Camera) -> tuple[np.ndarray, float]:
        """Vertices in texels of the shadow map and metres towards the light, and a texel's size."""
        back = np.array(self.lighting.key_direction)
        right = np.cross((0.0, 1.0, 0.0), back)
        right /= np.linalg.norm(right)
        axes = np.stack([right, -np.cross(back, right), back])
        aspect = max(1.0, camera.width / camera.height)
        texel = 2 * SHADOW_REACH * aspect * camera.span / SHADOW_MAP
        seen = (vertices - np.asarray(camera.target)) @ axes.T
        seen[:, :2] = seen[:, :2] / texel + SHADOW_MAP / 2
        return seen, texel

    def _light(self, camera: Camera, texel: float) -> Light:
        lighting = self.lighting
        return Light(
            np.array([*lighting.key_direction, lighting.key], np.float32),
            np.array([*lighting.fill_direction, lighting.fill], np.float32),
            np.array([lighting.sky, lighting.floor, lighting.edge], np.float32),
            ((np.array(lighting.ground) / 255) ** 2.2).astype(np.float32),
            camera.rotation[2].astype(np.float32),
            np.float32(np.inf if camera.fade is None else camera.distance + camera.fade),
            np.float32(camera.fade or 1),
            np.float32(2 * texel),
        )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
