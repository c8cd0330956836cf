"""What is drawn, in a headless browser."""

from importlib.resources import files

import numpy as np
import pytest
import torch

from soke.viewer import write_page
from soke.visualization import Camera, Rasterizer, body_colors, cameras
from soke.visualization.renderer import Lighting
from tests.viewer.clips import clip
from tests.viewer.opened import opened

VIEWS = ("upper_body", "combined", "whole_body", "right_hand", "left_hand", "face")


def flat(array):
    return np.asarray(array).ravel().tolist()


@pytest.mark.parametrize("kind", ["body", "bending_body"])
def test_the_vertices_are_those_of_the_body_model(browser, tmp_path, request, kind):
    body = request.getfixturevalue(kind)
    shown = clip(frames=(12,))
    path = write_page(tmp_path / "page.html", [shown], body)
    with opened(browser, path) as page:
        page.drawn().ask("viewer.player.seek(7)")
        seen = page.drawn().ask("[...viewer.stage.bodies[0].positions]")
        stated = page.ask("JSON.parse(document.getElementById('data').textContent).error.maximum")
    true = body.vertices(torch.as_tensor(shown.systems[0].motion))[7].numpy()
    off = np.linalg.norm(np.reshape(seen, (-1, 3)) - true, axis=1).max()
    assert off < stated / 1000 + 2e-6


@pytest.mark.parametrize(("width", "height"), [(300, 300), (320, 200), (200, 330)])
def test_the_camera_is_the_renderers(browser, width, height):
    """Points to pixels in the page's script and in Python."""
    source = (files("soke.viewer") / "page" / "geometry.js").read_text(encoding="utf-8")
    yaw = 0.7
    pitch = -0.3
    target = (0.1, 1.2, -0.05)
    span = 0.8
    points = np.random.default_rng(0).uniform(-0.4, 0.4, (20, 3)) + target
    page = browser.new_page()
    given = f"cameraAxes({yaw}, {pitch}), {list(target)}, {span}, {4 * span}, {width / height}"
    call = f"perspective({given})"
    matrix = np.reshape(page.evaluate(f"{source}; [...{call}]"), (4, 4)).T
    page.close()
    clip_space = np.c_[points, np.ones(len(points))] @ matrix.T
    x, y, z = (clip_space[:, :3] / clip_space[:, 3:]).T
    tall = span * max(1, height / width)  # the page fits the span into the shorter side
    true = Camera(target, tall, width, height, yaw, pitch, lens=4 * span / tall).project(points)
    np.testing.assert_allclose((1 + x) / 2 * width, true[:, 0], atol=1e-3)
    np.testing.assert_allclose((1 - y) / 2 * height, true[:, 1], atol=1e-3)
    assert (np.argsort(z) == np.argsort(-true[:, 2])).all() and (np.abs(z) < 1).all()


def test_the_light_looks_along_its_direction(browser):
    source = (files("soke.viewer") / "page" / "geometry.js").read_text(encoding="utf-8")
    direction = np.array(Lighting().key_direction)
    target = np.array([0.1, 1.2, 0.3])
    page = browser.new_page()
    call = f"fromLight({flat(direction)}, {flat(target)}, 0.5)"
    matrix = np.reshape(page.evaluate(f"{source}; [...{call}]"), (4, 4)).T
    page.close()
    np.testing.assert_allclose(matrix @ [*target, 1], [0, 0, 0, 1], atol=1e-6)
    towards = matrix @ [*direction, 0]
    np.testing.assert_allclose(towards[:2], 0, atol=1e-6)
    assert towards[2] < 0  # nearer to the light
    across = matrix[:2, :3] * 0.5
    np.testing.assert_allclose(across @ across.T, np.eye(2), atol=1e-6)


@pytest.mark.parametrize("view", ["upper_body", "right_hand", "face"])
def test_the_picture_agrees_with_the_rasterizer(browser, body, page_file, view):
    with opened(browser, page_file) as page:
        page.drawn().page.locator(f"label[for=view-{view}]").click()
        page.ask("viewer.player.seek(9)")
        seen = page.picture(".view")
    ground = seen[3, 30]
    height, width, _ = seen.shape
    systems = clip().systems
    shapes = [body.vertices(torch.as_tensor(system.motion)).numpy() for system in systems]
    shape = shapes[0][9]
    followed = cameras(view, shapes, body.regions, 512, 512)[0][9]
    span = followed.span * max(1, height / width)
    camera = Camera(followed.target, span, width, height, fade=followed.fade)
    light = Lighting(ground=tuple(ground.astype(int).tolist()))
    colors = body_colors(len(shape), body.regions, systems[0].tint, body.faces)
    true = Rasterizer(body.faces, lighting=light).render(shape, camera, colors)
    on_body = (np.abs(true - ground) > 12).any(axis=2)
    seen_body = (np.abs(seen - ground) > 12).any(axis=2)
    assert on_body.mean() > 0.1
    assert (on_body & seen_body).sum() / (on_body | seen_body).sum() > 0.95
    assert np.abs(seen - true)[on_body].mean() < 6
    assert np.abs(seen - true).mean() < 1.5


def test_every_view_shows_something_else(browser, page_file):
    with opened(browser, page_file) as page:
        pictures = []
        for name in VIEWS:
            page.drawn().page.locator(f"label[for=view-{name}]").click()
            assert page.page.get_by_role("radio", name=name.replace("_", " ")).is_checked()
            pictures.append(page.picture())
    for i, one in enumerate(pictures):
        assert one.std() > 10
        for other in pictures[:i]:
            assert np.abs(one - other).mean() > 2


def test_turning_dragging_and_reset(browser, page_file):
    with opened(browser, page_file) as page:
        front = page.picture()
        turned = page.click("Walk right").picture()
        assert np.abs(turned - front).mean() > 1
        assert np.abs(page.click("Walk left").picture() - front).max() <= 3
        assert np.abs(page.click("Nearer").picture() - front).mean() > 1
        page.click("Reset")
        box = page.page.locator(".view").first.bounding_box()
        page.page.mouse.move(box["x"] + 200, box["y"] + 200)
        page.page.mouse.down()
        page.page.mouse.move(box["x"] + 260, box["y"] + 170)
        page.page.mouse.up()
        orbit = page.ask("viewer.orbit")
        assert (orbit["yaw"], orbit["pitch"]) == pytest.approx((-0.5, -0.25))
        assert np.abs(page.picture() - front).mean() > 1
        assert np.abs(page.press("0").picture() - front).max() <= 3


def test_a_lost_graphics_card_comes_back(browser, page_file):
    with opened(browser, page_file) as page:
        before = page.picture()
        page.ask("window.lost = viewer.stage.gl.getExtension('WEBGL_lose_context')")
        page.ask("lost.loseContext()")
        page.until("viewer.stage.gl.isContextLost()")
        page.ask("lost.restoreContext()")
        page.until("!viewer.stage.gl.isContextLost() && !viewer.stale")
        assert np.abs(page.picture() - before).max() <= 3
        assert page.complaints == []
