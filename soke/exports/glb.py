"""A rigged and animated body as binary glTF 2.0 (.glb).

55 joints with skinning weights, one animation of their rotations (quaternions, one key per frame),
and the expression as morph targets. Metres, +y up, the body facing +z. Root and lower body are at
rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from soke.body import BodyModel
from soke.exports.gltf_buffer import INDICES, VERTICES, Buffer
from soke.exports.skeleton_motion import (
    JOINTS,
    checked_fps,
    checked_motion,
    local_rotations,
    quaternions,
    rest_joints,
)
from soke.exports.skinned_mesh import Rig
from soke.files import atomic_path

#: The default colour of a body, sRGB 0 to 1.
PLAIN = (0.78, 0.72, 0.68)
_STILL = 1e-7  # the vector part of a quaternion below which a joint counts as still


def skinned_glb(
    body: BodyModel,
    motion: np.ndarray | torch.Tensor,
    fps: float,
    *,
    name: str = "signing",
    colors: np.ndarray | None = None,
    extras: Mapping[str, Any] | None = None,
    influences: int = 4,
    expression: bool = True,
) -> bytes:
    """A rigged and animated body as the bytes of a .glb file.

    Args:
        body: the body model.
        motion: SMPL-X parameters ``[T, 133]``, radians.
        fps: frames per second.
        name: the name of the animation.
        colors: colours of the vertices ``[V, 3]``, sRGB 0 to 1; by default the body has one colour.
        extras: JSON values to store in the file, such as the text.
        influences: weights per vertex, 4 or 8; many readers support only 4.
        expression: whether the face moves, with one morph target per coefficient that is used.

    Raises ``ValueError`` for a motion of another shape, without frames or with values that are not
    finite, and for an invalid ``fps``, ``colors`` or ``influences``. `soke.exports.skinning_error`
    measures the distance of such a body from the body model.
    """
    motion = checked_motion(motion)
    fps = checked_fps(fps)
    rig = Rig(body, influences)
    buffer = Buffer()
    turns = quaternions(body, motion).astype(np.float32)
    _, faces = local_rotations(body, motion)
    used = [k for k in range(faces.shape[1]) if expression and np.abs(faces[:, k]).max() > 0]
    nodes = _joint_nodes(body, turns[0])
    primitive = _primitive(buffer, rig, colors, used)
    mesh: dict[str, Any] = {"name": "body", "primitives": [primitive]}
    if used:
        mesh["weights"] = faces[0, used].tolist()
        mesh["extras"] = {"targetNames": [f"expression_{k}" for k in used]}
    at_rest = np.tile(np.eye(4, dtype=np.float32), (len(nodes), 1, 1))
    at_rest[:, 3, :3] = -rest_joints(body)  # stored by columns
    skin = {
        "inverseBindMatrices": buffer.add(at_rest.reshape(-1, 16)),
        "joints": list(range(len(nodes))),
        "skeleton": 0,
    }
    animation = _animation(buffer, name, fps, turns, faces[:, used], mesh_node=len(nodes))
    return buffer.to_glb(
        {
            "asset": {"version": "2.0", "generator": "soke"},
            "scene": 0,
            "scenes": [{"nodes": [0, len(nodes)], "extras": {"fps": fps, **(extras or {})}}],
            "nodes": [*nodes, {"name": "body", "mesh": 0, "skin": 0}],
            "meshes": [mesh],
            "materials": [_material(colors)],
            "skins": [skin],
            "animations": [animation],
        }
    )


def write_glb(
    path: Path, body: BodyModel, motion: np.ndarray, fps: float, **options: Any
) -> list[Path]:
    """Write `skinned_glb` to ``path`` atomically. Returns what was written."""
    content = skinned_glb(body, motion, fps, **options)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return [path]


def _joint_nodes(body: BodyModel, first: np.ndarray) -> list[dict[str, Any]]:
    """The joints in the pose of the first frame [55, 4], for readers without animations."""
    rest = rest_joints(body)
    nodes = []
    for joint, parent in enumerate(body.parents):
        offset = rest[joint] - (rest[parent] if parent >= 0 else 0)
        below = [child for child, above in enumerate(body.parents) if above == joint]
        node = {
            "name": JOINTS[joint],
            "translation": offset.tolist(),
            "rotation": first[joint].tolist(),
        }
        nodes.append({**node, "children": below} if below else node)
    return nodes


def _primitive(
    buffer: Buffer, rig: Rig, colors: np.ndarray | None, used: Sequence[int]
) -> dict[str, Any]:
    faces = rig.body.faces
    attributes = {
        "POSITION": buffer.add(rig.template, VERTICES, bounds=True),
        "NORMAL": buffer.add(_normals(rig.template, faces), VERTICES),
    }
    for k in range(rig.influences // 4):
        four = slice(4 * k, 4 * k + 4)
        attributes[f"JOINTS_{k}"] = buffer.add(rig.joints[:, four], VERTICES)
        attributes[f"WEIGHTS_{k}"] = buffer.add(rig.weights[:, four], VERTICES)
    if colors is not None:
        attributes["COLOR_0"] = buffer.add(_color_bytes(colors, rig), VERTICES, normalized=True)
    primitive: dict[str, Any] = {
        "attributes": attributes,
        "indices": buffer.add(faces.astype(np.uint16).ravel(), INDICES),
        "material": 0,
    }
    if used:
        rows, directions = rig.moved
        places = buffer.view(rows.astype(np.uint16))
        primitive["targets"] = [
            {"POSITION": buffer.add_sparse(len(rig.template), places, directions[k])} for k in used
        ]
    return primitive


def _animation(
    buffer: Buffer, name: str, fps: float, turns: np.ndarray, faces: np.ndarray, mesh_node: int
) -> dict[str, Any]:
    """Rotations [T, 55, 4] of the joints that move, and weights [T, targets] of the face."""
    times = buffer.add((np.arange(len(turns)) / fps).astype(np.float32), bounds=True)
    tracks = [
        (joint, "rotation", turns[:, joint])
        for joint in range(turns.shape[1])
        if np.abs(turns[:, joint, :3]).max() > _STILL or joint == 0  # an animation needs a track
    ]
    if faces.shape[1]:
        tracks.append((mesh_node, "weights", faces.astype(np.float32).ravel()))
    return {
        "name": name,
        "samplers": [
            {"input": times, "output": buffer.add(values), "interpolation": "LINEAR"}
            for _, _, values in tracks
        ],
        "channels": [
            {"sampler": i, "target": {"node": node, "path": path}}
            for i, (node, path, _) in enumerate(tracks)
        ],
    }


def _normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals [V, 3]: the mean of the triangles' normals, weighted by area."""
    corners = vertices[faces].astype(np.float64)
    of_faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros((len(vertices), 3))
    np.add.at(normals, faces, of_faces[:, None])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.where(length > 1e-12, normals / np.maximum(length, 1e-12), [0.0, 0.0, 1.0])
    return normals.astype(np.float32)


def _color_bytes(colors: np.ndarray, rig: Rig) -> np.ndarray:
    colors = np.asarray(colors, np.float64)
    if colors.shape != rig.template.shape or not ((colors >= 0) & (colors <= 1)).all():
        raise ValueError(
            f"colours are [{len(rig.template)}, 3] from 0 to 1, got shape {list(colors.shape)} "
            "or values outside that range"
        )
    opaque = np.ones((len(colors), 1))
    return np.round(255 * np.concatenate([_linear(colors), opaque], axis=1)).astype(np.uint8)


def _linear(colors: np.ndarray) -> np.ndarray:
    """sRGB to linear light, as the format requires."""
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)


def _material(colors: np.ndarray | None) -> dict[str, Any]:
    base = [1.0] * 3 if colors is not None else _linear(np.array(PLAIN)).tolist()
    return {
        "name": "body",
        "pbrMetallicRoughness": {
            "baseColorFactor": [*base, 1.0],
            "metallicFactor": 0.0,
            "roughnessFactor": 0.75,
        },
    }
