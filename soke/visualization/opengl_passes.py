"""The passes of the OpenGL renderer. All of it belongs to one thread, as an OpenGL context does.

The mesh is drawn from the key light (depth only), then from the camera (normal, colour and depth
of each sample); then the light and colour of each pixel are computed, averaged over its samples.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import moderngl
import numpy as np

from soke.visualization.camera import Camera
from soke.visualization.kernels import BACK, SAME_DEPTH, SHADOW_TAPS
from soke.visualization.opengl_context import open_context
from soke.visualization.renderer import (
    SHADOW_BIAS,
    SHADOW_MAP,
    SHADOW_SOFTNESS,
    Frame,
    Lighting,
    shadow_texel,
)

KEPT_SIZES = 6  # sizes of pictures whose buffers are kept: a clip has a few, again and again
NOTHING = 1e30  # metres beyond which nothing fades
SHADER_CONSTANTS = {
    "SHADOW_TAPS": str(SHADOW_TAPS), "FACING_AWAY": str(BACK), "DEPTH_STEP": str(SAME_DEPTH),
}  # fmt: skip


@dataclass(frozen=True)
class _Buffers:
    """Where pictures of one size are drawn: their samples, and their pixels."""

    samples: moderngl.Framebuffer
    pixels: moderngl.Framebuffer

    def release(self) -> None:
        for framebuffer in (self.samples, self.pixels):
            for attachment in (*framebuffer.color_attachments, framebuffer.depth_attachment):
                if attachment is not None:
                    attachment.release()
            framebuffer.release()


class Drawing:
    """All that touches OpenGL. Made, used and released in one thread."""

    def __init__(
        self,
        device: int,
        faces: np.ndarray,
        supersampling: int,
        shadow: bool,
        lighting: Lighting,
    ) -> None:
        self.supersampling, self.has_shadow, self.lighting = supersampling, shadow, lighting
        self.context = open_context(device)
        self.name = str(self.context.info["GL_RENDERER"])
        ground = lighting.ground
        self._ground = (0.0,) * 4 if ground is None else (*(level / 255 for level in ground), 1.0)
        self._largest = int(self.context.info["GL_MAX_TEXTURE_SIZE"])
        self._index = self.context.buffer(faces.tobytes())
        self._sizes: OrderedDict[tuple[int, int], _Buffers] = OrderedDict()
        self._arrays: list[moderngl.Buffer] = []  # vertices, normals, colours
        self._meshes: list[moderngl.VertexArray] = []  # as the light and as the camera see them
        self._programs = {name: self._program(name) for name in ("surface", "shadow", "picture")}
        self._picture = self.context.vertex_array(self._programs["picture"], [])
        map_size = (SHADOW_MAP, SHADOW_MAP) if shadow else (1, 1)
        self._shadow = self.context.framebuffer(depth_attachment=self._depths(map_size))
        self._set("picture", **self._light_uniforms())

    def _program(self, name: str) -> moderngl.Program:
        folder = files("soke.visualization") / "shaders"
        sources = [
            (folder / f"{name}.{kind}").read_text(encoding="ascii") for kind in ("vert", "frag")
        ]
        for word, value in SHADER_CONSTANTS.items():
            sources = [source.replace(word, value) for source in sources]

        return self.context.program(vertex_shader=sources[0], fragment_shader=sources[1])

    def _set(self, program: str, **uniforms: Any) -> None:
        for name, value in uniforms.items():
            uniform = self._programs[program][name]
            if isinstance(value, np.ndarray) and value.ndim == 2:
                uniform.write(np.ascontiguousarray(value.T, dtype=np.float32).tobytes())
            else:
                uniform.value = tuple(value) if isinstance(value, np.ndarray) else value

    def _light_uniforms(self) -> dict[str, Any]:
        lighting = self.lighting
        textures = {"normals": 0, "colors": 1, "depths": 2, "shadow": 3}
        return textures | {
            "scale": self.supersampling,
            "last_tap": SHADOW_TAPS if self.has_shadow else -SHADOW_TAPS - 1,
            "light_axes": lighting.axes,
            "bias": SHADOW_BIAS,
            "key": (*lighting.key_direction, lighting.key),
            "fill": (*lighting.fill_direction, lighting.fill),
            "around": (lighting.sky, lighting.floor, lighting.edge),
            "ground": lighting.linear_ground,
            "transparent": lighting.ground is None,
        }

    def draw(
        self, vertices: np.ndarray, normals: np.ndarray, colors: np.ndarray, camera: Camera
    ) -> Frame:
        """A picture of vertices, their normals and linear colours, all ``[V, 3]`` float32."""
        with self.context:  # there may be others in this thread
            return self._draw(vertices, normals, colors, camera)

    def _draw(
        self, vertices: np.ndarray, normals: np.ndarray, colors: np.ndarray, camera: Camera
    ) -> Frame:
        buffers = self._buffers(camera.width, camera.height)
        self._load(vertices, normals, colors)
        self._set_camera(vertices, camera)
        context, (from_light, from_camera) = self.context, self._meshes
        context.enable_only(context.DEPTH_TEST)
        if self.has_shadow:
            self._shadow.use()
            self._shadow.clear()
            from_light.render()
        buffers.samples.use()
        buffers.samples.clear()
        from_camera.render()
        context.enable_only(context.NOTHING)
        buffers.pixels.use()
        buffers.pixels.clear(*self._ground)
        for place, texture in enumerate(
            (
                *buffers.samples.color_attachments,
                buffers.samples.depth_attachment,
                self._shadow.depth_attachment,
            )
        ):
            texture.use(place)
        self._picture.render(moderngl.TRIANGLES, vertices=3)
        channels = 4 if self.lighting.ground is None else 3
        frame = np.empty((camera.height, camera.width, channels), np.uint8)
        buffers.pixels.read_into(frame, components=channels, alignment=1)
        return frame

    def _set_camera(self, vertices: np.ndarray, camera: Camera) -> None:
        target, rotation = np.array(camera.target, np.float64), camera.rotation
        centred = vertices - target
        depth = camera.distance - centred @ rotation[2]
        nearest = max(0.999 * float(depth.min()), 1e-3)
        depth_range = nearest, max(1.001 * float(depth.max()), 2 * nearest)
        towards = centred @ self.lighting.axes[2]
        light_range = float(towards.min()) - 1e-2, float(towards.max()) + 1e-2
        texel, lens = shadow_texel(camera), 2 * camera.lens
        shared = {"depth_range": depth_range, "rotation": rotation}
        shared["zoom"] = lens * camera.height / camera.width, lens
        lit = {"light_axes": self.lighting.axes, "texel": texel, "light_range": light_range}
        fading = (NOTHING, 1.0)
        if camera.fade is not None:
            fading = (camera.distance + camera.fade, camera.fade)
        self._set("surface", **shared, eye=camera.eye)
        self._set("shadow", **lit, target=target, map_side=float(SHADOW_MAP))
        self._set(
            "picture", **shared, **lit, distance=camera.distance, fade=fading,
            softness=SHADOW_SOFTNESS * texel,
        )  # fmt: skip

    def _load(self, *arrays: np.ndarray) -> None:
        """Hand vertices, normals and colours over; the number of vertices rarely changes."""
        if not self._arrays or self._arrays[0].size != arrays[0].nbytes:
            for old in (*self._meshes, *self._arrays):
                old.release()
            self._arrays = [self.context.buffer(reserve=a.nbytes, dynamic=True) for a in arrays]
            names = "position", "normal", "color"
            content = [(buffer, "3f", name) for buffer, name in zip(self._arrays, names)]
            self._meshes = [
                self.context.vertex_array(self._programs[program], used, index_buffer=self._index)
                for program, used in (("shadow", content[:1]), ("surface", content))
            ]
        for buffer, array in zip(self._arrays, arrays):
            buffer.orphan()
            buffer.write(array)

    def _buffers(self, width: int, height: int) -> _Buffers:
        if (width, height) in self._sizes:
            self._sizes.move_to_end((width, height))
            return self._sizes[width, height]
        size = width * self.supersampling, height * self.supersampling
        if max(size) > self._largest:
            raise ValueError(
                f"a picture of {width} x {height} pixels with supersampling {self.supersampling} "
                f"is larger than {self.name} can draw: {self._largest} samples a side"
            )
        while len(self._sizes) >= KEPT_SIZES:
            self._sizes.popitem(last=False)[1].release()
        seen = [self.context.texture(size, 4, dtype=dtype) for dtype in ("f2", "f1")]
        self._sizes[width, height] = _Buffers(
            self.context.framebuffer(seen, self._depths(size)),
            self.context.framebuffer([self.context.texture((width, height), 4)]),
        )
        return self._sizes[width, height]

    def _depths(self, size: tuple[int, int]) -> moderngl.Texture:
        texture = self.context.depth_texture(size)
        texture.compare_func = ""  # depths are read as they are
        return texture

    def release(self) -> None:
        self.context.release()
