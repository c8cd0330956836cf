import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from soke.body import BodyModel
from soke.visualization import (
    FRAMINGS,
    TINTS,
    Camera,
    Lighting,
    Rasterizer,
    body_colors,
    cameras,
)
from tests.visualization.meshes import FLAT, join, paint, sphere, square

pytest.importorskip("moderngl", reason="OpenGL needs the package moderngl")
from soke.visualization import opengl_context
from soke.visualization.opengl import OpenGLRenderer
from soke.visualization.opengl_context import Device, NoOpenGLError, find_device
from soke.visualization.opengl_passes import KEPT_SIZES

FAR = Camera((0.0, 0.0, 0.0), span=4.0, width=100, height=80, lens=1000.0)


@pytest.fixture(autouse=True, scope="module")
def device():
    try:
        return find_device()
    except NoOpenGLError as error:
        pytest.skip(f"no OpenGL here (Debian: apt install libegl1 libgl1-mesa-dri): {error}")


@pytest.fixture(scope="module")
def posed():
    """Vertices of a body whose arms are lifted, faces, regions and colours."""
    import torch

    body = BodyModel()
    motion = torch.zeros(1, 133)
    motion[0, :30] = torch.linspace(-0.4, 0.6, 30)
    vertices = body.vertices(motion).numpy()[0]
    return (
        vertices,
        body.faces,
        body.regions,
        body_colors(10475, body.regions, TINTS[1], body.faces),
    )


def draw(kind, vertices, faces, camera, colors, **options):
    renderer = kind(faces, **options)
    try:
        return renderer.render(vertices, camera, colors)
    finally:
        renderer.close()


def both(*arguments, **options):
    return [draw(kind, *arguments, **options).astype(int) for kind in (OpenGLRenderer, Rasterizer)]


@pytest.mark.parametrize("name", FRAMINGS)
def test_both_renderers_draw_the_same_picture_of_a_body(posed, name):
    vertices, faces, regions, colors = posed
    camera = cameras(name, [vertices[None]], regions, 200, 160)[0][0]
    ours, other = both(vertices, faces, camera, colors)
    ground = np.array(Lighting().ground)
    cover = [(picture != ground).any(axis=-1).mean() for picture in (ours, other)]
    assert cover[0] > 0.05, "something is seen"
    assert cover[0] == pytest.approx(cover[1], abs=0.002)
    difference = np.abs(ours - other)
    assert difference.mean() < 0.5
    assert (difference.max(axis=-1) > 12).mean() < 0.003


@pytest.mark.parametrize("supersampling", [1, 2, 3])
@pytest.mark.parametrize("shadow", [True, False])
def test_both_agree_whatever_is_asked_for(supersampling, shadow):
    vertices, faces = join(sphere(0.8, (0.3, 0, 0)), sphere(0.3, (-0.7, 0.5, 0.8)), square(1.6, -1))
    camera = Camera((0.0, 0.1, 0.0), 3.0, 121, 90, yaw=0.5, pitch=-0.3, lens=2.0, fade=0.8)
    colors = np.random.default_rng(0).uniform(0, 1, vertices.shape).astype(np.float32)
    options = {"supersampling": supersampling, "shadow": shadow}
    ours, other = both(vertices, faces, camera, colors, **options)
    difference = np.abs(ours - other)
    assert difference.mean() < 0.5 and (difference.max(axis=-1) > 20).mean() < 0.005


def test_the_shadow_is_there():
    vertices, faces = join(square(1.2, -0.5), square(0.3, 0.3))
    light = Lighting(key_direction=(-0.6, 0.0, 0.8), fill=0)
    dark, plain = (
        draw(
            OpenGLRenderer, vertices, faces, FAR, paint(vertices, (0.7, 0.7, 0.7)),
            lighting=light, shadow=shadow,
        ).astype(int)
        for shadow in (True, False)
    )  # fmt: skip
    # A square of 0.6 m a side casts one of that size, 0.6 m aside: none of it is hidden.
    assert ((plain - dark).max(axis=-1) > 30).mean() == pytest.approx(0.6**2 / 20, rel=0.15)


def test_a_triangle_covers_its_share_in_its_colour():
    vertices = np.array([[-2.0, -1, 0], [2, -1, 0], [-2, 1, 0]])
    faces = np.array([[0, 1, 2]])
    frame = draw(
        OpenGLRenderer, vertices, faces, FAR, paint(vertices, (0.2, 0.5, 0.8)), lighting=FLAT
    )
    assert frame.shape == (80, 100, 3) and frame.dtype == np.uint8
    assert (frame != 255).any(axis=-1).mean() == pytest.approx(4 / (5 * 4), abs=0.01)
    np.testing.assert_allclose(frame[58, 12], np.array([0.2, 0.5, 0.8]) * 255, atol=2)
    assert (frame[22, 80] == 255).all(), "up is up and left is left"


@pytest.mark.parametrize("kind", [OpenGLRenderer, Rasterizer])
def test_a_transparent_ground_composes_to_the_coloured_one(kind):
    vertices, faces = join(sphere(1.2), square(1.6, -1))
    camera = Camera((0.0, 0.0, 0.0), 3.0, 90, 70, fade=0.9)
    colors = paint(vertices, (0.5, 0.4, 0.3))
    mesh = vertices, faces, camera, colors
    clear = draw(kind, *mesh, lighting=Lighting(ground=None))
    assert clear.shape == (70, 90, 4)
    share, light = clear[..., 3:] / 255, (clear[..., :3] / 255) ** 2.2
    assert (share == 0).mean() > 0.1 and (share == 1).mean() > 0.2
    assert ((share > 0.2) & (share < 0.8)).mean() > 0.01, "outlines and what fades"
    for ground in ((255, 255, 255), (10, 60, 120)):
        solid = draw(kind, *mesh, lighting=Lighting(ground=ground))
        laid = share * light + (1 - share) * (np.array(ground) / 255) ** 2.2
        difference = np.abs(255 * laid ** (1 / 2.2) - solid)
        assert difference.max() < 6 and difference.mean() < 0.5


def test_many_sizes_frames_and_threads():
    vertices, faces = sphere()
    colors = paint(vertices, (0.5, 0.6, 0.7))
    sizes = [(20 + i, 31 - i) for i in range(KEPT_SIZES + 2)] * 2
    with OpenGLRenderer(faces) as renderer:
        first, moved = (renderer.render(vertices + x, FAR, colors) for x in (0, 0.5))
        assert (first != moved).any(axis=-1).mean() > 0.05
        np.testing.assert_array_equal(renderer.render(vertices, FAR, colors), first)

        def seen(size):
            camera = Camera((0.0, 0.0, 0.0), 3.0, *size)
            return renderer.render(vertices, camera, colors)

        with ThreadPoolExecutor(3) as pool:
            frames = list(pool.map(seen, sizes))
        for size, frame in zip(sizes, frames):
            assert frame.shape == (size[1], size[0], 3)
            np.testing.assert_array_equal(frame, seen(size))
        more = np.concatenate([vertices, [[9.0, 9, 9]]])
        longer = renderer.render(more, FAR, paint(more, (0.5, 0.6, 0.7)))
        assert np.abs(longer.astype(int) - first).max() <= 1, "a vertex of no face is not seen"


def test_renderers_do_not_disturb_each_other():
    vertices, faces = sphere()
    colors = paint(vertices, (0.5, 0.6, 0.7))
    small, large = OpenGLRenderer(faces), OpenGLRenderer(faces, supersampling=3)
    alone = small.render(vertices, FAR, colors)
    large.render(0.5 * vertices, FAR, colors)
    large.close()
    np.testing.assert_array_equal(small.render(vertices, FAR, colors), alone)
    small.close()
    small.close()
    with pytest.raises(ValueError, match="closed"):
        small.render(vertices, FAR, colors)


def test_renderers_that_nobody_closed_are_freed():
    faces = square(1, 0)[1]
    freed = [OpenGLRenderer(faces)._release for _ in range(3)]
    gc.collect()
    assert not any(release.alive for release in freed)


def test_wrong_input_is_named():
    vertices, faces = square(1, 0)
    colors = paint(vertices, (1, 1, 1))
    with pytest.raises(ValueError, match=r"\[F, 3\]"):
        OpenGLRenderer(faces.reshape(-1))
    with pytest.raises(ValueError, match="supersampling"):
        OpenGLRenderer(faces, supersampling=0)
    with OpenGLRenderer(faces) as renderer:
        with pytest.raises(ValueError, match="V >= 4"):
            renderer.render(vertices[:3], FAR, colors[:3])
        with pytest.raises(ValueError, match="NaN"):
            renderer.render(vertices * np.nan, FAR, colors)
        with pytest.raises(ValueError, match=r"larger than .* can draw"):
            renderer.render(vertices, Camera((0.0, 0.0, 0.0), 1.0, 10**7, 2), colors)
        assert renderer.render(vertices, FAR, colors).shape == (80, 100, 3), "it goes on"


def test_no_library_and_no_device_give_one_message(monkeypatch):
    faces = square(1, 0)[1]
    with pytest.raises(NoOpenGLError, match="apt install libegl1 libgl1-mesa-dri"):
        OpenGLRenderer(faces, device=99)
    monkeypatch.setattr(
        opengl_context, "LIBRARIES", {"libegl": "libNo.so.1", "libgl": "libNo.so.1"}
    )
    find_device.cache_clear()
    try:
        with pytest.raises(NoOpenGLError, match=r"libNo\.so\.1.*RENDER\.BACKEND=cpu"):
            OpenGLRenderer(faces)
    finally:
        find_device.cache_clear()


@pytest.mark.parametrize(
    ("name", "software"),
    [
        ("llvmpipe (LLVM 15.0.6, 256 bits)", True),
        ("Software Rasterizer", True),
        ("Google SwiftShader", True),
        ("NVIDIA A100-SXM4-40GB/PCIe/SSE2", False),
        ("Mesa Intel(R) UHD Graphics 620 (KBL GT2)", False),
        ("AMD Radeon RX 6800 (radeonsi, navi21, LLVM 15.0.7)", False),
    ],
)
def test_a_graphics_card_is_told_from_software(name, software):
    assert Device(0, name).is_software == software
