"""A renderer that passes meshes to Blender's Cycles in another process.

It implements `soke.visualization.Renderer`, so cameras, panels, titles and captions are the same as
with the built-in renderer.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from soke.blender.environment import FOLDER, LIBRARIES, BlenderError, blender_python
from soke.visualization import Camera, Frame, Lighting
from soke.visualization.renderer import checked_faces, checked_mesh

WORKER = Path(__file__).with_name("worker.py")


class BlenderRenderer:
    """Draws a mesh with ``faces`` [F, 3] by path tracing, in an environment made by `set_up`.

    ``samples`` is the number of samples per pixel; the result is denoised. ``threads`` limits the
    cores. Use it as a context manager: Blender runs until the end of the block. Raises
    `soke.files.MissingAssetError` without an environment, `BlenderError` if Blender does not start
    or stops, and ``ValueError`` for faces of another shape or less than one sample.
    """

    def __init__(
        self,
        faces: np.ndarray,
        *,
        samples: int = 32,
        lighting: Lighting | None = None,
        environment: str | Path = FOLDER,
        threads: int | None = None,
    ) -> None:
        if samples < 1:
            raise ValueError(f"a pixel needs 1 sample or more, not {samples}")
        python = blender_python(environment)
        self.faces = checked_faces(faces)
        self.lighting = lighting or Lighting()
        self._scratch = tempfile.TemporaryDirectory(prefix="blender-")
        self._folder = Path(self._scratch.name)
        np.save(self._folder / "faces.npy", self.faces)
        settings = {
            "faces": str(self._folder / "faces.npy"),
            "samples": samples,
            "threads": threads,
            "lighting": asdict(self.lighting),
        }
        (self._folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        self._log = (self._folder / "blender.log").open("w+", encoding="utf-8", errors="replace")
        self._process = subprocess.Popen(
            # -I: Blender's Python must not see the caller's PYTHONPATH.
            [str(python.absolute()), "-I", str(WORKER), str(self._folder / "settings.json")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
        )
        try:
            self.version = str(self._answer()["ready"])
        except BaseException:
            self.close()
            raise

    def render(self, vertices: np.ndarray, camera: Camera, colors: np.ndarray) -> Frame:
        """Draw ``vertices`` ``[V, 3]`` (metres) in ``colors`` ``[V, 3]`` (sRGB, 0 to 1).

        Returns ``[camera.height, camera.width, 3]`` uint8, or 4 channels if the lighting has no
        ground. Raises ``ValueError`` if shapes do not match or a vertex is not finite, and
        `BlenderError` if Blender stops.
        """
        vertices = checked_mesh(vertices, colors, int(self.faces.max()) + 1)
        colors = np.asarray(colors, np.float32)
        np.savez(self._folder / "mesh.npz", vertices=vertices, colors=colors)
        picture = self._folder / "picture.png"
        self._ask(
            {
                "mesh": str(self._folder / "mesh.npz"),
                "picture": str(picture),
                "camera": {
                    **{key: getattr(camera, key) for key in ("width", "height", "lens", "fade")},
                    "distance": camera.distance,
                    "eye": camera.eye.tolist(),
                    "rotation": camera.rotation.tolist(),
                },
            }
        )
        with Image.open(picture) as image:
            image = image.convert("RGBA")
        if self.lighting.ground is None:
            return np.asarray(image)
        ground = Image.new("RGBA", image.size, (*self.lighting.ground, 255))
        return np.asarray(Image.alpha_composite(ground, image))[..., :3]

    def close(self) -> None:
        """Stop Blender."""
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()
        self._scratch.cleanup()

    def __enter__(self) -> BlenderRenderer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()  # it may be drawing
        self.close()

    def _ask(self, job: dict[str, Any]) -> None:
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._stopped() from error
        self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            raise self._stopped()
        return json.loads(line)

    def _stopped(self) -> BlenderError:
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()[-6:]
        said = "\n".join(lines) or f"it ended with code {self._process.wait()}"
        if "cannot open shared object file" in said:
            said += f"\nIts libraries on Debian: {LIBRARIES}"
        return BlenderError(f"Blender stopped:\n{said}")
