import logging
import sys

import numpy as np
import pytest

from soke.visualization import (
    BACKENDS,
    Camera,
    Panel,
    Rasterizer,
    backends,
    choose_renderer,
    render_clip,
)
from tests.visualization.meshes import paint, square

VERTICES, FACES = square(1, 0)
CAMERA = Camera((0.0, 0.0, 0.0), 3.0, 30, 30)


@pytest.fixture(autouse=True)
def fresh():
    for cached in (backends._has_graphics_card, backends._say_once):
        cached.cache_clear()
    yield
    backends._has_graphics_card.cache_clear()


class Card:
    """Stands for the OpenGL renderer on a machine with a graphics card."""

    name = "Fast Card 9"

    def __init__(self, faces, **options):
        self.faces, self.closed = faces, False

    def render(self, vertices, camera, colors):
        return np.full((camera.height, camera.width, 3), 9, np.uint8)

    def close(self):
        self.closed = True


def opengl_with(monkeypatch, device):
    """Have the rule see a machine with that device, or the error of one without."""

    class Module:
        OpenGLRenderer = Card

        @staticmethod
        def find_device():
            if isinstance(device, Exception):
                raise device
            return device

    monkeypatch.setattr(backends, "_opengl", lambda: Module)


class Found:
    def __init__(self, name, is_software):
        self.name, self.is_software = name, is_software


def test_a_graphics_card_is_taken_and_named(monkeypatch, caplog):
    opengl_with(monkeypatch, Found("Fast Card 9", False))
    with caplog.at_level(logging.INFO):
        assert isinstance(choose_renderer(FACES), Card)
        choose_renderer(FACES)
    assert [record.message for record in caplog.records] == ["drawing with OpenGL: Fast Card 9"]


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (Found("llvmpipe (LLVM)", True), "llvmpipe"),
        (ValueError("no EGL here"), "OpenGL is not at hand"),
    ],
)
def test_without_one_the_cpu_draws_and_one_line_says_so(monkeypatch, caplog, device, said):
    opengl_with(monkeypatch, device)
    with caplog.at_level(logging.INFO):
        assert isinstance(choose_renderer(FACES), Rasterizer)
        choose_renderer(FACES)
    (record,) = caplog.records
    assert record.levelno == logging.INFO and said in record.message and "CPU" in record.message


def test_either_can_be_forced(monkeypatch):
    opengl_with(monkeypatch, Found("llvmpipe (LLVM)", True))
    assert isinstance(choose_renderer(FACES, "opengl"), Card)
    opengl_with(monkeypatch, Found("Fast Card 9", False))
    assert isinstance(choose_renderer(FACES, "cpu"), Rasterizer)
    with pytest.raises(ValueError, match=r"'vulkan'.*auto, opengl, cpu"):
        choose_renderer(FACES, "vulkan")
    assert BACKENDS == ("auto", "opengl", "cpu")


def test_without_moderngl_the_cpu_draws_and_a_forced_opengl_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "soke.visualization.opengl", None)
    frame = choose_renderer(FACES).render(VERTICES, CAMERA, paint(VERTICES, (0, 0, 0)))
    assert frame.shape == (30, 30, 3)
    with pytest.raises(ValueError, match=r"moderngl.*pip install"):
        choose_renderer(FACES, "opengl")


def test_a_clip_closes_the_renderer_that_it_made_and_no_other(monkeypatch):
    made = []

    def choose(faces, backend, lighting):
        made.append((Card(faces), backend, lighting.ground))
        return made[-1][0]

    monkeypatch.setattr("soke.visualization.scene.choose_renderer", choose)
    panels = [Panel("a", np.stack([VERTICES] * 3))]
    options = {"view": "whole_body", "close_ups": (), "panel_width": 64}
    frames = render_clip(panels, FACES, {}, backend="opengl", background="navy", **options)
    assert made[0][1:] == ("opengl", (0, 0, 128))
    next(frames)
    assert not made[0][0].closed
    assert len(list(frames)) == 2 and made[0][0].closed
    abandoned = render_clip(panels, FACES, {}, **options)
    next(abandoned)
    abandoned.close()
    assert made[1][0].closed
    own = Card(FACES)
    assert len(list(render_clip(panels, FACES, {}, renderer=own, **options))) == 3
    assert not own.closed and len(made) == 2
    with pytest.raises(ValueError, match="no view"):
        render_clip(panels, FACES, {}, view="knee")
    assert len(made) == 2, "nothing is opened for a clip that cannot be drawn"
