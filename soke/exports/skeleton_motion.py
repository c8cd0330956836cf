"""A motion on the body's skeleton, and checks for all exports."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from smplx.joint_names import JOINT_NAMES

from soke.body import BodyModel
from soke.parts import FEATURE_SIZE

#: Names of the joints that rotate, in the body's order, as in the `smplx` library.
JOINTS: tuple[str, ...] = tuple(JOINT_NAMES[:55])


def checked_motion(motion: np.ndarray | torch.Tensor) -> torch.Tensor:
    """The motion [T, 133] as float32 on the CPU.

    Raises ``ValueError`` for another shape, no frames, or values that are not finite.
    """
    values = torch.as_tensor(motion).detach().to("cpu", torch.float32)
    if values.ndim != 2 or values.shape[1] != FEATURE_SIZE:
        raise ValueError(
            f"a motion to export is [frames, {FEATURE_SIZE}], got shape {list(values.shape)}"
        )
    if len(values) == 0:
        raise ValueError("a motion to export needs at least one frame, got none")
    wrong = (~torch.isfinite(values)).any(dim=1).nonzero()[:, 0]
    if len(wrong):
        raise ValueError(
            f"frame {int(wrong[0])} of the motion to export contains NaN or infinite values "
            f"({len(wrong)} of {len(values)} frames do)"
        )
    return values


def checked_fps(fps: float) -> float:
    """``fps`` as a float; ``ValueError`` unless it is positive and finite."""
    if not (np.isfinite(fps) and fps > 0):
        raise ValueError(f"frames per second must be positive and finite, got {fps}")
    return float(fps)


def rest_joints(body: BodyModel) -> np.ndarray:
    """Joints of the signer at rest [55, 3], metres, the expression neutral."""
    return (body.regressor @ body.template).cpu().double().numpy()


def local_rotations(body: BodyModel, motion: torch.Tensor) -> tuple[Rotation, np.ndarray]:
    """Rotations of the joints relative to their parents [T * 55], and the expression [T, 10]."""
    pose, expression = body.full_pose(motion.to(body.betas))
    turns = Rotation.from_rotvec(pose.reshape(-1, 3).cpu().double().numpy())
    return turns, expression.cpu().numpy()


def quaternions(body: BodyModel, motion: torch.Tensor) -> np.ndarray:
    """Rotations of the joints as unit quaternions [T, 55, 4], x y z w.

    A rotation has two quaternions. The one nearer to the frame before is used, so that
    interpolation between frames turns the short way.
    """
    turns, _ = local_rotations(body, motion)
    values = turns.as_quat().reshape(len(motion), -1, 4)
    flips = np.where((values[1:] * values[:-1]).sum(axis=2) < 0, -1.0, 1.0)
    values[1:] *= np.cumprod(flips, axis=0)[..., None]
    return values
