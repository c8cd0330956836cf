"""Thin out a triangle mesh symmetrically by half-edge collapse, cheapest first.

A collapse merges vertex u into a neighbour v and leaves v where it is, so what remains is a subset
of the source vertices and every per-vertex table (skin weights, morph targets) is simply indexed.
Costs are quadric errors (Garland and Heckbert, Surface Simplification Using Quadric Error Metrics,
SIGGRAPH 1997, section 4) averaged over the area, plus a little for long edges and for edges along
which the skin weights change.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

_EDGE_COST = 0.01  # per squared metre of edge: keeps triangles even where the surface is flat
_SKINNING_COST = 0.1  # per squared metre and squared change of skin weights
_DETAIL_BONUS = 1e3  # above any real cost: details go first
_COST_DIGITS = 13  # of squared metres; real costs are from 1e-8 upwards, rounding errors 1e-16
_MIN_TURN = 0.5  # smallest cosine between a triangle's normals before and after
_SLIVER = 0.12  # twice the area over the summed squared sides; 0.58 for an equilateral triangle


@dataclass(frozen=True)
class Vertices:
    """What the decimation knows of each of the N vertices.

    ``positions`` [N, 3] in metres, ``skinning`` [N, J], ``mirror`` [N] the vertex on the other
    side. Those in ``may_go`` [N] can be removed or merged into; ``details`` [N] are small bumps
    to be removed first whatever it does to the surface.
    """

    positions: np.ndarray
    skinning: np.ndarray
    mirror: np.ndarray
    may_go: np.ndarray
    details: np.ndarray


def decimate(
    vertices: Vertices, faces: np.ndarray, kept: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Collapse edges of ``faces`` [F, 3] until ``count`` vertices are left.

    Vertices of the mask ``kept`` [N] can be merged into but never removed. Mirrored edges go
    together. Returns the remaining faces and the sorted numbers of the remaining vertices.
    """
    mesh = _Mesh(vertices, faces, kept)
    surplus = len(mesh.faces_of) - count
    while surplus > 0 and mesh.heap:
        edge = mesh.pop()
        if edge is not None:
            surplus -= mesh.collapse_with_mirror(*edge, at_most=surplus)
    if surplus:
        raise ValueError(f"no edge is left to collapse, but {surplus} vertices are too many")
    return np.array(list(mesh.faces.values())), np.array(sorted(mesh.faces_of))


@dataclass
class _Mesh:
    """The shrinking mesh and the queue of its edges.

    Entries of the heap are (cost, u, v, version of u, version of v); a collapse into v raises the
    version of v, which makes older entries about it stale.
    """

    vertices: Vertices
    initial_faces: np.ndarray
    kept: np.ndarray
    faces: dict[int, tuple[int, int, int]] = field(init=False)
    faces_of: dict[int, set[int]] = field(init=False)
    version: dict[int, int] = field(init=False)
    heap: list[tuple[float, int, int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.faces = {i: tuple(face) for i, face in enumerate(self.initial_faces.tolist())}
        self.faces_of = {}
        for i, face in self.faces.items():
            for vertex in face:
                self.faces_of.setdefault(vertex, set()).add(i)
        ones = np.ones((len(self.vertices.positions), 1))
        self.homogeneous = np.concatenate([self.vertices.positions, ones], axis=1)
        self.version = dict.fromkeys(self.faces_of, 0)
        self.quadrics, self.areas = _quadrics(self.vertices.positions, self.initial_faces)
        for vertex in list(self.faces_of):
            self._push(vertex)

    def pop(self) -> tuple[int, int] | None:
        """The cheapest edge, or None if that entry is stale."""
        _, u, v, version_u, version_v = heapq.heappop(self.heap)
        if u not in self.faces_of or v not in self.faces_of:
            return None
        if (self.version[u], self.version[v]) != (version_u, version_v):
            return None
        return u, v

    def collapse_with_mirror(self, u: int, v: int, at_most: int) -> int:
        """Merge u into v, and their mirror images likewise, if that is allowed.

        Returns how many vertices went: 0, 1 (u on the midline) or 2.
        """
        mirror_u = int(self.vertices.mirror[u])
        mirror_v = int(self.vertices.mirror[v])
        if mirror_u == u:
            if mirror_v != v or not self._allowed(u, v):
                return 0  # a midline vertex leaves along the midline, or the sides would differ
            self._collapse(u, v)
            return 1
        if at_most < 2 or mirror_u == v or not {mirror_u, mirror_v} <= self.faces_of.keys():
            return 0
        if mirror_v not in self._neighbours(mirror_u):
            return 0
        if not (self._allowed(u, v) and self._allowed(mirror_u, mirror_v)):
            return 0
        self._collapse(u, v)
        assert self._allowed(mirror_u, mirror_v), "a collapse blocked its mirror image"
        self._collapse(mirror_u, mirror_v)
        return 2

    def _neighbours(self, vertex: int) -> set[int]:
        return {other for i in self.faces_of[vertex] for other in self.faces[i]} - {vertex}

    def _push(self, u: int) -> None:
        if self.kept[u] or not self.vertices.may_go[u]:
            return
        for v in self._neighbours(u):
            if self.vertices.may_go[v] or self.vertices.details[u]:
                entry = (self._cost(u, v), u, v, self.version[u], self.version[v])
                heapq.heappush(self.heap, entry)

    def _cost(self, u: int, v: int) -> float:
        point = self.homogeneous[v]
        quadric = self.quadrics[u] + self.quadrics[v]
        squared_distance = point @ quadric @ point / (self.areas[u] + self.areas[v])
        edge = self.vertices.positions[u] - self.vertices.positions[v]
        squared_length = (edge**2).sum()
        skinning = ((self.vertices.skinning[u] - self.vertices.skinning[v]) ** 2).sum()
        cost = squared_distance + squared_length * (_EDGE_COST + _SKINNING_COST * skinning)
        # Mirror images and other ties are told apart by vertex number, not by rounding errors.
        return round(float(cost), _COST_DIGITS) - (_DETAIL_BONUS if self.vertices.details[u] else 0)

    def _allowed(self, u: int, v: int) -> bool:
        """Whether merging u into v keeps the surface closed and its triangles in shape."""
        shared = self.faces_of[u] & self.faces_of[v]
        if len(shared) != 2 or len(self._neighbours(u) & self._neighbours(v)) != 2:
            return False
        for i in self.faces_of[u] - shared:
            before = self.faces[i]
            after = tuple(v if vertex == u else vertex for vertex in before)
            normal_before, shape_before = self._normal_and_shape(before)
            normal_after, shape_after = self._normal_and_shape(after)
            size = np.linalg.norm(normal_after)
            if size < 1e-10:
                return False
            if self.vertices.details[u]:
                continue
            if normal_before @ normal_after < _MIN_TURN * np.linalg.norm(normal_before) * size:
                return False
            if shape_after < min(_SLIVER, shape_before):
                return False
        return True

    def _normal_and_shape(self, face: tuple[int, ...]) -> tuple[np.ndarray, float]:
        """Normal (twice the area long), and its length over the summed squared sides."""
        a, b, c = self.vertices.positions[list(face)]
        normal = np.cross(b - a, c - a)
        squared_sides = ((b - a) ** 2).sum() + ((c - b) ** 2).sum() + ((a - c) ** 2).sum()
        return normal, float(np.linalg.norm(normal) / squared_sides)

    def _collapse(self, u: int, v: int) -> None:
        for i in self.faces_of.pop(u):
            face = self.faces[i]
            if v in face:
                del self.faces[i]
                for vertex in set(face) - {u}:
                    self.faces_of[vertex].discard(i)
            else:
                self.faces[i] = tuple(v if vertex == u else vertex for vertex in face)
                self.faces_of[v].add(i)
        self.quadrics[v] += self.quadrics[u]
        self.areas[v] += self.areas[u]
        self.version[v] += 1
        for vertex in sorted(self._neighbours(v) | {v}):
            self._push(vertex)


def _quadrics(positions: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the area-weighted plane quadrics [N, 4, 4], and of the areas [N], at each vertex."""
    a, b, c = positions[faces].swapaxes(0, 1)
    normals = np.cross(b - a, c - a)
    areas = np.linalg.norm(normals, axis=1)
    normals /= np.maximum(areas, 1e-12)[:, None]
    planes = np.concatenate([normals, -(normals * a).sum(1, keepdims=True)], axis=1)
    face_quadrics = planes[:, :, None] * planes[:, None, :] * areas[:, None, None]
    quadrics = np.zeros((len(positions), 4, 4))
    area_sums = np.zeros(len(positions))
    for corner in faces.T:
        np.add.at(quadrics, corner, face_quadrics)
        np.add.at(area_sums, corner, areas)
    return quadrics, area_sums
