"""The recorded video beside the bodies."""

import numpy as np
import pytest
from PIL import Image

from soke.visualization import write_video
from soke.visualization.source_video import beside, find_original, original_frames


def grey(value, size=(32, 48)):
    return np.full((*size, 3), value, np.uint8)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "csl").mkdir()
    write_video(tmp_path / "csl" / "a.b.mp4", (grey(20 * i) for i in range(10)), 25)
    (tmp_path / "images").mkdir()
    for i in range(3):
        Image.fromarray(grey(40 * i)).save(tmp_path / "images" / f"{i:04}.png")
    return tmp_path


def test_videos_and_folders_are_found(folder):
    assert find_original(folder, "csl", "a.b") == folder / "csl" / "a.b.mp4"
    assert find_original(folder, "phoenix", "images") == folder / "images"
    assert find_original(folder, "csl", "c") is None


@pytest.mark.parametrize(("fps", "step"), [(25, 1), (12.5, 2), (50, 0.5)])
def test_frames_keep_their_time(folder, fps, step):
    found = [f.mean() for f in original_frames(folder / "csl" / "a.b.mp4", fps, 14)]
    expected = [20 * min(int(t * step + 0.01), 9) for t in range(14)]
    np.testing.assert_allclose(found, expected, atol=4)


def test_images_are_frames(folder):
    found = [frame[0, 0, 0] for frame in original_frames(folder / "images", 25, 5)]
    assert found == [0, 40, 80, 80, 80]


def test_a_column_beside_the_bodies(folder):
    bodies = [grey(7, (200, 100))] * 5
    frames = list(beside(bodies, original_frames(folder / "images", 25, 5), 96, "video", None))
    assert len(frames) == 5 and frames[0].shape == (200, 100 + 96 + 8, 3)
    np.testing.assert_array_equal(frames[2][:, 104:], bodies[0])
    column = frames[2][:, :96]
    assert ((column == 80).all(axis=2)).sum() == 96 * 64  # 48 x 32 as wide as the column
    assert (frames[0][:, :96] == 0).all(axis=2).sum() >= 96 * 64


def test_what_is_no_video_is_named(tmp_path):
    path = tmp_path / "x.mp4"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"x\.mp4 cannot be read as a video"):
        list(original_frames(path, 25, 3))
