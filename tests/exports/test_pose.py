import numpy as np
import pytest
import torch
from pose_format import Pose

from soke.exports import export


@pytest.fixture(scope="module")
def read(tmp_path_factory, body, motion):
    (path,) = export("pose", tmp_path_factory.mktemp("pose") / "x", motion, body, 24)
    assert path.name == "x.pose"
    return Pose.read(path.read_bytes())


def metres(pose):
    """Points [T, N, 3] in the body's axes, but for where the origin is."""
    return pose.body.data.filled(np.nan)[:, 0] * np.array([1, -1, -1]) / 1000


def test_points_are_those_that_are_scored(read, body, motion):
    expected = body.scored_points(torch.as_tensor(motion), all_joints=True)
    counts = {c.name: len(c.points) for c in read.header.components}
    assert counts == {
        "SMPLX_BODY": 13,
        "SMPLX_LEFT_HAND": 21,
        "SMPLX_RIGHT_HAND": 21,
        "SMPLX_FACE": 68,
    }
    assert read.body.fps == 24 and read.body.data.shape == (9, 1, 123, 3)
    assert (read.body.confidence == 1).all()
    found = metres(read)
    together = torch.cat(
        [expected["body"], expected["lhand"], expected["rhand"], expected["joints"][:, 76:]], dim=1
    ).numpy()
    origin = together[:1, :1] - found[:1, :1]
    np.testing.assert_allclose(found + origin, together, atol=1e-6)


def test_names_find_their_points(read, body, motion):
    joints = body(torch.as_tensor(motion)).joints.numpy()
    found = metres(read)
    pelvis = read.header.get_point_index("SMPLX_BODY", "pelvis")
    for component, name, joint in (
        ("SMPLX_BODY", "left_wrist", 20),
        ("SMPLX_BODY", "nose", 55),
        ("SMPLX_RIGHT_HAND", "INDEX_TIP", 72),
        ("SMPLX_LEFT_HAND", "LITTLE_TIP", 70),
        ("SMPLX_LEFT_HAND", "THUMB_TIP", 66),
        ("SMPLX_FACE", "mouth_bottom", 116),
    ):
        index = read.header.get_point_index(component, name)
        np.testing.assert_allclose(
            found[:, index] - found[:, pelvis], joints[:, joint] - joints[:, 0], atol=1e-6
        )


def test_the_picture_shows_the_signer_upright(tmp_path, body):
    (path,) = export("pose", tmp_path / "x", np.zeros((1, 133)), body, 25)
    pose = Pose.read(path.read_bytes())
    x, y, z = pose.body.data[0, 0].T
    assert x.min() > 0 and x.max() < pose.header.dimensions.width
    assert y.min() > 0 and y.max() < pose.header.dimensions.height
    at = {p: i for i, p in enumerate(pose.header.components[0].points)}
    assert y[at["nose"]] < y[at["neck"]] < y[at["pelvis"]]
    assert x[at["left_wrist"]] > x[at["right_wrist"]]  # seen from in front
    assert z[at["nose"]] < z[at["neck"]]


def test_limbs_join_neighbours(read):
    found = metres(read)
    first = 0
    for component in read.header.components:
        assert len(component.limbs) == len(component.colors) > 0
        for a, b in component.limbs:
            longest = np.linalg.norm(found[:, first + a] - found[:, first + b], axis=1).max()
            assert longest < (0.06 if "FACE" in component.name else 0.7), component.points[a]
        first += len(component.points)
