"""Shape directions (betas) and expression directions, as displacements of vertices and joints."""

from __future__ import annotations

import numpy as np

from prepare.build_body_model.joints import JOINT
from prepare.build_body_model.makehuman import MakeHuman
from prepare.build_body_model.phenotypes import sample_phenotype
from prepare.build_body_model.t_pose import TPose

SHAPE_COUNT = 10
_SAMPLES = 160
_SEED = 0

_FACE_UNITS = "faceunits01/targets/faceunits"

#: An expression is a sum of MakeHuman's face units. Coefficient 2 is the full action, since
#: SMPL-X's coefficients have about unit variance.
EXPRESSIONS: dict[str, dict[str, float]] = {
    "smile": {"mouthSmileLeft": 1, "mouthSmileRight": 1},
    "jaw_open": {"jawOpen": 1},
    "pucker": {"mouthPucker": 0.7, "mouthFunnel": 0.5},
    "brow_up": {"browInnerUp": 1, "browOuterUpLeft": 1, "browOuterUpRight": 1},
    "brow_down": {"browDownLeft": 1, "browDownRight": 1},
    "blink": {"eyeBlinkLeft": 1, "eyeBlinkRight": 1},
    "cheek_puff": {"cheekPuff": 1},
    "frown": {"mouthFrownLeft": 1, "mouthFrownRight": 1, "mouthShrugLower": 0.5},
    "sneer": {
        "noseSneerLeft": 1,
        "noseSneerRight": 1,
        "mouthUpperUpLeft": 0.5,
        "mouthUpperUpRight": 0.5,
    },
    "mouth_stretch": {"mouthStretchLeft": 1, "mouthStretchRight": 1},
}
_FULL_ACTION = 2.0


def shape_directions(source: MakeHuman, pose: TPose) -> tuple[np.ndarray, np.ndarray]:
    """Principal components of randomly drawn adults, scaled so that betas have unit variance.

    Returns displacements of the vertices [10, V, 3] and of the joints [10, J, 3] in metres a unit.
    The sign of a component is free. It is fixed so that the files do not depend on the linear
    algebra library: a larger first beta is a taller body, a larger second one has broader
    shoulders, and a larger beta of any other index has narrower ones.
    """
    rng = np.random.default_rng(_SEED)
    posed = [pose.apply(sample_phenotype(rng).mesh(source)) for _ in range(_SAMPLES)]
    vertices = np.array([vertices.ravel() for vertices, _ in posed])
    joints = np.array([joints.ravel() for _, joints in posed])
    vertices -= vertices.mean(0)
    joints -= joints.mean(0)
    left, _, _ = np.linalg.svd(vertices, full_matrices=False)
    coefficients = left[:, :SHAPE_COUNT] * np.sqrt(_SAMPLES - 1)
    vertices = (coefficients.T @ vertices / (_SAMPLES - 1)).reshape(SHAPE_COUNT, -1, 3)
    joints = (coefficients.T @ joints / (_SAMPLES - 1)).reshape(SHAPE_COUNT, -1, 3)

    growth = joints[:, JOINT["left_shoulder"], 0] - joints[:, JOINT["right_shoulder"], 0]
    growth[2:] *= -1
    growth[0] = joints[0, JOINT["head"], 1] - joints[0, JOINT["left_ankle"], 1]
    signs = np.sign(growth)[:, None, None]
    return vertices * signs, joints * signs


def expression_directions(source: MakeHuman, pose: TPose) -> np.ndarray:
    """Displacements of the vertices [10, V, 3] in metres a unit; the joints do not move."""
    directions = []
    for units in EXPRESSIONS.values():
        action = np.zeros_like(source.vertices)
        for name, weight in units.items():
            unit = source.target(f"{_FACE_UNITS}/{name}.target")
            assert unit is not None, f"no face unit {name}"
            action += weight * unit
        directions.append(pose.rotate(action) / _FULL_ACTION)
    return np.array(directions)
