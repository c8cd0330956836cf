"""The body as a page carries it: linear blend skinning and a few directions of change.

Skinning alone would lack the expression of the face and the pose correctives (how flesh bulges
where a joint bends). Both move the vertices of the body at rest before it is skinned, and both are
sums of fixed directions. The expression's directions are taken over as they are. The 486
directions of the pose correctives would weigh tens of megabytes; what the page's own clips make of
them lies in a far smaller space, which is found by a principal component analysis.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from smplx.lbs import batch_rigid_transform, batch_rodrigues
from torch import Tensor

from soke.body import BodyModel
from soke.viewer.array_block import Block

TOLERANCE = 1e-4  # metres: no sampled vertex is left further from its place than that, or ...
RANKS = (4, 8, 16, 24, 32, 48, 64)  # ... so many directions stand for the pose correctives
SAMPLE = 300  # frames that they are chosen by
_LEVELS = 32767  # directions are stored in 16 bits


@dataclass(frozen=True)
class PageMotion:
    """What moves the skin in T frames: axis-angles ``[T, J, 3]``, coefficients ``[T, K]``."""

    rotations: np.ndarray
    coefficients: np.ndarray


class PageSkin:
    """The skin that a page shows, exactly as it is stored there.

    ``motions`` are all that the page shows, each [T, 133]: they decide which directions stand for
    the pose correctives. V vertices, J = 55 joints, K directions.
    """

    def __init__(self, body: BodyModel, motions: Iterable[np.ndarray]) -> None:
        self.parents, self.faces = list(body.parents), body.faces
        self.template = body.template  # [V, 3], metres
        self.rest = body.regressor @ body.template  # [J, 3], metres
        self.weights = body.weights  # [V, J]
        directions = [body.expression.permute(2, 0, 1)]  # [10, V, 3]
        self._project: Tensor | None = None
        if body.has_correctives:
            bends = _sample(body, motions)
            found = principal_directions(bends @ body.correctives)
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
            pieces.append(_bends(pose) @ self._project)
        return PageMotion(pose.numpy(), torch.cat(pieces, dim=1).numpy())

    def vertices(self, motion: PageMotion) -> Tensor:
        """Vertices ``[T, V, 3]`` (metres) as the page shows them."""
        pose, coefficients = map(torch.as_tensor, (motion.rotations, motion.coefficients))
        count, joints = pose.shape[:2]
        rest = self.rest + torch.einsum("tk,kjc->tjc", coefficients, self.joint_directions)
        rotations = batch_rodrigues(pose.reshape(-1, 3)).view(count, joints, 3, 3)
        _, transforms = batch_rigid_transform(rotations, rest, torch.tensor(self.parents))
        directions = self.codes.float() * self.scales[:, None, None]
        shaped = self.template + torch.einsum("tk,kvc->tvc", coefficients, directions)
        blended = self.weights @ transforms[:, :, :3].reshape(count, joints, 12)
        blended = blended.view(count, -1, 3, 4)
        return (blended[..., :3] @ shaped[..., None])[..., 0] + blended[..., 3]

    def pack(self) -> Block:
        """The arrays that the page's script reads; see page/skin.js."""
        block, used = Block(), self.weights.numpy() > 0
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
    """Orthonormal directions ``[K, 3 V]`` that offsets ``[n, 3 V]`` (metres) are nearly sums of.

    K is the first of `RANKS` that leaves no vertex further than `TOLERANCE` from its place.
    """
    exact = offsets.double()
    values, vectors = torch.linalg.eigh(exact @ exact.T)
    values, vectors = values.flip(0), vectors.flip(1)
    known = int((values > 1e-9 * values[0].clamp(min=1e-12)).sum())
    directions = ((vectors[:, :known] / values[:known].sqrt()).T @ exact).float()  # [known, 3 V]
    for rank in RANKS:
        found = directions[:rank]
        rest = offsets - (offsets @ found.T) @ found
        if rest.view(len(rest), -1, 3).norm(dim=-1).max() <= TOLERANCE:
            break
    return found


def _sample(body: BodyModel, motions: Iterable[np.ndarray]) -> Tensor:
    """Bends ``[n, 486]`` of frames spread evenly over all motions."""
    bends = torch.cat([_bends(body.full_pose(torch.as_tensor(m).float())[0]) for m in motions])
    chosen = np.unique(np.linspace(0, len(bends) - 1, SAMPLE).round().astype(int))
    return bends[torch.as_tensor(chosen)]


def _bends(pose: Tensor) -> Tensor:
    """How far each joint but the root is turned from rest: ``[T, 9 (J - 1)]`` of ``[T, J, 3]``."""
    rotations = batch_rodrigues(pose[:, 1:].reshape(-1, 3)).view(len(pose), -1, 3, 3)
    return (rotations - torch.eye(3)).reshape(len(pose), -1)


def _in_16_bits(directions: Tensor) -> tuple[Tensor, Tensor]:
    """Scales ``[K]`` and whole numbers ``[K, V, 3]`` whose product is nearly ``directions``."""
    scales = directions.abs().amax(dim=(1, 2)).clamp(min=1e-12) / _LEVELS
    return scales, (directions / scales[:, None, None]).round().short()
