"""Which renderer draws: a graphics card through OpenGL where there is one, else the CPU.

The rule of "auto": OpenGL, if a context can be made and a graphics card is behind it. Mesa on the
CPU counts as no graphics card: on the same cores it takes about twice as long as the rasteriser
of this package (`python -m benchmarks.rendering`), and both draw the same picture. It is used
where "opengl" is asked for.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib import import_module
from types import ModuleType

import numpy as np

from soke.visualization.rasterizer import Rasterizer
from soke.visualization.renderer import ClosableRenderer, Lighting

logger = logging.getLogger(__name__)

BACKENDS = ("auto", "opengl", "cpu")


def choose_renderer(
    faces: np.ndarray,
    backend: str = "auto",
    *,
    supersampling: int = 2,
    shadow: bool = True,
    lighting: Lighting | None = None,
) -> ClosableRenderer:
    """A renderer of a mesh with ``faces`` ``[F, 3]``, see the top of this file.

    What was chosen is logged, once a process. Raises ``ValueError`` for a ``backend`` that is not
    in `BACKENDS`, and for "opengl" where it cannot be used, with what to install.
    """
    if backend not in BACKENDS:
        raise ValueError(f"there is no renderer {backend!r}; choose from {', '.join(BACKENDS)}")
    options = {"supersampling": supersampling, "shadow": shadow, "lighting": lighting}
    if backend == "cpu" or (backend == "auto" and not _has_graphics_card()):
        if backend == "cpu":
            _say_once("drawing on the CPU, as was asked for")
        return Rasterizer(faces, **options)
    renderer = _opengl().OpenGLRenderer(faces, **options)
    _say_once(f"drawing with OpenGL: {renderer.name}")
    return renderer


@lru_cache(maxsize=1)
def _has_graphics_card() -> bool:
    try:
        device = _opengl().find_device()
    except ValueError as error:  # NoOpenGLError, or moderngl is missing
        logger.info("drawing on the CPU, since OpenGL is not at hand")
        logger.debug("%s", error)
        return False
    if device.is_software:
        logger.info(
            "drawing on the CPU: OpenGL here is %s, software as well, and slower", device.name
        )
    return not device.is_software


def _opengl() -> ModuleType:
    """The module of the OpenGL renderer, imported where it is needed: moderngl may be missing."""
    try:
        return import_module("soke.visualization.opengl")
    except ImportError as error:
        raise ValueError(
            f"OpenGL needs the package moderngl ({error}): pip install -r requirements.txt, or "
            "set RENDER.BACKEND=cpu"
        ) from error


@lru_cache
def _say_once(message: str) -> None:
    logger.info(message)
