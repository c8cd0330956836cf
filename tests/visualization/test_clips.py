import numpy as np
import pytest

from soke.visualization import LazyClip, Panel, render_clip
from soke.visualization.camera import cameras, cameras_of_views
from tests.visualization.test_camera import REGIONS, body
from tests.visualization.test_scene import clip


def counted(vertices, chunk):
    """A lazy clip of ``vertices`` and the slices that it asked for."""
    asked = []

    def pose(rows):
        asked.append((rows.start, rows.stop))
        return vertices[rows]

    return LazyClip(len(vertices), pose, chunk=chunk), asked


@pytest.mark.parametrize("chunk", [1, 4, 9, 50])
def test_frames_come_in_chunks_each_posed_once(chunk):
    vertices = np.random.default_rng(0).normal(size=(9, 5, 3))
    lazy, asked = counted(vertices, chunk)
    for _ in range(2):
        asked.clear()
        np.testing.assert_array_equal(np.stack(list(lazy)), vertices)
        assert len(asked) <= -(-9 // chunk) and all(stop - start <= chunk for start, stop in asked)
    assert len(lazy) == 9 and lazy.shape == (9, 5, 3)
    np.testing.assert_array_equal(lazy[7], vertices[7])
    for wrong in (9, -1):
        with pytest.raises(IndexError):
            lazy[wrong]
    with pytest.raises(ValueError, match="0"):
        LazyClip(0, lambda rows: vertices)


def test_a_lazy_clip_is_drawn_as_its_vertices_are():
    vertices, faces, regions = clip(7)
    lazy, asked = counted(vertices, 3)
    options = {"panel_width": 64, "view": "combined"}
    short = Panel("b", vertices[:4])
    expected, found = (
        render_clip([Panel("a", whole), short], faces, regions, **options)
        for whole in (vertices, lazy)
    )
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(asked) <= 3 * 3 + 1, "once to look at, once to draw, and the first frame"


def test_a_broken_frame_of_a_lazy_clip_is_named_before_the_first_picture():
    vertices, faces, regions = clip(7)
    vertices[5, 3] = np.inf
    lazy, _ = counted(vertices, 3)
    with pytest.raises(ValueError, match="'sick': frame 5"):
        render_clip([Panel("sick", lazy)], faces, regions)


def test_cameras_of_several_views_are_those_of_each():
    bodies = [body(6, 0.02), body(4, 0.05)]
    views = [("upper_body", 200, 150), ("right_hand", 90, 120), ("whole_body", 64, 64)]
    lazy = [counted(vertices, 2)[0] for vertices in bodies]
    together = cameras_of_views(views, lazy, REGIONS, 25.0)
    assert together == [cameras(name, bodies, REGIONS, w, h, 25.0) for name, w, h in views]
