import numpy as np
import pytest
import torch
from pybvh import read_bvh_file

from soke.exports import export
from soke.exports.bvh import bvh_text


def read(path):
    return read_bvh_file(path, world_up="+y")


def positions(bvh):
    """Joints by name [T, 3], metres."""
    names = [node.name for node in bvh.nodes]
    return dict(zip(names, bvh.node_positions().transpose(1, 0, 2) / 100))


def test_another_reader_finds_the_bodys_joints(tmp_path, body, still_face):
    (path,) = export("bvh", tmp_path / "x", still_face, body, 24)
    assert path == tmp_path / "x.bvh"
    bvh = read(path)
    assert bvh.frame_count == 9 and bvh.fps == pytest.approx(24)
    found = positions(bvh)
    joints = body(torch.as_tensor(still_face)).joints[:, :55].numpy()
    from smplx.joint_names import JOINT_NAMES

    for number, name in enumerate(JOINT_NAMES[:55]):
        np.testing.assert_allclose(found[name], joints[:, number], atol=2e-6, err_msg=name)


def test_finger_tips_are_where_the_surface_has_them(tmp_path, body):
    (path,) = export("bvh", tmp_path / "x.bvh", np.zeros((1, 133)), body, 25)
    nodes = read(path)
    places = nodes.node_positions()[0] / 100
    names = [node.name for node in nodes.nodes]
    tip = places[names.index("right_index3") + 1]  # the end site follows its joint
    surface = body(torch.zeros(1, 133)).joints[0, 72].numpy()
    # At rest but for the relaxed hand, whose last joint turns the tip.
    relaxed = body.full_pose(torch.zeros(1, 133))[0][0, 42].norm()
    assert np.linalg.norm(tip - surface) < 2e-3, relaxed


def test_channels_are_as_documented(body, still_face):
    lines = bvh_text(body, still_face, 25).splitlines()
    channels = [line.split() for line in lines if "CHANNELS" in line]
    assert channels[0][1:] == [
        "6",
        *"Xposition Yposition Zposition".split(),
        *"Zrotation Xrotation Yrotation".split(),
    ]
    assert len(channels) == 55
    assert all(c[1:] == ["3", "Zrotation", "Xrotation", "Yrotation"] for c in channels[1:])
    start = lines.index("MOTION")
    assert lines[start + 1] == "Frames: 9" and lines[start + 2] == "Frame Time: 0.0400000000"
    assert [len(line.split()) for line in lines[start + 3 :]] == [6 + 54 * 3] * 9


def test_angles_do_not_leap(body):
    motion = np.zeros((200, 133), np.float32)
    phase = np.linspace(0, 4 * np.pi, 200)
    motion[:, 60] = 3 * np.sin(phase)
    motion[:, 61] = 2 * np.cos(phase)
    motion[:, 12] = np.linspace(-6, 6, 200)
    lines = bvh_text(body, motion, 25).splitlines()
    rows = np.array([line.split() for line in lines[lines.index("MOTION") + 3 :]], float)
    turning = np.abs(np.diff(rows, axis=0))
    # Away from a gimbal lock a joint's angles turn about as fast as the joint itself.
    assert np.quantile(turning.max(axis=0), 0.99) < 60
    assert turning.max() < 190
