from itertools import pairwise

import numpy as np
import pytest

from soke.visualization import Lighting, Panel, body_colors, render_clip, write_video
from soke.visualization.background import put
from tests.visualization.meshes import join, sphere


def clip(frames, step=0.01, scale=1.0):
    """A ball for a trunk, a ball for a head and one for a hand that rises."""
    trunk = sphere(0.6)
    head = sphere(0.15, (0, 0.75, 0))
    hand = sphere(0.1, (-0.4, 0.4, 0.6))
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
    left = slice(0, 120)
    right = slice(128, 248)
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
    red = frame[top:, :200].astype(int)
    blue = frame[top:, 208:].astype(int)
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


class Plain:
    """Fills each view with a level of its own, which tells views apart."""

    def __init__(self, channels=3):
        self.channels = channels

    def render(self, vertices, camera, colors):
        level = 200 if camera.span > 0.5 else 100
        return np.full((camera.height, camera.width, self.channels), level, np.uint8)


def test_a_combined_panel_has_both_hands_in_its_lower_corners():
    vertices, faces, regions = clip(1)
    aside = vertices + np.array([0.3, 0, 0], np.float32)
    vertices = np.concatenate([vertices, aside], axis=1)
    regions["left_hand"] = regions["right_hand"] + vertices.shape[1] // 2
    asked = []

    class Asking(Plain):
        def render(self, vertices, camera, colors):
            asked.append(camera)
            return super().render(vertices, camera, colors)

    panels = [Panel("a", vertices)]
    options = {"view": "combined", "panel_width": 200, "renderer": Asking()}
    (frame,) = render_clip(panels, faces, regions, **options)
    assert frame.shape[1] == 200 and frame.shape[0] < 200 + 60, "nothing stands below"
    view = frame[-200:] if frame.shape[0] % 2 == 0 else frame[-201:-1]
    rows, columns = np.nonzero((view == 100).all(axis=-1))
    side = round(0.36 * 200)
    assert len(rows) == 2 * side**2 and rows.min() == 200 - side - 2 and rows.max() == 197
    assert set(columns) == {*range(2, 2 + side), *range(200 - side - 2, 198)}
    main, right, left = asked
    assert left.target[0] - right.target[0] == pytest.approx(0.3, abs=0.01), "of the signer"
    assert main.span > 2 * right.span == 2 * left.span
    with pytest.raises(ValueError, match="needs the vertices of 'left_hand'"):
        render_clip(panels, faces, {"right_hand": regions["right_hand"]}, view="combined")


def test_a_background_reaches_every_corner():
    vertices, faces, regions = clip(2)
    panels = [Panel("a", vertices), Panel("b", vertices[:1])]
    options = {"caption": "hello", "note": "who", "panel_width": 120}
    for background, color in (("#102030", (16, 32, 48)), ((250, 250, 200), (250, 250, 200))):
        frames = list(render_clip(panels, faces, regions, background=background, **options))
        for frame in frames:
            height, _, channels = frame.shape
            corners = frame[[0, 0, -1, -1, height // 2], [0, -1, 0, -1, 121]]
            assert channels == 3 and (corners == color).all()
        letters = frames[0][-60:].astype(int)
        assert np.abs(letters - color).max() > 120, "letters are legible on it"
    plain = next(render_clip(panels, faces, regions, **options))
    assert (plain[0, 0] == 255).all() and (plain[height // 3, 3] == Lighting().ground).all()


def test_a_transparent_clip_is_laid_on_anything():
    vertices, faces, regions = clip(2)
    panels = [Panel("a", vertices), Panel("b", vertices[:1])]
    options = {"caption": "hello", "panel_width": 120}
    first, second = render_clip(panels, faces, regions, background="transparent", **options)
    solid = next(render_clip(panels, faces, regions, background="white", **options))
    assert first.shape == (*solid.shape[:2], 4) and (first[0, :, 3] == 0).all()
    laid = np.full_like(solid, 255)
    put(laid, first, 0, 0)
    # Edges are mixed in sRGB here and in linear light there: a few levels apart, a few pixels wide.
    assert np.abs(laid.astype(int) - solid).mean() < 1.5
    assert (np.abs(laid.astype(int) - solid).max(axis=-1) > 3).mean() < 0.06
    over = slice(128, 248)
    assert second[:, over, 3].mean() < 0.65 * first[:, over, 3].mean(), "what is over is paler"
    with pytest.raises(ValueError, match=r"'no colour at all'.*#rrggbb"):
        render_clip(panels, faces, regions, background="no colour at all")
    with pytest.raises(ValueError, match="0 to 255"):
        render_clip(panels, faces, regions, background=(0, 0, 300))


def test_pictures_with_and_without_a_transparent_ground_are_laid_on_each_other():
    page = np.zeros((2, 3, 3), np.uint8)
    clear = np.full((1, 1, 4), 200, np.uint8)
    clear[..., 3] = 51
    put(page, clear, 1, 2)
    assert page[1, 2].tolist() == [40, 40, 40] and page[..., 0].sum() == 40
    page = np.zeros((2, 3, 4), np.uint8)
    put(page, np.full((1, 2, 3), 9, np.uint8), 0, 0)
    assert page[0].tolist() == [[9, 9, 9, 255], [9, 9, 9, 255], [0, 0, 0, 0]]


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("view", ["whole_body", "face", "left_hand"])
def test_a_body_of_any_size_fills_its_view_alike(view, scale):
    vertices, faces, regions = clip(1, scale=scale)
    options = {"view": view, "close_ups": (), "panel_width": 100}
    (frame,) = render_clip([Panel("a", vertices + 3)], faces, regions, **options)
    ground = np.array(Lighting().ground)
    rows, columns = np.nonzero((frame[-100:] != ground).any(axis=-1))
    assert 60 < max(np.ptp(rows), np.ptp(columns)) + 1 <= 100


def test_another_renderer_can_be_given_and_frames_are_drawn_when_asked_for():
    vertices, faces, regions = clip(100)
    calls = []

    class Counting:
        def render(self, vertices, camera, colors):
            calls.append(vertices)
            return np.full((camera.height, camera.width, 3), 7, np.uint8)

    frames = render_clip([Panel("a", vertices)], faces, regions, renderer=Counting())
    assert calls == []
    assert (next(frames) == 7).mean() > 0.7
    assert len(calls) == 2  # the body and one close-up


def test_a_clip_closes_the_renderer_that_it_made_and_no_other(monkeypatch):
    made = []

    class Noting:
        def __init__(self, faces, lighting):
            self.ground = lighting.ground
            self.closed = False
            made.append(self)

        def render(self, vertices, camera, colors):
            return np.full((camera.height, camera.width, 3), 9, np.uint8)

        def close(self):
            self.closed = True

    monkeypatch.setattr("soke.visualization.scene.Rasterizer", Noting)
    vertices, faces, regions = clip(3)
    panels = [Panel("a", vertices)]
    frames = render_clip(panels, faces, regions, background="navy")
    assert made[0].ground == (0, 0, 128)
    next(frames)
    assert not made[0].closed
    assert len(list(frames)) == 2 and made[0].closed
    abandoned = render_clip(panels, faces, regions)
    next(abandoned)
    abandoned.close()
    assert made[1].closed
    own = Noting(faces, Lighting())
    assert len(list(render_clip(panels, faces, regions, renderer=own))) == 3
    assert not own.closed and len(made) == 3
    with pytest.raises(ValueError, match="no view"):
        render_clip(panels, faces, regions, view="knee")
    assert len(made) == 3, "nothing is opened for a clip that cannot be drawn"


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
