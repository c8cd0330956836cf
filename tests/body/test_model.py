import numpy as np
import pytest
import smplx
import torch

from soke.body import (
    ALL_JOINTS,
    POINT_SETS,
    SIGNER_BETAS,
    STAND_IN,
    BodyModel,
    locate_body_model,
)
from soke.parts import features_to_frames, frame_slices


@pytest.fixture(scope="module")
def body():
    return BodyModel()


@pytest.fixture(scope="module")
def motion():
    return torch.randn(7, 133, generator=torch.Generator().manual_seed(0)) * 0.4


def reference(path, motion):
    """The smplx library itself."""
    model = smplx.SMPLX(
        str(path),
        use_pca=False,
        use_face_contour=True,
        flat_hand_mean=False,
        num_betas=10,
        num_expression_coeffs=10,
        batch_size=len(motion),
    )
    frames = features_to_frames(motion, torch.tensor(SIGNER_BETAS))
    at = frame_slices()
    with torch.no_grad():
        return model(
            betas=frames[:, at["smplx_shape"]],
            global_orient=frames[:, at["smplx_root_pose"]],
            body_pose=frames[:, at["smplx_body_pose"]],
            left_hand_pose=frames[:, at["smplx_lhand_pose"]],
            right_hand_pose=frames[:, at["smplx_rhand_pose"]],
            jaw_pose=frames[:, at["smplx_jaw_pose"]],
            expression=frames[:, at["smplx_expr"]],
        )


def test_vertices_and_joints_are_those_of_smplx(body, motion):
    ours = body(motion)
    theirs = reference(STAND_IN, motion)
    assert ours.vertices.shape == (7, 10475, 3) and ours.joints.shape == (7, 144, 3)
    torch.testing.assert_close(ours.vertices, theirs.vertices, atol=2e-6, rtol=0)
    torch.testing.assert_close(ours.joints, theirs.joints, atol=2e-6, rtol=0)
    torch.testing.assert_close(body.vertices(motion), ours.vertices)


def test_pose_correctives_are_applied_where_a_model_has_them(tmp_path, motion):
    with np.load(STAND_IN) as file:
        arrays = {key: file[key] for key in file.files}
    draw = np.random.default_rng(0)
    arrays["posedirs"] = draw.normal(size=arrays["posedirs"].shape).astype(np.float32) * 1e-3
    arrays["labels"] = np.array([{"an": "object"}], dtype=object)  # as in the licensed file
    path = tmp_path / "SMPLX_NEUTRAL.npz"
    np.savez(path, **arrays)
    model = BodyModel(path)
    theirs = reference(path, motion)
    torch.testing.assert_close(model(motion).vertices, theirs.vertices, atol=2e-6, rtol=0)
    points = model.scored_points(motion)["rhand"]
    torch.testing.assert_close(points[:, 4], theirs.vertices[:, 8079], atol=2e-6, rtol=0)


def test_scored_points_equal_the_protocol_on_the_full_body(body, motion):
    output = body(motion)
    points = body.scored_points(motion)
    for name, point_set in POINT_SETS.items():
        for k, (kind, index) in enumerate(point_set.points):
            expected = {
                "joint": lambda i: output.joints[:, i],
                "row": lambda i: body.regressor[i] @ output.vertices,
                "vertex": lambda i: output.vertices[:, i],
            }[kind](index)
            torch.testing.assert_close(points[name][:, k], expected, atol=2e-6, rtol=0)
    assert points["body"].shape == (7, 13, 3) and points["lhand"].shape == (7, 21, 3)


def test_all_joints_come_with_the_same_points(body, motion):
    few = body.scored_points(motion)
    all_of_them = body.scored_points(motion, all_joints=True)
    assert set(all_of_them) == {*few, ALL_JOINTS}
    assert all(torch.equal(all_of_them[name], points) for name, points in few.items())
    joints = all_of_them[ALL_JOINTS]
    theirs = reference(STAND_IN, motion).joints
    torch.testing.assert_close(joints, theirs, atol=2e-6, rtol=0)
    turned = motion.clone()  # the neck, whose three features come first
    turned[:, :3] = torch.linspace(-1, 1, 7)[:, None] * torch.tensor([0, 1, 0])
    joints = body.scored_points(turned, all_joints=True)[ALL_JOINTS]
    torch.testing.assert_close(joints, reference(STAND_IN, turned).joints, atol=2e-6, rtol=0)
    for points in POINT_SETS.values():
        if points.joints:
            scored = few[points.name][:, points.scored]
            torch.testing.assert_close(scored, all_of_them[ALL_JOINTS][:, points.joints])


def test_a_clip_does_not_depend_on_its_batch(body, motion):
    together = body.scored_points(motion)["rhand"]
    alone = body.scored_points(motion[3:4])["rhand"]
    torch.testing.assert_close(together[3:4], alone, atol=1e-6, rtol=0)


def test_the_licensed_model_is_preferred(tmp_path):
    assert locate_body_model(tmp_path) == STAND_IN
    (tmp_path / "smplx").mkdir()
    licensed = tmp_path / "smplx" / "SMPLX_NEUTRAL.npz"
    licensed.write_bytes(STAND_IN.read_bytes())
    assert locate_body_model(tmp_path) == licensed
    assert BodyModel(licensed).name.startswith("SMPL-X neutral")
    assert "not SMPL-X" in BodyModel().name


def test_regions_cover_the_hands(body):
    regions = body.regions
    template = body.template.numpy()
    assert (
        template[regions["left_hand"], 0].min()
        > 0.4
        > -0.4
        > template[regions["right_hand"], 0].max()
    )


def test_positions_are_exact_under_mixed_precision(body, motion):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        points = body.scored_points(motion)
        vertices = body.vertices(motion)
    torch.testing.assert_close(points["rhand"], body.scored_points(motion)["rhand"])
    torch.testing.assert_close(vertices, body.vertices(motion))
