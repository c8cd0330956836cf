import numpy as np
import pytest
import torch
import trimesh

from soke.exports import export, skinned_glb, skinning_error
from soke.exports.skinned_mesh import Rig
from soke.visualization.scene import body_colors
from tests.exports.gltf import Glb


def posed(body, motion):
    return body.vertices(torch.as_tensor(motion)).numpy()


def test_with_eight_weights_the_file_is_the_body(body, still_face):
    glb = Glb(skinned_glb(body, still_face, 25, influences=8))
    for frame, exact in enumerate(posed(body, still_face)):
        np.testing.assert_allclose(glb.vertices(frame), exact, atol=5e-6)
    joints = body(torch.as_tensor(still_face)).joints[:, :55].numpy()
    np.testing.assert_allclose(glb.joints(4)[:, :3, 3], joints[4], atol=2e-6)
    np.testing.assert_allclose(glb.times, np.arange(9) / 25, atol=1e-7)


def test_the_face_moves(body, motion, still_face):
    glb = Glb(skinned_glb(body, motion, 25, influences=8))
    assert len(glb.primitive["targets"]) == 10
    exact = posed(body, motion)
    still = posed(body, still_face)
    assert np.abs(exact - still).max() > 3e-3
    for frame in (0, 8):
        np.testing.assert_allclose(glb.vertices(frame), exact[frame], atol=2e-4)

    assert "targets" not in Glb(skinned_glb(body, still_face, 25)).primitive
    assert "targets" not in Glb(skinned_glb(body, motion, 25, expression=False)).primitive


def test_the_stated_error_is_that_of_the_file(body, motion):
    glb = Glb(skinned_glb(body, motion, 25))
    apart = np.stack([glb.vertices(frame) for frame in range(len(motion))]) - posed(body, motion)
    apart = 1000 * np.linalg.norm(apart, axis=2)
    stated = skinning_error(body, motion)
    assert stated.mean == pytest.approx(apart.mean(), abs=1e-3)
    assert stated.maximum == pytest.approx(apart.max(), abs=1e-2)
    hands = np.concatenate([body.regions["left_hand"], body.regions["right_hand"]])
    assert stated.hands_mean == pytest.approx(apart[:, hands].mean(), abs=1e-3)
    assert 0.01 < stated.mean < 0.1 and stated.maximum > 1
    assert skinning_error(body, motion, influences=8).maximum < 0.2


def test_missing_corrections_of_bent_joints_count(corrected_body, body, still_face):
    stated = skinning_error(corrected_body, still_face, influences=8)
    apart = posed(corrected_body, still_face) - posed(body, still_face)
    lengths = 1000 * np.linalg.norm(apart, axis=2)
    assert lengths.mean() > 1
    assert stated.mean == pytest.approx(lengths.mean(), rel=1e-3)
    assert stated.maximum == pytest.approx(lengths.max(), rel=1e-3)


def test_trimesh_reads_the_surface_and_the_first_pose(tmp_path, body, motion):
    tint = (92, 122, 168)
    (path,) = export("glb", tmp_path / "x", motion, body, 25, text="Grüße", tint=tint)
    scene = trimesh.load(path, process=False)
    (mesh,) = scene.geometry.values()
    np.testing.assert_array_equal(mesh.faces, body.faces)
    np.testing.assert_allclose(mesh.vertices, body.template.numpy(), atol=1e-7)
    expected = trimesh.Trimesh(body.template.numpy(), body.faces, process=False).vertex_normals
    angles = (mesh.vertex_normals * expected).sum(axis=1)
    assert (angles > 0.7).mean() > 0.999
    joints = body(torch.as_tensor(motion)).joints[0].numpy()
    for number, name in ((0, "pelvis"), (12, "neck"), (21, "right_wrist"), (39, "left_thumb3")):
        matrix, _ = scene.graph.get(name)
        np.testing.assert_allclose(matrix[:3, 3], joints[number], atol=1e-3)

    glb = Glb(path.read_bytes())
    linear = glb.attribute("COLOR_0")[:, :3]
    back = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(back - body_colors(10475, body.regions, tint, body.faces)).max() < 0.02
    extras = glb.json["scenes"][0]["extras"]
    assert extras["text"] == "Grüße" and extras["fps"] == 25 and extras["body"] == body.name
    assert extras["skinning_error_mm"]["mean"] == pytest.approx(skinning_error(body, motion).mean)
    assert glb.json["animations"][0]["name"] == "Grüße"


def test_quaternions_turn_the_short_way(body):
    motion = np.zeros((21, 133), np.float32)
    motion[:, 60] = np.linspace(-6, 6, 21)  # past half a turn both ways
    glb = Glb(skinned_glb(body, motion, 25))
    animation = glb.json["animations"][0]
    tracks = [glb.array(sampler["output"]) for sampler in animation["samplers"]]
    for values in tracks:
        np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1, atol=1e-6)
        assert ((values[1:] * values[:-1]).sum(axis=1) > 0).all()
    assert max(np.ptp(values, axis=0).max() for values in tracks) > 1


def test_joints_at_rest_have_no_track_and_weights_sum_to_one(body, still_face):
    glb = Glb(skinned_glb(body, still_face, 25))
    nodes = glb.json["nodes"]
    moving = {nodes[c["target"]["node"]]["name"] for c in glb.json["animations"][0]["channels"]}
    assert "left_knee" not in moving and {"left_index2", "head", "jaw"} <= moving
    np.testing.assert_allclose(glb.attribute("WEIGHTS_0").sum(axis=1), 1, atol=1e-6)
    assert glb.attribute("JOINTS_0")[glb.attribute("WEIGHTS_0") == 0].max() == 0


def test_one_frame_and_wrong_options(body, motion):
    glb = Glb(skinned_glb(body, motion[:1], 25))
    assert glb.times.tolist() == [0]
    rest = Glb(skinned_glb(body, np.zeros((1, 133)), 25, influences=8))
    np.testing.assert_allclose(rest.vertices(0), posed(body, np.zeros((1, 133)))[0], atol=5e-6)
    with pytest.raises(ValueError, match="4 or 8 weights per vertex, not 5"):
        Rig(body, 5)
    with pytest.raises(ValueError, match=r"colours are .10475, 3. from 0 to 1"):
        skinned_glb(body, motion, 25, colors=np.full((10475, 3), 2.0))
