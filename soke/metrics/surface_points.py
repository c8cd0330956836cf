"""Which points of the posed body the reconstruction scores compare, and where their roots are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from soke.body import COMBINED, POINT_SETS, BodyModel, PointSet
from soke.files import require
from soke.structures import BodyOutput
from soke.unpickling import safe_load_pickle

_REMEDY = "Download it from https://smpl-x.is.tue.mpg.de and put it beside the model"
#: SMPL-X joints that roots lie on.
_PELVIS = 0
_NECK = 12
#: Key in ``MANO_SMPLX_vertex_ids.pkl`` and SMPL-X wrist of the point sets that are hands.
_HANDS = {"lhand": ("left_hand", 20), "rhand": ("right_hand", 21)}


class SurfacePoints(nn.Module):
    """Points of the posed body: vertices, or joints regressed from them, and their root.

    Args:
        vertices: their numbers [V]; all of them when left out.
        regressor: weights [J, V] of those vertices; without it the vertices are the points.
        root: the SMPL-X joint that is the root; when left out, the first of the points.
    """

    vertices: Tensor
    regressor: Tensor

    def __init__(
        self,
        vertices: Tensor | None = None,
        regressor: Tensor | None = None,
        root: int | None = None,
    ) -> None:
        super().__init__()
        self.root = root
        self.register_buffer("vertices", vertices, persistent=False)
        self.register_buffer("regressor", regressor, persistent=False)

    @classmethod
    def regressed(cls, regressor: Tensor, root: int | None = None) -> SurfacePoints:
        """Of a regressor over all vertices; those without weight are left out."""
        used = regressor.any(dim=0).nonzero()[:, 0]
        return cls(used, regressor[:, used].float(), root)

    def forward(self, output: BodyOutput) -> tuple[Tensor, Tensor]:
        """The points [N, J, 3] and their root [N, 1, 3], in metres."""
        points = output.vertices if self.vertices is None else output.vertices[:, self.vertices]
        if self.regressor is not None:
            points = self.regressor @ points
        root = points[:, :1] if self.root is None else output.joints[:, self.root, None]
        return points, root


def score_points(body: BodyModel) -> dict[str, tuple[SurfacePoints, ...]]:
    """The scores and, for each, the points whose mean error it is (a hand's score: both hands).

    ``MPVPE_`` compares vertices, ``MPJPE_`` joints. Reads ``SMPLX_to_J14.pkl``,
    ``MANO_SMPLX_vertex_ids.pkl`` and ``SMPL-X__FLAME_vertex_ids.npy`` beside the body model.

    Raises:
        soke.files.MissingAssetError: one of these files is not there.
        ValueError: one of them does not fit the body model.
    """
    folder = body.path.parent
    count = len(body.template)
    path = require(folder / "SMPL-X__FLAME_vertex_ids.npy", "The face's vertices", _REMEDY)
    face = _vertex_ids(np.load(path, allow_pickle=False), path, count)
    scores = {
        "MPJPE_body": (SurfacePoints.regressed(_joint_regressor(folder, count), _PELVIS),),
        "MPVPE_all": (SurfacePoints(root=_PELVIS),),
        "MPVPE_face": (SurfacePoints(face, root=_NECK),),
    }
    hand_vertices = _hand_vertices(folder, count)
    for name, (_, wrist) in _HANDS.items():
        scores[f"MPVPE_{name}"] = (SurfacePoints(hand_vertices[name], root=wrist),)
        scores[f"MPJPE_{name}"] = (
            SurfacePoints.regressed(_point_regressor(body, POINT_SETS[name])),
        )
    for kind in ("MPVPE", "MPJPE"):
        both = [scores[f"{kind}_{name}"] for name in COMBINED["hands"]]
        scores[f"{kind}_hand"] = sum(both, ())
    return dict(sorted(scores.items()))


def _joint_regressor(folder: Path, count: int) -> Tensor:
    path = require(folder / "SMPLX_to_J14.pkl", "The joint regressor", _REMEDY)
    regressor = np.asarray(safe_load_pickle(path))
    if regressor.shape != (14, count) or regressor.dtype.kind != "f":
        raise ValueError(
            f"{path}: expected a regressor of shape (14, {count}), got {regressor.dtype} of shape "
            f"{regressor.shape}"
        )
    return torch.as_tensor(regressor.astype(np.float32))


def _hand_vertices(folder: Path, count: int) -> dict[str, Tensor]:
    path = require(folder / "MANO_SMPLX_vertex_ids.pkl", "The hands' vertices", _REMEDY)
    content = safe_load_pickle(path)
    missing = [key for key, _ in _HANDS.values() if key not in content]
    if missing:
        raise ValueError(f"{path}: expected a dict with the keys {missing}, got {list(content)}")
    return {name: _vertex_ids(content[key], path, count) for name, (key, _) in _HANDS.items()}


def _vertex_ids(ids: object, path: Path, count: int) -> Tensor:
    ids = np.asarray(ids)
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or not 0 <= ids.min() <= ids.max() < count:
        raise ValueError(
            f"{path}: expected a list of vertex numbers from 0 to {count - 1}, got {ids.dtype} of "
            f"shape {ids.shape}"
        )
    return torch.as_tensor(ids.astype(np.int64))


def _point_regressor(body: BodyModel, points: PointSet) -> Tensor:
    """Weights [J, V] of all vertices for points that are regressor rows and vertices."""
    joint_rows = body.regressor.cpu()
    regressor = torch.zeros(len(points.points), joint_rows.shape[1])
    for row, (kind, index) in enumerate(points.points):
        assert kind in ("row", "vertex"), f"{points.name} is not a function of the vertices"
        if kind == "row":
            regressor[row] = joint_rows[index]
        else:
            regressor[row, index] = 1
    return regressor
