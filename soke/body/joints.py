"""The joints of SMPL-X that are points on its surface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from smplx.lbs import find_dynamic_lmk_idx_and_bcoords, vertices2landmarks
from smplx.utils import find_joint_kin_chain
from smplx.vertex_ids import vertex_ids
from smplx.vertex_joint_selector import VertexJointSelector
from torch import Tensor, nn

_NECK = 12


class SurfaceJoints(nn.Module):
    """Joints 55 to 143: 21 vertices, 51 landmarks of the face and 17 of its contour.

    They depend on the vertices with the indices ``vertices`` [V]; those in ``extra`` [21] are
    joints themselves.
    """

    extra: Tensor
    vertices: Tensor
    extra_places: Tensor
    faces: Tensor
    fixed_faces: Tensor
    turning_faces: Tensor
    lmk_bary_coords: Tensor
    dynamic_lmk_bary_coords: Tensor
    neck_chain: Tensor

    def __init__(self, arrays: Mapping[str, np.ndarray], parents: Sequence[int]) -> None:
        super().__init__()
        extra = VertexJointSelector(vertex_ids=vertex_ids["smplx"]).extra_joints_idxs
        self.register_buffer("extra", extra)
        fixed, turning = (arrays[f"{name}lmk_faces_idx"] for name in ("", "dynamic_"))
        faces = arrays["f"].astype(np.int64)[np.concatenate([fixed.ravel(), turning.ravel()])]
        vertices = np.unique(np.concatenate([extra.numpy(), faces.ravel()]))
        places = torch.from_numpy(np.searchsorted(vertices, faces))  # [landmarks, 3]
        self.register_buffer("vertices", torch.from_numpy(vertices))
        self.register_buffer("extra_places", torch.searchsorted(self.vertices, extra))
        self.register_buffer("faces", places)
        self.register_buffer("fixed_faces", torch.arange(fixed.size))
        turning_faces = fixed.size + torch.arange(turning.size).view(turning.shape)
        self.register_buffer("turning_faces", turning_faces)
        for name in ("lmk_bary_coords", "dynamic_lmk_bary_coords"):
            self.register_buffer(name, torch.as_tensor(arrays[name].astype(np.float32)))
        self.register_buffer("neck_chain", torch.as_tensor(find_joint_kin_chain(_NECK, parents)))

    def forward(self, vertices: Tensor, pose: Tensor) -> Tensor:
        """Joints [N, 89, 3] from posed ``vertices`` [N, V, 3] and the ``pose`` [N, 55, 3]."""
        count = len(vertices)
        contour_faces, contour_weights = find_dynamic_lmk_idx_and_bcoords(
            vertices,
            pose.reshape(count, -1),
            self.turning_faces,
            self.dynamic_lmk_bary_coords,
            self.neck_chain,
        )
        landmarks = vertices2landmarks(
            vertices,
            self.faces,
            torch.cat([self.fixed_faces.expand(count, -1), contour_faces], dim=1),
            torch.cat([self.lmk_bary_coords.expand(count, -1, -1), contour_weights], dim=1),
        )
        return torch.cat([vertices[:, self.extra_places], landmarks], dim=1)
