from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from soke.visualization import Camera, Lighting, Rasterizer
from tests.visualization.meshes import FLAT, join, paint, sphere, square

FAR = Camera((0.0, 0.0, 0.0), span=4.0, width=100, height=80, lens=1000.0)
WHITE = 255


def covered(frame):
    return (frame != WHITE).any(axis=-1).mean()


def test_a_triangle_covers_its_share_in_its_colour():
    vertices = np.array([[-2.0, -1, 0], [2, -1, 0], [-2, 1, 0]])
    rasterizer = Rasterizer(np.array([[0, 1, 2]]), lighting=FLAT)
    frame = rasterizer.render(vertices, FAR, paint(vertices, (0.2, 0.5, 0.8)))
    assert frame.shape == (80, 100, 3) and frame.dtype == np.uint8
    assert covered(frame) == pytest.approx(4 / (5 * 4), abs=0.01)
    # The lower left corner at (-2, -1) is pixel (10, 60); y points up.
    np.testing.assert_allclose(frame[58, 12], np.array([0.2, 0.5, 0.8]) * 255, atol=2)
    assert (frame[22, 12] != WHITE).any() and (frame[22, 80] == WHITE).all()
    assert (frame[70] == WHITE).all() and (frame[:, 95] == WHITE).all()


def test_both_sides_of_an_open_mesh_are_drawn_and_lit_alike():
    vertices, faces = square(1, 0)
    colors = paint(vertices, (0.6, 0.6, 0.6))
    front = Rasterizer(faces, shadow=False).render(vertices, FAR, colors)
    back = Rasterizer(faces[:, ::-1], shadow=False).render(vertices, FAR, colors)
    np.testing.assert_array_equal(front, back)


@pytest.mark.parametrize("supersampling", [1, 2, 3])
def test_a_sphere_covers_its_disc_without_holes(supersampling):
    vertices, faces = sphere(1.5)
    rasterizer = Rasterizer(faces, lighting=FLAT, supersampling=supersampling)
    frame = rasterizer.render(vertices, FAR, paint(vertices, (0, 0, 0)))
    assert covered(frame) == pytest.approx(np.pi * 1.5**2 / 20, rel=0.03)
    ys, xs = np.mgrid[:80, :100]
    inside = (xs + 0.5 - 50) ** 2 + (ys + 0.5 - 40) ** 2 < 28**2
    assert (frame[inside] == 0).all()


def test_the_nearer_surface_hides_the_farther_whatever_the_order_of_faces():
    near = square(0.5, 0.3)
    far = square(1.0, -0.3)
    vertices, faces = join(near, far)
    colors = np.concatenate([paint(near[0], (1, 0, 0)), paint(far[0], (0, 0, 1))])
    for order in (faces, faces[::-1]):
        frame = Rasterizer(order, lighting=FLAT).render(vertices, FAR, colors)
        assert frame[40, 50].tolist() == [255, 0, 0]
        assert frame[40, 50 + 15].tolist() == [0, 0, 255]


def test_perspective_makes_the_farther_smaller_and_colours_stay_on_their_surface():
    camera = Camera((0.0, 0.0, 0.0), span=2.0, width=100, height=100, lens=1.0)
    vertices, faces = square(0.5, -2.0)
    frame = Rasterizer(faces, lighting=FLAT).render(vertices, camera, paint(vertices, (0, 0, 0)))
    assert covered(frame) == pytest.approx(
        (1 / (2 * 2)) ** 2, abs=0.006
    )  # 26 pixels are touched by 25
    # A floor from z = 0 (black) to z = -2 (white), seen at half its depth.
    floor = np.array([[-1.0, -0.5, 0], [1, -0.5, 0], [1, -0.5, -2], [-1, -0.5, -2]])
    shades = paint(floor, (0, 0, 0))
    shades[2:] = 1
    frame = Rasterizer(faces, lighting=FLAT).render(floor, camera, shades)
    row = int(50 + 50 * 0.5 * 2 / 3)  # the point (0, -0.5, -1) at depth 3
    assert (frame[row, 50] / 255.0) ** 2.2 == pytest.approx(0.5, abs=0.05)


def test_points_behind_the_camera_are_left_out():
    camera = Camera((0.0, 0.0, 0.0), span=2.0, width=20, height=20, lens=1.0)
    vertices, faces = square(5, 3.0)
    frame = Rasterizer(faces, lighting=FLAT).render(vertices, camera, paint(vertices, (0, 0, 0)))
    assert covered(frame) == 0


def test_the_key_light_casts_a_shadow_and_an_unshaded_surface_has_no_acne():
    lighting = Lighting(key_direction=(0.0, 0.0, 1.0), key=0.8, fill=0, ground=(255, 255, 255))
    wall = square(1.2, -0.5)
    hand = square(0.3, 0.0)
    vertices, faces = join(wall, hand)
    camera = Camera((0.0, 0.0, 0.0), span=3.0, width=120, height=120, yaw=0.6)
    colors = paint(vertices, (0.7, 0.7, 0.7))
    dark = Rasterizer(faces, lighting=lighting).render(vertices, camera, colors)
    plain = Rasterizer(faces, lighting=lighting, shadow=False).render(vertices, camera, colors)
    darker = (plain.astype(int) - dark).max(axis=-1) > 30
    # The shadow is 0.6 m a side, on a wall that is seen aslant. The square, 0.5 m before the wall,
    # hides all of it but a strip.
    strip = 0.6 * 0.5 * np.tan(0.6)
    assert darker.mean() * 3**2 / np.cos(0.6) == pytest.approx(strip, rel=0.1)
    ball, ball_faces = sphere(1.2)
    lit = Rasterizer(ball_faces).render(ball, camera, paint(ball, (0.7, 0.7, 0.7)))
    bare = Rasterizer(ball_faces, shadow=False).render(ball, camera, paint(ball, (0.7, 0.7, 0.7)))
    facing = bare[..., 0] > 150  # well inside the key light
    assert facing[bare[..., 0] < 238].mean() > 0.3
    assert np.abs(lit.astype(int) - bare)[facing].max() <= 3


def test_fading_depth_ends_in_the_ground():
    vertices, faces = square(1, -0.5)
    camera = Camera((0.0, 0.0, 0.0), span=3.0, width=40, height=40, fade=0.2)
    frame = Rasterizer(faces).render(vertices, camera, paint(vertices, (0.1, 0.2, 0.3)))
    assert (frame == np.array(Lighting().ground)).all()


def test_a_transparent_ground_composes_to_the_coloured_one():
    vertices, faces = join(sphere(1.2), square(1.6, -1))
    camera = Camera((0.0, 0.0, 0.0), 3.0, 90, 70, fade=0.9)
    colors = paint(vertices, (0.5, 0.4, 0.3))
    clear = Rasterizer(faces, lighting=Lighting(ground=None)).render(vertices, camera, colors)
    assert clear.shape == (70, 90, 4)
    share = clear[..., 3:] / 255
    light = (clear[..., :3] / 255) ** 2.2
    assert (share == 0).mean() > 0.1 and (share == 1).mean() > 0.2
    assert ((share > 0.2) & (share < 0.8)).mean() > 0.01, "outlines and what fades"
    for ground in ((255, 255, 255), (10, 60, 120)):
        solid = Rasterizer(faces, lighting=Lighting(ground=ground)).render(vertices, camera, colors)
        laid = share * light + (1 - share) * (np.array(ground) / 255) ** 2.2
        difference = np.abs(255 * laid ** (1 / 2.2) - solid)
        assert difference.max() < 6 and difference.mean() < 0.5


def test_frames_follow_the_vertices_and_repeat_exactly():
    vertices, faces = sphere()
    colors = paint(vertices, (0.5, 0.6, 0.7))
    rasterizer = Rasterizer(faces)
    first, moved = (
        rasterizer.render(vertices + np.array([x, 0, 0]), FAR, colors) for x in (0, 0.5)
    )
    assert (first != moved).any(axis=-1).mean() > 0.05
    np.testing.assert_array_equal(first, rasterizer.render(vertices, FAR, colors))
    more = np.concatenate([vertices, [[9.0, 9, 9]]])
    longer = rasterizer.render(more, FAR, paint(more, (0.5, 0.6, 0.7)))
    np.testing.assert_array_equal(first, longer, "a vertex of no face is not seen")


def test_bands_and_python_threads_do_not_change_the_picture():
    vertices, faces = sphere()
    colors = paint(vertices, (0.5, 0.6, 0.7))
    alone = Rasterizer(faces, threads=1).render(vertices, FAR, colors)
    shared = Rasterizer(faces, threads=3)
    with ThreadPoolExecutor(4) as pool:
        frames = list(pool.map(lambda _: shared.render(vertices, FAR, colors), range(12)))
    for frame in frames:
        np.testing.assert_array_equal(frame, alone)


def test_wrong_input_is_named():
    vertices, faces = square(1, 0)
    with pytest.raises(ValueError, match=r"\[F, 3\]"):
        Rasterizer(faces.reshape(-1))
    with pytest.raises(ValueError, match="supersampling"):
        Rasterizer(faces, supersampling=0)
    rasterizer = Rasterizer(faces)
    with pytest.raises(ValueError, match="V >= 4"):
        rasterizer.render(vertices[:3], FAR, paint(vertices[:3], (1, 1, 1)))
    with pytest.raises(ValueError, match="colors"):
        rasterizer.render(vertices, FAR, np.ones(3))
    with pytest.raises(ValueError, match="NaN"):
        rasterizer.render(vertices * np.nan, FAR, paint(vertices, (1, 1, 1)))
