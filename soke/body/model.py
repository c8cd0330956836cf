"""SMPL-X: from the 133 modelled features to vertices, joints and scored points.

The results are those of the `smplx` package, against which they are tested. Here the model file is
read safely, and only the vertices that an output needs are skinned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from soke.body.joints import SurfaceJoints
from soke.body.model_files import STAND_IN, body_name, read_body_arrays
from soke.body.points import ALL_JOINTS, POINT_SETS, REGION_JOINTS, Point
from soke.body.skinning import bends, pose_joints, rotation_matrices, skin
from soke.parts import features_to_frames, frame_slices
from soke.structures import BodyOutput

#: The signer shape of every clip (the method's evaluation protocol).
SIGNER_BETAS = (
    -0.07284723,
    0.1795129,
    -0.27608207,
    0.135155,
    0.10748172,
    0.16037364,
    -0.01616933,
    -0.03450319,
    0.01369138,
    0.01108842,
)
_EXPRESSION_START = 300  # full files have 300 shape directions before the expression
_CHUNK = 256  # frames skinned at once: limits memory, keeps matrices large


def _in_full_precision(method: Callable[..., Any]) -> Callable[..., Any]:
    """Compute positions in float32 even if the run uses mixed precision."""

    @wraps(method)
    def wrapped(self: BodyModel, motion: Tensor, **options: bool) -> Any:
        with torch.autocast(motion.device.type, enabled=False):
            return method(self, motion.float(), **options)

    return wrapped


@dataclass(frozen=True)
class _Surface:
    """The part of the model that poses a subset of its vertices."""

    template: Tensor  # [V, 3], the signer's shape included
    expression: Tensor  # [V, 3, 10]
    correctives: Tensor | None  # [486, 3 V], None where they are all zero
    weights: Tensor  # [V, 55]


class BodyModel(nn.Module):
    """The neutral body in the fixed signer shape, root and lower body at rest, relaxed hand mean.

    ``path`` is an SMPL-X model file (.npz or .pkl), by default the stand-in that ships with the
    package. ``name`` says which body it is, ``faces`` [F, 3] are its triangles.
    """

    betas: Tensor
    template: Tensor
    expression: Tensor
    weights: Tensor
    regressor: Tensor
    correctives: Tensor
    hand_mean: Tensor
    point_vertices: Tensor

    def __init__(self, path: str | Path | None = None) -> None:
        super().__init__()
        self.path = Path(path) if path is not None else STAND_IN
        self.name = body_name(self.path)
        arrays = read_body_arrays(self.path)
        self.faces = arrays["f"].astype(np.int64)
        self.parents = [-1, *(int(parent) for parent in arrays["kintree_table"][0, 1:])]
        self.dominant_joint = arrays["weights"].argmax(axis=1)  # [V]
        self._register(arrays)
        self.surface_joints = SurfaceJoints(arrays, self.parents)
        self._register_points()

    @property
    def regions(self) -> dict[str, np.ndarray]:
        """Vertex indices of body regions; a vertex belongs to the joint that moves it most."""
        return {
            name: np.flatnonzero(np.isin(self.dominant_joint, joints))
            for name, joints in REGION_JOINTS.items()
        }

    def _register(self, arrays: dict[str, np.ndarray]) -> None:
        def buffer(name: str, value: npt.ArrayLike) -> None:
            self.register_buffer(name, torch.as_tensor(np.asarray(value, dtype=np.float32)))

        directions = arrays["shapedirs"]
        start = _EXPRESSION_START if directions.shape[-1] > 20 else 10
        buffer("betas", SIGNER_BETAS)
        buffer("template", arrays["v_template"] + directions[..., :10] @ np.array(SIGNER_BETAS))
        buffer("expression", directions[..., start : start + 10])
        buffer("weights", arrays["weights"])
        buffer("regressor", arrays["J_regressor"])
        correctives = arrays["posedirs"].reshape(-1, arrays["posedirs"].shape[-1]).T
        self.has_correctives = bool(correctives.any())
        buffer("correctives", correctives if self.has_correctives else np.zeros((486, 0)))
        hands = np.concatenate([arrays["hands_meanl"], arrays["hands_meanr"]])
        buffer("hand_mean", hands.reshape(-1))

    def _register_points(self) -> None:
        """Find the few vertices that the point sets need: posing only these is much faster."""
        needed = {i for points in POINT_SETS.values() for p in points.points for i in self._uses(p)}
        self.register_buffer("point_vertices", torch.tensor(sorted(needed)))
        position = {vertex: i for i, vertex in enumerate(sorted(needed))}
        for points in POINT_SETS.values():
            # Each point is a weighted sum of [needed vertices, 55 joints].
            mixture = torch.zeros(len(points.points), len(position) + len(self.parents))
            for row, point in enumerate(points.points):
                kind, index = point
                if kind == "joint" and index < len(self.parents):
                    mixture[row, len(position) + index] = 1
                    continue
                for vertex in self._uses(point):
                    weight = self.regressor[index, vertex] if kind == "row" else 1.0
                    mixture[row, position[vertex]] = weight
            self.register_buffer(f"mixture_{points.name}", mixture)

    def _uses(self, point: Point) -> list[int]:
        kind, index = point
        if kind == "row":
            return self.regressor[index].nonzero()[:, 0].tolist()
        if kind == "vertex":
            return [index]
        if index < len(self.parents):
            return []
        return [int(self.surface_joints.extra[index - len(self.parents)])]

    def _surface(self, vertices: Tensor | slice = slice(None)) -> _Surface:
        correctives = None
        if self.has_correctives:
            columns = self.correctives.view(len(self.correctives), -1, 3)[:, vertices]
            correctives = columns.reshape(len(self.correctives), -1)
        return _Surface(
            self.template[vertices], self.expression[vertices], correctives, self.weights[vertices]
        )

    def full_pose(self, motion: Tensor) -> tuple[Tensor, Tensor]:
        """Axis-angles of the 55 joints [N, 55, 3] and expression [N, 10] of features [N, 133]."""
        frames = features_to_frames(motion, self.betas)
        where = frame_slices()
        eyes = frames.new_zeros(len(frames), 6)
        hands = torch.cat(
            [frames[:, where["smplx_lhand_pose"]], frames[:, where["smplx_rhand_pose"]]], dim=1
        )
        pose = torch.cat(
            [
                frames[:, where["smplx_root_pose"]],
                frames[:, where["smplx_body_pose"]],
                frames[:, where["smplx_jaw_pose"]],
                eyes,
                hands + self.hand_mean,
            ],
            dim=1,
        )
        return pose.view(len(frames), -1, 3), frames[:, where["smplx_expr"]]

    def _skeleton(self, motion: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rotations [N,55,3,3], joints [N,55,3], relative transforms [N,55,4,4], expression."""
        pose, expression = self.full_pose(motion)
        rotations = rotation_matrices(pose)
        directions = torch.einsum("jv,vce->jce", self.regressor, self.expression)
        rest = self.regressor @ self.template + torch.einsum("jce,ne->njc", directions, expression)
        joints, transforms = pose_joints(rotations, rest, self.parents)
        return rotations, joints, transforms, expression

    @staticmethod
    def _skin(
        surface: _Surface, rotations: Tensor, transforms: Tensor, expression: Tensor
    ) -> Tensor:
        """Posed vertices [N, V, 3]."""
        shaped = surface.template + torch.einsum("vce,ne->nvc", surface.expression, expression)
        if surface.correctives is not None:
            shaped = shaped + (bends(rotations) @ surface.correctives).view(shaped.shape)
        return skin(shaped, surface.weights, transforms)

    @torch.no_grad()
    @_in_full_precision
    def forward(self, motion: Tensor) -> BodyOutput:
        """Vertices [N, 10475, 3] and joints [N, 144, 3] in metres of features [N, 133]."""
        surface = self._surface()
        vertices = []
        joints = []
        for chunk in motion.split(_CHUNK):
            rotations, skeleton, transforms, expression = self._skeleton(chunk)
            posed = self._skin(surface, rotations, transforms, expression)
            vertices.append(posed)
            pose, _ = self.full_pose(chunk)
            on_surface = self.surface_joints(posed[:, self.surface_joints.vertices], pose)
            joints.append(torch.cat([skeleton, on_surface], dim=1))
        return BodyOutput(torch.cat(vertices), torch.cat(joints))

    @torch.no_grad()
    @_in_full_precision
    def vertices(self, motion: Tensor) -> Tensor:
        """Vertices [N, 10475, 3] in metres of features [N, 133], without the joints."""
        surface = self._surface()
        vertices = []
        for chunk in motion.split(_CHUNK):
            rotations, _, transforms, expression = self._skeleton(chunk)
            vertices.append(self._skin(surface, rotations, transforms, expression))
        return torch.cat(vertices)

    @torch.no_grad()
    @_in_full_precision
    def scored_points(self, motion: Tensor, *, all_joints: bool = False) -> dict[str, Tensor]:
        """The points of each point set, ``{name: [N, J, 3]}`` in metres, root first.

        ``all_joints`` adds the 144 joints [N, 144, 3] as "joints", which are used to align bodies.
        It does not change the other points.
        """
        surface = self._surface(self.point_vertices)
        joint_surface = self._surface(self.surface_joints.vertices) if all_joints else None
        sources = []
        all_of_them = []
        for chunk in motion.split(4 * _CHUNK):
            rotations, joints, transforms, expression = self._skeleton(chunk)
            posed = self._skin(surface, rotations, transforms, expression)
            sources.append(torch.cat([posed, joints], dim=1))
            if joint_surface is not None:
                posed = self._skin(joint_surface, rotations, transforms, expression)
                on_surface = self.surface_joints(posed, self.full_pose(chunk)[0])
                all_of_them.append(torch.cat([joints, on_surface], dim=1))
        source = torch.cat(sources)
        points = {name: getattr(self, f"mixture_{name}") @ source for name in POINT_SETS}
        return {**points, ALL_JOINTS: torch.cat(all_of_them)} if all_joints else points
