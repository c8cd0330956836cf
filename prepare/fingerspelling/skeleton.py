"""The body that is posed: rest joints and mean hand of the SMPL-X model at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prepare.fingerspelling.rotations import from_axis_angle
from soke.body import SIGNER_BETAS, body_name, locate_body_model
from soke.body.model_files import read_body_arrays
from soke.files import checksum

JOINTS = 55
NECK = 12
HEAD = 15
JAW = 22
HANDS = slice(25, 55)


@dataclass(frozen=True)
class Skeleton:
    """Rest pose of one body model with the signer's shape.

    joints: [55, 3] metres, +x to the signer's left, +y up, +z to the viewer; all rest frames are
    parallel to these axes. parents: [55], -1 for the pelvis. hand_mean: [30, 3] axis-angle, left
    hand first: the zero of the hand parameters (the model adds it).
    """

    model: str
    sha256: str
    joints: np.ndarray
    parents: np.ndarray
    hand_mean: np.ndarray

    def at_rest(self, frames: int) -> np.ndarray:
        """Rotations ``[T, 55, 3, 3]``: body upright, hands in their mean pose."""
        pose = np.tile(np.eye(3), (frames, JOINTS, 1, 1))
        pose[:, HANDS] = from_axis_angle(self.hand_mean)
        return pose

    def global_rotations(self, rotations: np.ndarray) -> np.ndarray:
        """Rotations against the parent ``[T, 55, 3, 3]`` to rotations against the world."""
        world = rotations.copy()
        for joint in range(1, JOINTS):
            world[:, joint] = world[:, self.parents[joint]] @ rotations[:, joint]
        return world


def rest_skeleton(path: Path | None = None) -> Skeleton:
    """Read the skeleton from the body model at ``path`` (default: the one that SOKE finds)."""
    path = path or locate_body_model()
    model = read_body_arrays(path)
    betas = np.asarray(SIGNER_BETAS, dtype=np.float64)
    surface = model["v_template"] + model["shapedirs"][..., : len(betas)] @ betas
    parents = model["kintree_table"][0].astype(np.int64)
    parents[0] = -1
    return Skeleton(
        model=body_name(path),
        sha256=checksum(path),
        joints=np.asarray(model["J_regressor"], dtype=np.float64) @ surface,
        parents=parents,
        hand_mean=np.concatenate([model["hands_meanl"], model["hands_meanr"]]).reshape(30, 3),
    )
