"""What a rigged file keeps of the body, and what that costs.

A file of joints and skinning weights leaves out what only the body model has: more than a few
weights a vertex, the shape's corrections for bent joints, and that an expression moves the joints a
little. `skinning_error` measures all of it at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from soke.body import BodyModel
from soke.exports.skeleton_motion import checked_motion, local_rotations, rest_joints

#: Displacements of an expression smaller than that many metres are left out.
NOTHING = 1e-5
_CHUNK = 64  # frames


@dataclass(frozen=True)
class SkinningError:
    """How far vertices of the rigged file lie from those of the body model, in millimetres."""

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

    ``influences`` is the number of weights a vertex, 4 or 8; many readers know 4 only. ``joints``
    and ``weights`` [V, influences] are the strongest, weights summing to 1. Raises ``ValueError``
    for another number.
    """

    def __init__(self, body: BodyModel, influences: int = 4) -> None:
        if influences not in (4, 8):
            raise ValueError(f"a rigged file has 4 or 8 weights a vertex, not {influences}")
        self.body, self.influences = body, influences
        self.template = body.template.cpu().numpy()  # [V, 3]
        weights = body.weights.cpu().numpy()
        order = np.argsort(-weights, axis=1, kind="stable")[:, :influences]
        kept = np.take_along_axis(weights, order, axis=1)
        # A joint without weight is named 0: the format asks for it.
        self.joints = np.where(kept > 0, order, 0).astype(np.uint8)
        self.weights = (kept / kept.sum(axis=1, keepdims=True)).astype(np.float32)

    @cached_property
    def moved(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices [M] that an expression moves, and how [10, M, 3] in metres."""
        directions = self.body.expression.cpu().permute(2, 0, 1).numpy()
        places = np.flatnonzero(np.abs(directions).max(axis=(0, 2)) > NOTHING)
        return places, np.ascontiguousarray(directions[:, places])

    def vertices(self, motion: np.ndarray | torch.Tensor) -> np.ndarray:
        """Vertices [T, V, 3] of the rigged file, posed by plain linear blend skinning."""
        motion = checked_motion(motion)
        turns, expression = local_rotations(self.body, motion)
        rotations = turns.as_matrix().reshape(len(motion), -1, 3, 3)
        rest, parents = rest_joints(self.body), self.body.parents
        world = np.zeros((len(motion), len(parents), 3, 4))
        for joint, parent in enumerate(parents):
            if parent < 0:
                world[:, joint, :, :3], world[:, joint, :, 3] = rotations[:, joint], rest[joint]
                continue
            above = world[:, parent]
            world[:, joint, :, :3] = above[..., :3] @ rotations[:, joint]
            world[:, joint, :, 3] = above[..., 3] + above[..., :3] @ (rest[joint] - rest[parent])
        world[..., 3] -= (world[..., :3] @ rest[:, :, None])[..., 0]
        shaped = np.repeat(self.template[None], len(motion), axis=0)
        places, directions = self.moved
        shaped[:, places] += np.einsum("te,emc->tmc", expression, directions)
        full = np.zeros((len(self.template), len(parents)), np.float32)
        np.add.at(full, (np.arange(len(full))[:, None], self.joints), self.weights)
        blended = full @ world.astype(np.float32).reshape(len(motion), -1, 12)
        blended = blended.reshape(len(motion), -1, 3, 4)
        return (blended[..., :3] @ shaped[..., None])[..., 0] + blended[..., 3]


def skinning_error(
    body: BodyModel, motion: np.ndarray | torch.Tensor, influences: int = 4
) -> SkinningError:
    """How far the rigged file of a motion [T, 133] is from the body model, over all frames.

    Raises ``ValueError`` as `checked_motion` and `Rig` do.
    """
    motion, rig = checked_motion(motion), Rig(body, influences)
    hands = [rows for name, rows in body.regions.items() if "hand" in name]
    hand_rows = np.concatenate(hands) if hands else np.arange(len(rig.template))
    total, on_hands, maximum = 0.0, 0.0, 0.0
    for chunk in motion.split(_CHUNK):
        exact = body.vertices(chunk.to(body.betas)).cpu().numpy()
        apart = 1000 * np.linalg.norm(rig.vertices(chunk) - exact, axis=2)  # [T, V]
        total += float(apart.mean(axis=1).sum())
        on_hands += float(apart[:, hand_rows].mean(axis=1).sum())
        maximum = max(maximum, float(apart.max()))
    return SkinningError(total / len(motion), maximum, on_hands / len(motion))
