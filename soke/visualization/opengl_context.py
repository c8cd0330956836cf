"""OpenGL without a display: which devices there are, and a context on one of them.

A context belongs to the thread that made it. All contexts of this package are made and used in one
thread of its own, whoever asks: Mesa keeps some megabytes of each thread that ever used it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import moderngl

#: Loaded by these names: libGL is not needed, so machines without X libraries will do.
LIBRARIES = {"libegl": "libEGL.so.1", "libgl": "libEGL.so.1"}
#: What `GL_RENDERER` contains where no graphics card is behind OpenGL.
SOFTWARE = ("llvmpipe", "softpipe", "swrast", "swiftshader", "software", "basic render")
PACKAGES = "libegl1 libgl1-mesa-dri"
MOST_DEVICES = 8  # graphics cards that are looked at


_thread = ThreadPoolExecutor(1, thread_name_prefix="opengl")


def _renew_thread() -> None:
    """A process that was forked has no threads but the one that forked it."""
    global _thread
    _thread = ThreadPoolExecutor(1, thread_name_prefix="opengl")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_thread)


def submit(call: Callable[..., Any], *arguments: object) -> Future:
    """Have the thread of OpenGL call something. What runs there must not wait for more of it."""
    return _thread.submit(call, *arguments)


class NoOpenGLError(ValueError):
    """OpenGL cannot be used on this machine; the message says why and what to install."""


@dataclass(frozen=True)
class Device:
    """What draws: its number for EGL, and its name as `GL_RENDERER` says."""

    index: int
    name: str

    @property
    def is_software(self) -> bool:
        return any(word in self.name.lower() for word in SOFTWARE)


@lru_cache(maxsize=1)
def find_device() -> Device:
    """The first graphics card, else Mesa on the CPU. Raises `NoOpenGLError` where neither is."""
    return submit(_find_device).result()


def _find_device() -> Device:
    found, reason = [], None
    for index in range(MOST_DEVICES):
        try:
            context = open_context(index)
        except NoOpenGLError as error:
            reason = reason or error
            continue
        found.append(Device(index, context.info["GL_RENDERER"]))
        context.release()
        if not found[-1].is_software:
            return found[-1]
    if not found:
        assert reason is not None
        raise reason
    return found[0]


def open_context(index: int) -> moderngl.Context:
    """A context on a device, for the calling thread, which should be that of OpenGL.

    Raises `NoOpenGLError` if there is none.
    """
    try:
        return moderngl.create_context(
            require=400, standalone=True, backend="egl", device_index=index, **LIBRARIES
        )
    except Exception as error:  # glcontext raises nothing more special
        raise NoOpenGLError(
            f"OpenGL cannot be used without a display here ({error}). Install a graphics driver "
            f"with EGL, or Mesa (Debian, Ubuntu: apt install {PACKAGES}), or set "
            "RENDER.BACKEND=cpu, which needs neither"
        ) from error
