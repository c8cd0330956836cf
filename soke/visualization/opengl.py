"""A renderer on OpenGL through EGL: a graphics card without a display, or Mesa on the CPU.

It draws what the rasteriser of this package draws.
"""

from __future__ import annotations

import weakref
from types import TracebackType

import numpy as np

from soke.visualization.camera import Camera
from soke.visualization.kernels import vertex_normals
from soke.visualization.opengl_context import find_device, submit
from soke.visualization.opengl_passes import Drawing
from soke.visualization.renderer import Frame, Lighting, checked_faces, checked_mesh


class OpenGLRenderer:
    """A `Renderer` of a mesh with ``faces`` ``[F, 3]`` (vertex numbers), on OpenGL 4.0.

    ``supersampling`` squared samples are taken a pixel. ``device`` is a graphics card's number for
    EGL; None takes `find_device`'s. ``name`` is what OpenGL calls it. The memory of the graphics
    card is free after `close`, or at the end of a ``with`` block. Instances may be used from
    several threads, which wait for each other. Raises `NoOpenGLError` where there is no OpenGL.
    """

    def __init__(
        self,
        faces: np.ndarray,
        *,
        supersampling: int = 2,
        shadow: bool = True,
        lighting: Lighting | None = None,
        device: int | None = None,
    ) -> None:
        self.faces = checked_faces(faces)
        if supersampling < 1:
            raise ValueError(f"supersampling is 1 or more, got {supersampling}")
        self.supersampling = supersampling
        self.shadow = shadow
        self.lighting = lighting or Lighting()
        self._vertex_count = int(self.faces.max()) + 1
        index = find_device().index if device is None else device
        arguments = index, self.faces, supersampling, shadow, self.lighting
        self._drawing = submit(Drawing, *arguments).result()
        self.name = self._drawing.name
        # Does not wait, since the thread of OpenGL itself may be the one that collects a renderer.
        # Not at the interpreter's end: threads are over by then, and the system frees everything.
        self._release = weakref.finalize(self, submit, self._drawing.release)
        self._release.atexit = False

    def render(self, vertices: np.ndarray, camera: Camera, colors: np.ndarray) -> Frame:
        """Draw ``vertices`` ``[V, 3]`` (metres) in ``colors`` ``[V, 3]`` (sRGB, 0 to 1).

        Returns ``[camera.height, camera.width, 3]`` uint8, or 4 channels without a ground. Raises
        ``ValueError`` where shapes do not fit, a vertex is not a finite number, or the picture is
        larger than this OpenGL can draw.
        """
        if not self._release.alive:
            raise ValueError("this renderer was closed; make a new one")
        vertices = checked_mesh(vertices, colors, self._vertex_count)
        linear = np.asarray(colors, np.float32) ** np.float32(2.2)
        normals = np.empty_like(vertices)
        vertex_normals(vertices, self.faces, normals)
        arguments = vertices, normals, np.ascontiguousarray(linear), camera
        return submit(self._drawing.draw, *arguments).result()

    def close(self) -> None:
        """Free what OpenGL holds. Nothing can be drawn afterwards."""
        released = self._release()
        if released is not None:  # the first time
            released.result()

    def __enter__(self) -> OpenGLRenderer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
