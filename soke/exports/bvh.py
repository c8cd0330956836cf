"""A motion as Biovision hierarchy (.bvh): the skeleton's offsets and its joints' Euler angles.

Centimetres and degrees, +y up, the body facing +z. The root has the channels Xposition Yposition
Zposition Zrotation Xrotation Yrotation, every other joint the last three: R = Rz Rx Ry. Joints have
the names of the `smplx` library. Facial expressions are left out: the format stores only joints.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from smplx.joint_names import JOINT_NAMES

from soke.body import BodyModel
from soke.exports.skeleton_motion import (
    JOINTS,
    checked_fps,
    checked_motion,
    quaternions,
    rest_joints,
)
from soke.files import atomic_path

_CENTIMETRES = 100
_POSITIONS = "Xposition Yposition Zposition"
_ROTATIONS = "Zrotation Xrotation Yrotation"
#: Surface joints at the end of a chain, if the names differ by more than a trailing 3.
_ENDS = {
    "left_foot": "left_big_toe",
    "right_foot": "right_big_toe",
    "left_eye_smplhf": "left_eye",
    "right_eye_smplhf": "right_eye",
}


def bvh_text(body: BodyModel, motion: np.ndarray | torch.Tensor, fps: float) -> str:
    """The file's text for a motion [T, 133] at ``fps`` frames per second.

    Raises ``ValueError`` for a motion of another shape, without frames or with values that are not
    finite, and for an invalid ``fps``.
    """
    motion = checked_motion(motion)
    fps = checked_fps(fps)
    rest = rest_joints(body)
    ends = _end_sites(body)
    lines = ["HIERARCHY", *_hierarchy(body.parents, rest, ends, 0, 0)]
    angles = _euler_angles(quaternions(body, motion))[:, list(_depth_first(body.parents))]
    where = np.tile(_CENTIMETRES * rest[0], (len(motion), 1))
    rows = np.concatenate([where, angles.reshape(len(motion), -1)], axis=1)
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / fps:.10f}"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in rows.tolist()]
    return "\n".join(lines) + "\n"


def write_bvh(path: Path, body: BodyModel, motion: np.ndarray, fps: float) -> list[Path]:
    """Write `bvh_text` to ``path`` atomically. Returns what was written."""
    text = bvh_text(body, motion, fps)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="ascii")
    return [path]


def _depth_first(parents: list[int], joint: int = 0) -> Iterator[int]:
    """Joints in the order of the file."""
    yield joint
    for child, parent in enumerate(parents):
        if parent == joint:
            yield from _depth_first(parents, child)


def _hierarchy(
    parents: list[int], rest: np.ndarray, ends: dict[int, np.ndarray], joint: int, depth: int
) -> Iterator[str]:
    indent = "\t" * depth
    root = parents[joint] < 0
    # Some readers replace the root's offset by its position channels, others add the two: a zero
    # offset suits both.
    offset = np.zeros(3) if root else rest[joint] - rest[parents[joint]]
    channels = f"6 {_POSITIONS} {_ROTATIONS}" if root else f"3 {_ROTATIONS}"
    yield f"{indent}{'ROOT' if root else 'JOINT'} {JOINTS[joint]}"
    yield f"{indent}{{"
    yield f"{indent}\t{_offset(offset)}"
    yield f"{indent}\tCHANNELS {channels}"
    for child, parent in enumerate(parents):
        if parent == joint:
            yield from _hierarchy(parents, rest, ends, child, depth + 1)
    if joint in ends:
        yield f"{indent}\tEnd Site"
        yield f"{indent}\t{{"
        yield f"{indent}\t\t{_offset(ends[joint] - rest[joint])}"
        yield f"{indent}\t}}"
    yield f"{indent}}}"


def _offset(metres: np.ndarray) -> str:
    return "OFFSET " + " ".join(f"{_CENTIMETRES * value:.6f}" for value in metres)


def _end_sites(body: BodyModel) -> dict[int, np.ndarray]:
    """The end point (metres) of each chain's last joint: finger tips, toes, pupils.

    A chain without a named end point on the surface ends at the mean of the vertices that it moves.
    """
    first = len(body.parents)
    places = body.surface_joints.extra.tolist()
    vertices = dict(zip(JOINT_NAMES[first : first + len(places)], places))
    template = body.template.cpu().double().numpy()
    ends = {}
    for joint in set(range(first)) - set(body.parents):
        name = _ENDS.get(JOINTS[joint], JOINTS[joint].removesuffix("3"))
        if name in vertices:
            ends[joint] = template[vertices[name]]
        else:
            ends[joint] = template[body.dominant_joint == joint].mean(axis=0)
    return ends


def _euler_angles(turns: np.ndarray) -> np.ndarray:
    """Angles [T, J, 3] in degrees (z, x, y) of quaternions [T, J, 4], continuous in time.

    A rotation has two such triples, each up to full turns. Each frame takes the one nearest to the
    frame before, so that a program that resamples the file does not spin joints.
    """
    frames, joints = turns.shape[:2]
    angles = Rotation.from_quat(turns.reshape(-1, 4)).as_euler("ZXY", degrees=True)
    angles = angles.reshape(frames, joints, 3)
    others = angles * [1, -1, 1] + 180
    for t in range(1, frames):
        before = angles[t - 1]
        same, other = (
            values - 360 * np.round((values - before) / 360) for values in (angles[t], others[t])
        )
        nearer = np.abs(other - before).sum(axis=1) < np.abs(same - before).sum(axis=1)
        angles[t] = np.where(nearer[:, None], other, same)
    return angles
