"""Linear blend skinning, as in the `smplx` package.

N frames, J joints, V vertices. Angles are in radians, positions in metres.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from smplx.lbs import batch_rigid_transform, batch_rodrigues
from torch import Tensor


def rotation_matrices(pose: Tensor) -> Tensor:
    """Rotation matrices ``[N, J, 3, 3]`` of axis-angles ``[N, J, 3]``."""
    return batch_rodrigues(pose.reshape(-1, 3)).view(*pose.shape[:2], 3, 3)


def bends(rotations: Tensor) -> Tensor:
    """What drives the pose correctives: ``[N, 9 (J - 1)]`` of rotations ``[N, J, 3, 3]``.

    It is how far each joint except the root is turned from rest.
    """
    turned = rotations[:, 1:] - torch.eye(3, device=rotations.device)
    return turned.reshape(len(rotations), -1)


def pose_joints(rotations: Tensor, rest: Tensor, parents: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Posed joints ``[N, J, 3]``, and the transforms ``[N, J, 4, 4]`` that move them from rest.

    ``rotations`` ``[N, J, 3, 3]`` are relative to the parent, ``rest`` ``[N, J, 3]`` holds the
    joints at rest. ``parents[0]`` is the root's and is not read.
    """
    return batch_rigid_transform(rotations, rest, torch.tensor(parents, device=rotations.device))


def skin(shaped: Tensor, weights: Tensor, transforms: Tensor) -> Tensor:
    """Posed vertices ``[N, V, 3]``: each moves by the weighted mean of its joints' transforms.

    ``shaped`` ``[N, V, 3]`` are the vertices at rest, ``weights`` ``[V, J]`` sum to 1 over the
    joints, ``transforms`` ``[N, J, 4, 4]`` come from `pose_joints`.
    """
    count = len(transforms)
    blended = weights @ transforms[:, :, :3].reshape(count, -1, 12)
    blended = blended.view(count, -1, 3, 4)
    return (blended[..., :3] @ shaped[..., None])[..., 0] + blended[..., 3]
