"""The matrix that finds the joints from the vertices, J = R V, as SMPL-X does for any shape.

Each row is a non-negative least-squares fit over vertices near the joint. Beside the position it
asks that the estimate follow the joint when the shape changes, ignore expressions, and keep still
relative to the skeleton when any joint rotates, so that it also works on posed meshes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from prepare.build_body_model.joints import JOINT, JOINT_NAMES, MIRRORED_JOINTS, PARENTS

_CANDIDATES = 500
#: Weights of the equations, most important first; all but the first are per metre.
_SUM_WEIGHT = 10.0
_POSITION_WEIGHT = 3000.0
_POSE_WEIGHT = 100.0
_SHAPE_WEIGHT = 30.0
_EXPRESSION_WEIGHT = 10.0
#: The ridge spreads a row over many vertices, and prefers those near the joint (within about
#: `_NEAR` metres) and those moved by it or its parent alone.
_RIDGE = 0.01
_NEAR = 0.02
_STRANGER_PENALTY = 10.0
_SMALLEST = 1e-4

_EYES = (JOINT["left_eye"], JOINT["right_eye"])
_AROUND_PELVIS = (JOINT["left_hip"], JOINT["right_hip"], JOINT["spine1"])
_COLLARS = (JOINT["left_collar"], JOINT["right_collar"])


@dataclass(frozen=True)
class Rig:
    """The T-posed neutral body that rows are fitted to, in metres.

    ``vertices`` [V, 3], ``joints`` [J, 3], ``weights`` [V, J], ``mirror`` [V], displacements a
    unit of shape (``shape_vertices`` [K, V, 3], ``shape_joints`` [K, J, 3]) and of expression
    (``expressions`` [E, V, 3]).
    """

    vertices: np.ndarray
    joints: np.ndarray
    weights: np.ndarray
    mirror: np.ndarray
    shape_vertices: np.ndarray
    shape_joints: np.ndarray
    expressions: np.ndarray


def fit_joint_regressor(rig: Rig) -> np.ndarray:
    """The regressor [J, V]: rows are non-negative, sum to 1 and mirror each other exactly."""
    regressor = np.zeros((len(JOINT_NAMES), len(rig.vertices)))
    for joint in range(len(JOINT_NAMES)):
        candidates, family = _candidates(rig, joint)
        equations, values = _equations(rig, joint, candidates)
        ridge = np.diag(_ridge(rig, joint, candidates, family))
        row, _ = nnls(
            np.concatenate([equations, ridge]),
            np.concatenate([values, np.zeros(len(candidates))]),
            maxiter=20 * len(candidates),
        )
        row[row < _SMALLEST] = 0
        regressor[joint, candidates] = row / row.sum()
    return (regressor + regressor[list(MIRRORED_JOINTS)][:, rig.mirror]) / 2


def _candidates(rig: Rig, joint: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [C] that may be used for a joint, and how much it and its parent move each. [C]

    Both sides of a joint are needed to hold it in place when it bends.
    """
    own = rig.weights[:, joint]
    if joint in _EYES:
        eyeball = np.flatnonzero(own > 0.5)
        return eyeball, np.ones(len(eyeball))
    if PARENTS[joint] < 0:
        around = own + rig.weights[:, list(_AROUND_PELVIS)].sum(1)
        candidates = np.flatnonzero(around > 0.98)
        return candidates, own[candidates]
    family = own + rig.weights[:, PARENTS[joint]]
    suitable = family > (0.2 if joint in _COLLARS else 0.5)
    if joint == JOINT["jaw"]:
        suitable &= own < 0.01  # the hinge must stay where it is when the mouth opens
    candidates = np.flatnonzero(suitable)
    nearest = np.argsort(_distances(rig, joint, candidates), kind="stable")[:_CANDIDATES]
    return candidates[nearest], family[candidates[nearest]]


def _equations(rig: Rig, joint: int, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows [E, C] and values [E] of the least-squares problem without its ridge."""
    offsets = (rig.vertices[candidates] - rig.joints[joint]).T  # [3, C]
    rows = [np.full((1, len(candidates)), _SUM_WEIGHT), _POSITION_WEIGHT * offsets]
    for weights in rig.weights[candidates].T:
        if weights.max() > 0.02:  # this joint moves some of them
            rows.append(_POSE_WEIGHT * weights * offsets)
    for vertices, joints in zip(rig.shape_vertices, rig.shape_joints):
        rows.append(_SHAPE_WEIGHT * (vertices[candidates] - joints[joint]).T)
    for expression in rig.expressions:
        rows.append(_EXPRESSION_WEIGHT * expression[candidates].T)
    equations = np.concatenate(rows)
    values = np.zeros(len(equations))
    values[0] = _SUM_WEIGHT
    return equations, values


def _ridge(rig: Rig, joint: int, candidates: np.ndarray, family: np.ndarray) -> np.ndarray:
    nearness = 1 + _distances(rig, joint, candidates) / _NEAR
    return _RIDGE * nearness * (1 + _STRANGER_PENALTY * (1 - family))


def _distances(rig: Rig, joint: int, vertices: np.ndarray) -> np.ndarray:
    return np.linalg.norm(rig.vertices[vertices] - rig.joints[joint], axis=1)
