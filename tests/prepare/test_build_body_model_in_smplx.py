"""The shipped body in the `smplx` library: it loads, and it moves as SMPL-X does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import smplx
import torch

import soke.body
from prepare.build_body_model.joints import JOINT, JOINT_NAMES
from prepare.build_body_model.landmarks import VERTEX_NUMBERS

FOLDER = Path(soke.body.__file__).parent / "assets" / "smplx"
SIDES = ("left", "right")
FINGERS = ("thumb", "index", "middle", "ring", "pinky")


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "SMPLX_NEUTRAL.npz", allow_pickle=False) as file:
        return dict(file)


def load_body(flat_hand_mean: bool) -> smplx.SMPLX:
    return smplx.SMPLX(
        str(FOLDER),
        gender="neutral",
        ext="npz",
        use_pca=False,
        use_face_contour=True,
        flat_hand_mean=flat_hand_mean,
        num_betas=10,
        num_expression_coeffs=10,
    )


@pytest.fixture(scope="module")
def body() -> smplx.SMPLX:
    return load_body(flat_hand_mean=True)


def pose(body: smplx.SMPLX, **rotations: tuple[float, float, float]):
    """Joints [144, 3] and vertices [10475, 3] with the named joints turned (axis-angle)."""
    full = torch.zeros(1, len(JOINT_NAMES), 3)
    for name, rotation in rotations.items():
        full[0, JOINT[name]] = torch.tensor(rotation)
    with torch.no_grad():
        output = body(
            body_pose=full[:, 1:22].flatten(1),
            jaw_pose=full[:, 22],
            left_hand_pose=full[:, 25:40].flatten(1),
            right_hand_pose=full[:, 40:55].flatten(1),
        )
    return output.joints[0].numpy(), output.vertices[0].numpy()


def test_smplx_loads_it_without_a_word(capfd, recwarn):
    body = load_body(flat_hand_mean=False)
    output = body()
    assert output.vertices.shape == (1, 10475, 3)
    assert output.joints.shape == (1, 144, 3)
    assert torch.isfinite(output.joints).all()
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_arms_and_head_turn_as_in_smplx(body):
    rest, _ = pose(body)
    for side, sign in zip(SIDES, (1, -1)):
        assert rest[JOINT[f"{side}_wrist"], 0] * sign > 0.5
        bent, _ = pose(body, **{f"{side}_elbow": (0, -sign * 1.2, 0)})
        moved = (bent - rest)[JOINT[f"{side}_wrist"]]
        assert moved[2] > 0.15  # forward
        assert moved[0] * sign < -0.05
    nose = VERTEX_NUMBERS["nose"]
    _, turned = pose(body, head=(0, 0.8, 0))
    assert turned[nose, 0] > 0.04  # about +y: towards its left


def test_fingers_curl_to_the_palm(body):
    rest, _ = pose(body)
    for side, sign in (("left", -1), ("right", 1)):
        for finger in FINGERS[1:]:
            curled, vertices = pose(
                body, **{f"{side}_{finger}{k}": (0, 0, sign * 1.2) for k in (1, 2, 3)}
            )
            tip = vertices[VERTEX_NUMBERS[f"{side}_{finger}"]]
            knuckle = rest[JOINT[f"{side}_{finger}1"]]
            assert tip[1] < knuckle[1] - 0.01  # palms face down in the T pose
            straight = body.v_template[VERTEX_NUMBERS[f"{side}_{finger}"]].numpy()
            wrist = rest[JOINT[f"{side}_wrist"]]
            assert np.linalg.norm(tip - wrist) < 0.7 * np.linalg.norm(straight - wrist)
            others = [JOINT[f"{side}_{name}3"] for name in FINGERS if name != finger]
            np.testing.assert_allclose(curled[others], rest[others], atol=1e-6)


def test_jaw_opens_the_mouth(body):
    shut, _ = pose(body)
    opened, _ = pose(body, jaw=(0.4, 0, 0))
    upper, lower = 76 + 44 + 1, 76 + 48 + 1  # inner lips: three points above, three below
    gap_shut = np.linalg.norm(shut[upper + 1] - shut[lower + 1])
    gap_opened = np.linalg.norm(opened[upper + 1] - opened[lower + 1])
    assert gap_opened > gap_shut + 0.015


def test_relaxed_hands_are_the_mean(arrays):
    left, right = (arrays[name].reshape(15, 3) for name in ("hands_meanl", "hands_meanr"))
    np.testing.assert_allclose(right, left * [1, -1, -1])
    assert (np.linalg.norm(left, axis=1) > 0.1).all()
    relaxed, _ = pose(load_body(flat_hand_mean=False))
    flat, _ = pose(load_body(flat_hand_mean=True))
    fingers = [JOINT[f"left_{finger}3"] for finger in FINGERS[1:]]
    assert ((flat - relaxed)[fingers, 1] > 0.01).all()


def test_face_points_follow_the_ibug_order(body):
    """68 points: brows, nose, eyes and lips from index 76, then the jaw line from right to left."""
    joints, _ = pose(body)
    inner, jaw_line = joints[76:127], joints[127:144]
    assert (np.diff(jaw_line[:, 0]) > 0).all()
    assert jaw_line[:, 1].argmin() == 8
    brows, nose, eyes, lips = np.split(inner, [10, 19, 31])
    assert brows[:, 1].min() > eyes[:, 1].max() > nose[4:, 1].max() > lips[:, 1].max()
    assert (np.diff(brows[:, 0]) > 0).all()
    assert lips[[0, 6], 0] @ [-1, 1] > 0.03  # corners of the mouth: right, left


def test_shapes_and_expressions(arrays, body):
    directions = arrays["shapedirs"]
    assert directions.shape == (10475, 3, 400)
    used = np.flatnonzero(np.abs(directions).max((0, 1)))
    assert used.tolist() == [*range(10), *range(300, 310)]
    heights = np.ptp(arrays["v_template"][:, 1] + directions[:, 1, 0])
    assert heights > np.ptp(arrays["v_template"][:, 1]) + 0.05  # a unit of beta 0 is 8 cm
    with torch.no_grad():
        neutral, _ = pose(body)
        for number in range(10):
            expression = torch.zeros(1, 10)
            expression[0, number] = 2
            joints = body(expression=expression).joints[0].numpy()
            moved = np.linalg.norm(joints - neutral, axis=1)
            assert moved[:55].max() < 1e-3  # expressions leave the skeleton alone
            assert moved[76:].max() > 2e-3
        jaw_open = torch.nn.functional.one_hot(torch.tensor([1]), 10).float() * 2
        chin = body(expression=jaw_open).joints[0].numpy()[127 + 8]
    assert chin[1] < neutral[127 + 8, 1] - 0.01
