"""The SMPL-X body: model, skinning, point sets, rigid alignment."""

from soke.body.model import SIGNER_BETAS, BodyModel
from soke.body.model_files import STAND_IN, body_name, locate_body_model
from soke.body.points import ALL_JOINTS, COMBINED, POINT_SETS, PointSet
from soke.body.skinning import bends, pose_joints, rotation_matrices, skin

__all__ = [
    "ALL_JOINTS",
    "COMBINED",
    "POINT_SETS",
    "SIGNER_BETAS",
    "STAND_IN",
    "BodyModel",
    "PointSet",
    "bends",
    "body_name",
    "locate_body_model",
    "pose_joints",
    "rotation_matrices",
    "skin",
]
