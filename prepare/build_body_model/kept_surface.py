"""Which vertices of MakeHuman's mesh the body keeps, in which order, and its triangles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prepare.build_body_model.decimation import Vertices, decimate
from prepare.build_body_model.joints import HAND_JOINTS, HEAD_JOINTS
from prepare.build_body_model.landmarks import FACE_POINTS, JAW_LINE, VERTEX_NUMBERS
from prepare.build_body_model.makehuman import MakeHuman

VERTEX_COUNT = 10475

#: The nipples: rings of tiny triangles that a clothed signer does not show.
_DETAILS = (*range(1778, 1794), *range(8450, 8466))


@dataclass(frozen=True)
class Surface:
    """``source_ids`` [V] are vertices of MakeHuman's mesh in the order of the body's vertices,
    ``faces`` [F, 3] and ``mirror`` [V] count in the body's own numbers."""

    source_ids: np.ndarray
    faces: np.ndarray
    mirror: np.ndarray

    def numbers(self, source_ids: np.ndarray) -> np.ndarray:
        """The body's numbers of vertices of MakeHuman's mesh."""
        return _positions(self.source_ids, source_ids)


def build_surface(source: MakeHuman, vertices: np.ndarray, landmarks: dict[str, int]) -> Surface:
    """Thin the body out to `VERTEX_COUNT` vertices and give landmarks their SMPL-X numbers.

    ``vertices`` [N, 3] is the neutral body in MakeHuman's rest pose, in metres. Hands, head, neck
    and eyes keep every vertex: signs are made of them.
    """
    details = np.zeros(len(vertices), bool)
    details[list(_DETAILS)] = True
    kept = np.zeros(len(vertices), bool)
    kept[[*landmarks.values(), *JAW_LINE, *FACE_POINTS]] = True
    weights = source.joint_weights
    fine_joints = [*HAND_JOINTS["left"], *HAND_JOINTS["right"], *HEAD_JOINTS]
    wrists = [joints[0] for joints in HAND_JOINTS.values()]
    coarse = ~np.isin(weights.argmax(1), fine_joints) & (weights[:, wrists].sum(1) < 0.02)
    faces, remaining = decimate(
        Vertices(vertices, weights, source.mirror, source.on_surface & (coarse | details), details),
        _triangles(vertices, source.quads),
        kept,
        VERTEX_COUNT,
    )
    source_ids = _numbered(remaining, landmarks)
    mirror = source.mirror[source_ids]
    return Surface(source_ids, _positions(source_ids, faces), _positions(source_ids, mirror))


def _triangles(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Cut each quad [F, 4] along its shorter diagonal: [2F, 3]."""
    corners = vertices[quads]
    first = np.linalg.norm(corners[:, 0] - corners[:, 2], axis=1)
    second = np.linalg.norm(corners[:, 1] - corners[:, 3], axis=1)
    cut_first = (first <= second + 1e-7)[:, None]  # ties must not depend on rounding
    return np.concatenate(
        [
            np.where(cut_first, quads[:, [0, 1, 2]], quads[:, [0, 1, 3]]),
            np.where(cut_first, quads[:, [0, 2, 3]], quads[:, [1, 2, 3]]),
        ]
    )


def _numbered(remaining: np.ndarray, landmarks: dict[str, int]) -> np.ndarray:
    """Swap vertices until each landmark stands at the number that SMPL-X gives it."""
    order = remaining.copy()
    for name, number in VERTEX_NUMBERS.items():
        current = int(np.flatnonzero(order == landmarks[name])[0])
        order[[number, current]] = order[[current, number]]
    return order


def _positions(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each of ``wanted`` stands in ``values``, in which all must occur."""
    order = np.argsort(values)
    found = order[np.searchsorted(values, wanted, sorter=order) % len(values)]
    assert (values[found] == wanted).all(), "a vertex that is needed was removed"
    return found
