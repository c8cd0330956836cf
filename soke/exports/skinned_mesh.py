"""What a rigged file keeps of the body, and how large the error is.

A file of joints and skinning weights cannot store everything that the body model has: it allows few
weights per vertex, no pose correctives, and no joints that move with the expression.
`skinning_error` measures the combined effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from soke.body import BodyModel, pose_joints, rotation_matrices, skin
from soke.exports.skeleton_motion import checked_motion

#: Vertices that an expression moves by less than this (metres) count as still.
NOTHING = 1e-5
_CHUNK = 64  # frames


@dataclass(frozen=True)
class SkinningError:
    """Distance of the rigged file's vertices from the body model's, in millimetres."""

    mean: float
    maximum: float
    hands_mean: float  # over the vertices that a hand's joints move most

    def __str__(self) -> str:
        return (
            f"{self.mean:.2f} mm on average, {self.hands_mean:.2f} mm on the hands, "
            f"{self.maximum:.2f} mm at most"
        )


class Rig:
    """The parts of a body that a rigged file holds.

    ``influences`` is the number of weights per vertex, 4 or 8; many readers support only 4.
    ``joints`` and ``weights`` [V, influences] are the largest ones; the weights sum to 1. Raises
    ``ValueError`` for any other number.
    """

    def __init__(self, body: BodyModel, influences: int = 4) -> None:
        if influences not in (4, 8):
            raise ValueError(f"a rigged file has 4 or 8 weights per vertex, not {influences}")
        self.body = body
        self.influences = influences
        self.template = body.template.cpu().numpy()  # [V, 3]
        weights = body.weights.cpu().numpy()
        order = np.argsort(-weights, axis=1, kind="stable")[:, :influences]
        kept = np.take_along_axis(weights, order, axis=1)
        # glTF requires joint 0 where the weight is zero.
        self.joints = np.where(kept > 0, order, 0).astype(np.uint8)
        self.weights = (kept / kept.sum(axis=1, keepdims=True)).astype(np.float32)

    @cached_property
    def moved(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices [M] that an expression moves, and how [10, M, 3] in metres."""
        directions = self.body.expression.cpu().permute(2, 0, 1).numpy()
        places = np.flatnonzero(np.abs(directions).max(axis=(0, 2)) > NOTHING)
        return places, np.ascontiguousarray(directions[:, places])

    @cached_property
    def _dense_weights(self) -> torch.Tensor:
        """The stored weights, one column per joint [V, 55]."""
        dense = torch.zeros_like(self.body.weights)
        joints = torch.as_tensor(self.joints, dtype=torch.int64, device=dense.device)
        return dense.scatter_add(1, joints, torch.as_tensor(self.weights, device=dense.device))

    def vertices(self, motion: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Vertices [T, V, 3] of the rigged file in metres, on the body's device."""
        body = self.body
        pose, expression = body.full_pose(checked_motion(motion).to(body.betas))
        rest = (body.regressor @ body.template).expand(len(pose), -1, -1)
        _, transforms = pose_joints(rotation_matrices(pose), rest, body.parents)
        places, directions = (torch.as_tensor(array, device=rest.device) for array in self.moved)
        shaped = body.template.repeat(len(pose), 1, 1)
        shaped[:, places] += torch.einsum("te,emc->tmc", expression, directions)
        return skin(shaped, self._dense_weights, transforms)


def skinning_error(
    body: BodyModel, motion: np.ndarray | torch.Tensor, influences: int = 4
) -> SkinningError:
    """Distance of a motion's [T, 133] rigged file from the body model, over all frames.

    Raises ``ValueError`` as `checked_motion` and `Rig` do.
    """
    motion = checked_motion(motion)
    rig = Rig(body, influences)
    hands = [rows for name, rows in body.regions.items() if "hand" in name]
    hand_rows = np.concatenate(hands) if hands else np.arange(len(rig.template))
    total = 0.0
    on_hands = 0.0
    maximum = 0.0
    for chunk in motion.split(_CHUNK):
        exact = body.vertices(chunk.to(body.betas))
        apart = 1000 * (rig.vertices(chunk) - exact).norm(dim=2)  # [T, V]
        total += float(apart.mean(dim=1).sum())
        on_hands += float(apart[:, hand_rows].mean(dim=1).sum())
        maximum = max(maximum, float(apart.max()))
    return SkinningError(total / len(motion), maximum, on_hands / len(motion))
