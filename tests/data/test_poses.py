import gzip
import pickle

import numpy as np
import pytest
import torch

from soke.data import frame_files, read_frames, read_motion_file
from tests.data.conftest import as_parameters, dump, motion


def touch(folder, *names):
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_frames_come_in_the_order_of_their_numbers(tmp_path):
    names = [f"a_{i}_3D.pkl" for i in (10, 9, 100, 1, 0)]
    assert [n for n, _ in frame_files(touch(tmp_path / "a", *names))] == [0, 1, 9, 10, 100]


@pytest.mark.parametrize("clip", ["0vNf_t2_11-8-rgb_front", "clip_3", "clip_3D", "7", "x_7_7"])
def test_digits_of_the_clip_are_not_its_frames(tmp_path, clip):
    folder = touch(tmp_path / clip, *(f"{clip}_{i}_3D.pkl" for i in range(12)))
    files = frame_files(folder)
    assert [number for number, _ in files] == list(range(12))
    assert files[10][1] == folder / f"{clip}_10_3D.pkl"


@pytest.mark.parametrize(
    "pattern", ["images{:04d}.pkl", "{}.pkl", "{:06d}_3D.pkl", "{}.jpg_3D.pkl"]
)
def test_other_names_with_numbers_and_gaps(tmp_path, pattern):
    numbers = [2, 3, 7, 11, 30]
    folder = touch(tmp_path / "1", *map(pattern.format, numbers), ".hidden_1.pkl", "readme_1.txt")
    assert [number for number, _ in frame_files(folder)] == numbers


def test_names_without_usable_numbers_are_sorted_naturally(tmp_path):
    folder = touch(tmp_path / "a", "b10-x1.pkl", "b9-x1.pkl", "last.pkl")
    assert [(n, p.name) for n, p in frame_files(folder)] == [
        (0, "b9-x1.pkl"),
        (1, "b10-x1.pkl"),
        (2, "last.pkl"),
    ]
    folder = touch(tmp_path / "b", "b10-x1.pkl", "b9-x1.pkl")
    assert [(n, p.name) for n, p in frame_files(folder)] == [(0, "b9-x1.pkl"), (1, "b10-x1.pkl")]


def test_both_releases_hold_the_same_frames(tmp_path):
    frames = motion(5)
    paths = [dump(tmp_path / f"{i}.pkl", as_parameters(frame)) for i, frame in enumerate(frames)]
    read = read_frames(paths).frames
    assert read.dtype == np.float32 and read.shape == (5, 179)
    np.testing.assert_array_equal(read, frames)
    clip = dump(tmp_path / "clip.pkl", as_parameters(frames.astype(np.float64)))
    np.testing.assert_array_equal(read_motion_file(clip).frames, frames)
    assert read_motion_file(clip).frames.dtype == np.float32
    clip.write_bytes(gzip.compress(clip.read_bytes()))
    np.testing.assert_array_equal(read_motion_file(clip).frames, frames)


def damaged(change):
    pose = as_parameters(motion(4))
    change(pose)
    return pose


FAULTS = [
    (lambda pose: pose.pop("smplx_rhand_pose"), "'smplx_rhand_pose' is missing"),
    (lambda pose: pose.update(smplx_expr=torch.zeros(4, 10)), "'smplx_expr' holds torch._utils"),
    (lambda pose: pose.update(smplx_jaw_pose=[0.0, 0.0, 0.0]), "'smplx_jaw_pose' has to be"),
    (lambda pose: pose.update(smplx_expr=np.array(["a"] * 10)), "'smplx_expr' has to be"),
    (lambda pose: pose.update(smplx_lhand_pose=np.zeros((4, 44))), "'smplx_lhand_pose' has shape"),
    (lambda pose: pose.update(smplx_lhand_pose=np.zeros(())), "'smplx_lhand_pose' has shape"),
    (lambda pose: pose.update(smplx_rhand_pose=np.zeros((3, 45))), "'smplx_rhand_pose': 3"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_faults_of_a_clip_file_are_named(tmp_path, change, message):
    path = dump(tmp_path / "clip_7.pkl", damaged(change))
    with pytest.raises(ValueError, match=message) as error:
        read_motion_file(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("key", ["smplx_root_pose", "smplx_rhand_pose", "smplx_expr"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_name_the_frame_file(tmp_path, key, value):
    poses = [as_parameters(frame.astype(np.float64)) for frame in motion(5)]
    poses[3][key][-1] = value
    paths = [dump(tmp_path / f"f_{i}.pkl", pose) for i, pose in enumerate(poses)]
    with pytest.raises(ValueError, match=rf"f_3\.pkl: '{key}' holds"):
        read_frames(paths)
    clip = {name: np.stack([pose[name] for pose in poses]) for name in poses[0]}
    with pytest.raises(ValueError, match=rf"clip\.pkl: '{key}' holds .* in frame 3"):
        read_motion_file(dump(tmp_path / "clip.pkl", clip))


def test_a_frame_file_that_is_none_is_named(tmp_path):
    good = dump(tmp_path / "f_0.pkl", as_parameters(motion(1)[0]))
    for content in (b"", pickle.dumps([1, 2]), good.read_bytes()[:-30]):
        bad = tmp_path / "f_1.pkl"
        bad.write_bytes(content)
        with pytest.raises(ValueError, match=r"f_1\.pkl"):
            read_frames([good, bad])
    with pytest.raises(ValueError, match="has 2 frames; a frame file has one"):
        read_frames([dump(tmp_path / "f_1.pkl", as_parameters(motion(2)))])
    with pytest.raises(ValueError, match="at least one frame"):
        read_frames([])
    with pytest.raises(ValueError, match="above 0"):
        read_motion_file(dump(tmp_path / "clip.pkl", as_parameters(motion(0))))
