"""Reconstruction errors of the tokenizer, in millimetres.

MPVPE and MPJPE: mean over vertices or joints of the Euclidean distance after moving the generated
root onto the reference root (pelvis for the whole body, wrist for a hand, neck for the face). With
``PA_`` the generated points are first fitted by the best similarity transform.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from soke.body import BodyModel
from soke.body.alignment import root_align, similarity_align
from soke.files import require, safe_load_pickle

MILLIMETRES = 1000.0
#: Sides that are also averaged, as "hand".
_HANDS = ("lhand", "rhand")
_PELVIS, _NECK, _LEFT_WRIST, _RIGHT_WRIST = 0, 12, 20, 21


@dataclass(frozen=True)
class _Row:
    """A set of vertices, or joints regressed from them, and the joint that it is aligned on."""

    name: str
    vertices: Tensor | None  # indices; None: all of them
    regressor: Tensor | None  # [J, V]; None: the vertices themselves
    root: int


def point_errors(generated: dict[str, Tensor], reference: dict[str, Tensor]) -> dict[str, float]:
    """``MPJPE_{set}`` of scored points [T, J, 3] whose first point is the root, in mm."""
    errors = {}
    for name in generated:
        difference = root_align(generated[name], root=0) - root_align(reference[name], root=0)
        errors[f"MPJPE_{name}"] = float(difference.norm(dim=-1).mean()) * MILLIMETRES
    return errors


class ReconstructionErrors:
    """Compares two motions [T, 133] of equal length on the body's surface and joints.

    Needs the model's side files beside it: ``SMPLX_to_J14.pkl``, ``MANO_SMPLX_vertex_ids.pkl`` and
    ``SMPL-X__FLAME_vertex_ids.npy``; raises `soke.files.MissingAssetError` without them.
    """

    def __init__(self, body: BodyModel) -> None:
        self.body = body
        folder = body.path.parent
        remedy = "Download it from https://smpl-x.is.tue.mpg.de and put it beside the model"
        j14 = safe_load_pickle(require(folder / "SMPLX_to_J14.pkl", "The joint regressor", remedy))
        hands = safe_load_pickle(
            require(folder / "MANO_SMPLX_vertex_ids.pkl", "The hands' vertices", remedy)
        )
        face = self._load_face(folder, remedy)
        self.rows = [
            _Row("MPVPE_all", None, None, _PELVIS),
            _Row("MPVPE_lhand", torch.as_tensor(hands["left_hand"]).long(), None, _LEFT_WRIST),
            _Row("MPVPE_rhand", torch.as_tensor(hands["right_hand"]).long(), None, _RIGHT_WRIST),
            _Row("MPVPE_face", face, None, _NECK),
            _Row("MPJPE_body", None, torch.as_tensor(np.asarray(j14)).float(), _PELVIS),
        ]

    @staticmethod
    def _load_face(folder: Path, remedy: str) -> Tensor:
        path = require(folder / "SMPL-X__FLAME_vertex_ids.npy", "The face's vertices", remedy)
        return torch.as_tensor(np.load(path, allow_pickle=False)).long()

    @property
    def names(self) -> list[str]:
        """All scores, each also with the prefix ``PA_``."""
        plain = [row.name for row in self.rows if "hand" not in row.name]
        plain += [f"{kind}_{part}" for kind in ("MPVPE", "MPJPE") for part in ("hand", *_HANDS)]
        return sorted(plain) + [f"PA_{name}" for name in sorted(plain)]

    @torch.no_grad()
    def __call__(self, generated: Tensor, reference: Tensor) -> dict[str, float]:
        """Mean over frames of every score in `names`; both motions denormalised [T, 133]."""
        if generated.shape != reference.shape:
            raise ValueError(
                f"motions differ in shape: {tuple(generated.shape)} and {tuple(reference.shape)}"
            )
        first, second = self.body(generated), self.body(reference)
        scores = {}
        for row in self.rows:
            points = [self._points(row, output.vertices) for output in (first, second)]
            roots = [output.joints[:, row.root, None] for output in (first, second)]
            scores |= _errors(row.name, *points, *roots)
        ours, theirs = self.body.scored_points(generated), self.body.scored_points(reference)
        for hand in _HANDS:
            roots = [points[hand][:, :1] for points in (ours, theirs)]
            scores |= _errors(f"MPJPE_{hand}", ours[hand], theirs[hand], *roots)
        for prefix in ("", "PA_"):
            for kind in ("MPVPE", "MPJPE"):
                values = [scores[f"{prefix}{kind}_{hand}"] for hand in _HANDS]
                scores[f"{prefix}{kind}_hand"] = sum(values) / len(values)
        return scores

    @staticmethod
    def _points(row: _Row, vertices: Tensor) -> Tensor:
        if row.regressor is not None:
            return row.regressor.to(vertices) @ vertices
        return vertices if row.vertices is None else vertices[:, row.vertices]


def _errors(
    name: str, generated: Tensor, reference: Tensor, generated_root: Tensor, reference_root: Tensor
) -> dict[str, float]:
    moved = (generated - generated_root) - (reference - reference_root)
    fitted = similarity_align(generated, reference) - reference
    return {
        name: float(moved.norm(dim=-1).mean()) * MILLIMETRES,
        f"PA_{name}": float(fitted.norm(dim=-1).mean()) * MILLIMETRES,
    }
