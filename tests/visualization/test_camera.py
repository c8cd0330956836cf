import numpy as np
import pytest

from soke.visualization import FRAMINGS, Camera, cameras


def body(frames, step):
    """A stick of 1.8 m with a hand of 0.2 m beside it that moves ``step`` metres a frame."""
    rng = np.random.default_rng(0)
    stick = np.stack([np.zeros(50), np.linspace(0, 1.8, 50), np.zeros(50)], axis=1)
    hand = rng.uniform(-0.1, 0.1, (200, 3)) + np.array([-0.3, 1.0, 0.2])
    hands = hand + np.arange(frames)[:, None, None] * np.array([0.0, step, 0.0])
    return np.concatenate([np.tile(stick, (frames, 1, 1)), hands], axis=1)


REGIONS = {"right_hand": np.arange(50, 250)}


def test_the_target_is_in_the_middle_and_the_span_fills_the_height():
    camera = Camera((1.0, 2.0, 3.0), span=0.5, width=300, height=200, yaw=0.4, pitch=-0.2)
    up = camera.rotation[1] * 0.25
    points = camera.project(np.array([camera.target, camera.target + up, camera.target - up]))
    np.testing.assert_allclose(points[:, :2], [[150, 100], [150, 0], [150, 200]], atol=1e-6)
    np.testing.assert_allclose(points[:, 2], 1 / camera.distance, rtol=1e-6)
    np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(camera.rotation) == pytest.approx(1)


@pytest.mark.parametrize("step", [0.0, 0.01, 0.08])
def test_a_close_up_keeps_the_hand_in_the_picture_and_large(step):
    clip = body(30, step)
    path = cameras("right_hand", [clip], REGIONS, 300, 200)[0]
    assert len(path) == 30 and len({camera.span for camera in path}) == 1
    for vertices, camera in zip(clip, path):
        x, y, _ = camera.project(vertices[50:]).T
        assert x.min() > 0 and x.max() < 300 and y.min() > 0 and y.max() < 200
        assert y.max() - y.min() > 0.75 * 200


def test_a_close_up_does_not_jitter_with_the_hand():
    clip = body(30, 0.0)
    clip[::2, 50:] += 0.01
    path = np.array([c.target for c in cameras("right_hand", [clip], REGIONS, 300, 200)[0]])
    assert np.abs(np.diff(path[5:-5], axis=0)).max() < 0.002


def test_the_upper_body_stands_still_at_one_scale_for_all():
    short = body(3, 0.0)
    long = body(9, 0.05)
    paths = cameras("upper_body", [short, long], REGIONS, 200, 200)
    assert [len(path) for path in paths] == [3, 9]
    assert len({(camera.target, camera.span) for path in paths for camera in path}) == 1
    camera = paths[0][0]
    for vertices in long:
        upper = camera.project(vertices[vertices[:, 1] > 1.1])
        assert upper[:, :2].min() > 0 and upper[:, :2].max() < 200
    assert camera.project(np.array([[0.0, 0.3, 0.0]]))[0, 1] > 200


def test_unknown_views_and_missing_regions_are_named():
    with pytest.raises(ValueError, match="upper_body"):
        cameras("elbow", [body(2, 0)], REGIONS, 10, 10)
    with pytest.raises(ValueError, match=r"'left_hand'.*right_hand"):
        cameras("left_hand", [body(2, 0)], REGIONS, 10, 10)
    with pytest.raises(ValueError, match="pixels"):
        Camera((0.0, 0.0, 0.0), 1.0, 0, 10)
    assert {"upper_body", "right_hand", "left_hand", "face"} <= set(FRAMINGS)
