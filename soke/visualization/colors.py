"""Colours of bodies: clothes that distinguish systems, and bare skin on hands and face."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, identity

from soke.visualization.camera import FRAMINGS, Regions
from soke.visualization.captions import Color

#: Clothes of the first, second, ... panel, sRGB.
TINTS: tuple[Color, ...] = (
    (92, 122, 168),
    (206, 132, 92),
    (96, 152, 118),
    (150, 112, 168),
    (190, 156, 78),
)
SKIN: Color = (238, 206, 184)
SKIN_TINT = 0.06  # share of the clothes' colour in the skin
HEM_ROUNDS = 5


def body_colors(
    vertex_count: int, regions: Regions, tint: Color, faces: np.ndarray | None = None
) -> np.ndarray:
    """Colours ``[V, 3]`` (sRGB, 0 to 1): clothes in ``tint`` (0 to 255), skin in close-up regions.

    A light hand is easier to read in front of a darker chest. With ``faces`` [F, 3] the boundary
    between skin and clothes is smoothed; otherwise it follows the triangles.
    """
    clothes = np.array(tint) / 255
    skin = np.array(SKIN) / 255
    bare = np.zeros(vertex_count)
    for name in {name for row in FRAMINGS.values() for name in row.regions}:
        if name in regions:
            bare[regions[name]] = 1
    if faces is not None:
        bare = _softened(bare, faces)
    share = (1 - SKIN_TINT) * bare[:, None]
    return (share * skin + (1 - share) * clothes).astype(np.float32)


def _softened(values: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Values ``[V]`` averaged with their neighbours on the mesh, `HEM_ROUNDS` times."""
    count = len(values)
    rows = faces[:, [0, 1, 2]].ravel()
    columns = faces[:, [1, 2, 0]].ravel()
    ones = np.ones(len(rows))
    edges = coo_matrix((ones, (rows, columns)), shape=(count, count)).tocsr()
    edges = edges + edges.T + identity(count, format="csr")
    degree = np.asarray(edges.sum(axis=1))[:, 0]
    for _ in range(HEM_ROUNDS):
        values = (edges @ values) / degree
    return values
