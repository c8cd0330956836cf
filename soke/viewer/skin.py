"""The body as a page stores it: skinning weights and a few directions in which vertices move.

Skinning alone would lack the expression of the face and the pose correctives (how flesh bulges
where a joint bends). Both move the vertices at rest before skinning, along fixed directions. The
expression's ten directions are stored as they are. The 486 of the pose correctives would take tens
of megabytes, so a principal component analysis of the page's own clips reduces them to a few.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from soke.body import BodyModel, bends, pose_joints, rotation_matrices, skin
from soke.viewer.array_block import Block

TOLERANCE = 1e-4  # metres: the largest error of a sampled vertex
RANKS = (4, 8, 16, 24, 32, 48, 64)  # numbers of directions to try until TOLERANCE is met
SAMPLE = 300  # frames from which the directions are computed
_LEVELS = 32767  # directions are stored in 16 bits


@dataclass(frozen=True)
class PageMotion:
    """What moves the skin in T frames: axis-angles ``[T, J, 3]`` and coefficients ``[T, K]``."""

    rotations: np.ndarray
    coefficients: np.ndarray


class PageSkin:
    """The skin that a page shows, exactly as stored there: V vertices, J = 55 joints, K directions.

    ``motions`` are all motions of the page, each [T, 133]. They decide which directions replace
    the pose correctives.
    """

    def __init__(self, body: BodyModel, motions: Iterable[np.ndarray]) -> None:
        self.parents = list(body.parents)
        self.faces = body.faces
        self.template = body.template  # [V, 3], metres
        self.rest = body.regressor @ body.template  # [J, 3], metres
        self.weights = body.weights  # [V, J]
        directions = [body.expression.permute(2, 0, 1)]  # [10, V, 3]
        self._project: Tensor | None = None
        if body.has_correctives:
            found = principal_directions(_sample(body, motions) @ body.correctives)
            self._project = body.correctives @ found.T  # [486, K - 10]
            directions.append(found.view(len(found), -1, 3))
        self.scales, self.codes = _in_16_bits(torch.cat(directions))  # [K], [K, V, 3]
        of_joints = torch.einsum("jv,kvc->kjc", body.regressor, directions[0])
        more = len(self.codes) - len(of_joints)  # pose correctives do not move the joints
        self.joint_directions = torch.cat([of_joints, of_joints.new_zeros(more, *self.rest.shape)])

    def motion(self, body: BodyModel, motion: Tensor) -> PageMotion:
        """Features ``[T, 133]`` as the page stores them."""
        pose, expression = body.full_pose(motion.float())
        pieces = [expression]
        if self._project is not None:
            pieces.append(bends(rotation_matrices(pose)) @ self._project)
        return PageMotion(pose.numpy(), torch.cat(pieces, dim=1).numpy())

    def vertices(self, motion: PageMotion) -> Tensor:
        """Vertices ``[T, V, 3]`` (metres) as the page shows them."""
        rotations = rotation_matrices(torch.as_tensor(motion.rotations))
        coefficients = torch.as_tensor(motion.coefficients)
        rest = self.rest + torch.einsum("tk,kjc->tjc", coefficients, self.joint_directions)
        _, transforms = pose_joints(rotations, rest, self.parents)
        directions = self.codes.float() * self.scales[:, None, None]
        shaped = self.template + torch.einsum("tk,kvc->tvc", coefficients, directions)
        return skin(shaped, self.weights, transforms)

    def pack(self) -> Block:
        """The arrays that the page's script reads; see page/skin.js."""
        block = Block()
        used = self.weights.numpy() > 0
        _, joints = np.nonzero(used)
        small = len(self.template) <= 2**16
        block.add("template", self.template.numpy())
        block.add("faces", self.faces.astype(np.uint16 if small else np.uint32))
        block.add("parents", np.array(self.parents, np.int8))
        block.add("rest", self.rest.numpy())
        block.add("influences", used.sum(axis=1).astype(np.uint8))
        block.add("joints", joints.astype(np.uint8))
        block.add("weights", self.weights.numpy()[used])
        block.add("scales", self.scales.numpy())
        block.add("directions", self.codes.numpy())
        block.add("jointDirections", self.joint_directions.numpy())
        return block


def principal_directions(offsets: Tensor) -> Tensor:
    """Orthonormal directions ``[K, 3 V]`` whose sums approximate offsets ``[n, 3 V]`` (metres).

    K is the first of `RANKS` with no vertex error above `TOLERANCE`, or else the last.
    """
    exact = offsets.double()
    values, vectors = torch.linalg.eigh(exact @ exact.T)
    values = values.flip(0)
    vectors = vectors.flip(1)
    known = int((values > 1e-9 * values[0].clamp(min=1e-12)).sum())
    directions = ((vectors[:, :known] / values[:known].sqrt()).T @ exact).float()  # [known, 3 V]
    for rank in RANKS:
        found = directions[:rank]
        rest = offsets - (offsets @ found.T) @ found
        if rest.view(len(rest), -1, 3).norm(dim=-1).max() <= TOLERANCE:
            break
    return found


def _sample(body: BodyModel, motions: Iterable[np.ndarray]) -> Tensor:
    """Bends ``[n, 486]`` of up to `SAMPLE` frames, spread evenly over all motions."""
    poses = torch.cat([body.full_pose(torch.as_tensor(m).float())[0] for m in motions])
    chosen = np.unique(np.linspace(0, len(poses) - 1, SAMPLE).round().astype(int))
    return bends(rotation_matrices(poses[torch.as_tensor(chosen)]))


def _in_16_bits(directions: Tensor) -> tuple[Tensor, Tensor]:
    """Scales ``[K]`` and int16 values ``[K, V, 3]`` whose product approximates ``directions``."""
    scales = directions.abs().amax(dim=(1, 2)).clamp(min=1e-12) / _LEVELS
    return scales, (directions / scales[:, None, None]).round().short()
