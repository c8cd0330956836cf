from itertools import pairwise

import numpy as np
import pytest

from soke.visualization import Lighting, Panel, body_colors, render_clip, write_video
from tests.visualization.meshes import join, sphere


def clip(frames, step=0.01, scale=1.0):
    """A ball for a trunk, a ball for a head and one for a hand that rises."""
    trunk, head, hand = sphere(0.6), sphere(0.15, (0, 0.75, 0)), sphere(0.1, (-0.4, 0.4, 0.6))
    vertices, faces = join(trunk, head, hand)
    count = len(head[0])
    regions = {
        "head": np.arange(count, 2 * count),
        "right_hand": np.arange(2 * count, 3 * count),
        "left_hand": np.arange(2 * count, 3 * count),
    }
    moving = np.tile(vertices, (frames, 1, 1)) * scale
    moving[:, regions["right_hand"], 1] += step * np.arange(frames)[:, None]
    return moving.astype(np.float32), faces, regions


def changed(a, b):
    return (a != b).any(axis=-1).mean()


def test_panels_stand_side_by_side_and_the_shorter_clip_holds_its_last_frame():
    long, faces, regions = clip(7)
    panels = [Panel("reference", long), Panel("generated", long[:4] * 0.9)]
    frames = list(render_clip(panels, faces, regions, caption="Grüße", panel_width=120))
    assert len(frames) == 7
    assert {frame.shape for frame in frames} == {frames[0].shape}
    height, width, _ = frames[0].shape
    assert width == 2 * 120 + 8 and height % 2 == 0 and height > 120 + 79 + 30
    left, right = slice(0, 120), slice(128, 248)
    for a, b in pairwise(frames):
        assert changed(a[:, left], b[:, left]) > 0.002
    assert changed(frames[2][:, right], frames[3][:, right]) > 0.002
    assert changed(frames[4][:, right], frames[6][:, right]) == 0
    ground = np.array(Lighting().ground)
    near = [np.abs(frames[t][:, right].astype(int) - ground).mean() for t in (3, 4)]
    assert near[1] < 0.9 * near[0], "a clip that is over is paler"


def test_bodies_cover_their_share_and_bear_their_colours():
    vertices, faces, regions = clip(1)
    panels = [Panel("a", vertices, (200, 60, 60)), Panel("b", vertices, (60, 60, 200))]
    (frame,) = render_clip(panels, faces, regions, view="whole_body", close_ups=(), panel_width=200)
    ground = np.array(Lighting().ground)
    top = frame.shape[0] - 200
    red, blue = frame[top:, :200].astype(int), frame[top:, 208:].astype(int)
    # The box is 1.2 m x 1.5 m: trunk, head and hand, of which most lies before the trunk.
    area = np.pi * (0.6**2 + 0.15**2) / (1.5 * 1.1) ** 2
    for view in (red, blue):
        assert (view != ground).any(axis=-1).mean() == pytest.approx(area, rel=0.06)
    assert (red[..., 0] - red[..., 2] > 40).mean() > 0.2
    assert (blue[..., 2] - blue[..., 0] > 40).mean() > 0.2


def test_a_close_up_shows_the_hand_large():
    vertices, faces, regions = clip(3)
    (first, *_) = render_clip([Panel("a", vertices)], faces, regions, panel_width=240)
    close_up = first[-158:].astype(int)  # 0.66 x 240 pixels
    skin = close_up[..., 0] > close_up[..., 2] + 8
    rows = np.flatnonzero(skin.sum(axis=1) > 4)
    assert rows[-1] - rows[0] > 0.75 * 158


def test_any_number_of_close_ups_and_panels():
    vertices, faces, regions = clip(1)
    names = "right_hand", "left_hand", "face"
    for count in (1, 3):
        panels = [Panel(str(i), vertices) for i in range(count)]
        (frame,) = render_clip(panels, faces, regions, close_ups=names, panel_width=121)
        assert frame.shape[1] == count * 122 + (count - 1) * 8 and frame.shape[0] % 2 == 0


def test_another_renderer_can_be_given_and_frames_are_drawn_when_asked_for():
    vertices, faces, regions = clip(100)
    calls = []

    class Plain:
        def render(self, vertices, camera, colors):
            calls.append(vertices)
            return np.full((camera.height, camera.width, 3), 7, np.uint8)

    frames = render_clip([Panel("a", vertices)], faces, regions, renderer=Plain())
    assert calls == []
    assert (next(frames) == 7).mean() > 0.7
    assert len(calls) == 2  # the body and one close-up


def test_skin_is_bare_where_close_ups_look():
    vertices, _, regions = clip(1)
    colors = body_colors(vertices.shape[1], regions, (0, 0, 255))
    assert colors.shape == vertices.shape[1:]
    assert colors[0].tolist() == [0, 0, 1]
    assert (colors[regions["right_hand"], 0] > 0.5).all()


def test_wrong_input_is_named_before_the_first_frame():
    vertices, faces, regions = clip(2)
    good = Panel("good", vertices)
    bad = vertices.copy()
    bad[1, 3] = np.nan
    for panels, match in [
        ([], "no panels"),
        ([Panel("flat", vertices[0])], r"'flat'.*\[T, V, 3\]"),
        ([good, Panel("other", vertices[:, :50])], "'other' has 50 vertices"),
        ([Panel("sick", bad)], "'sick': frame 1 contains NaN"),
    ]:
        with pytest.raises(ValueError, match=match):
            render_clip(panels, faces, regions)
    with pytest.raises(ValueError, match="there is no view 'knee'"):
        render_clip([good], faces, regions, view="knee")
    with pytest.raises(ValueError, match="needs the vertices of 'head'"):
        render_clip([good], faces, {}, close_ups=("face",))


def test_a_clip_becomes_a_video(tmp_path):
    vertices, faces, regions = clip(3)
    frames = render_clip([Panel("a", vertices)], faces, regions, caption="hi", panel_width=100)
    assert write_video(tmp_path / "a.mp4", frames, 25) == 3
