"""Vertices that other software finds by number: finger tips, toes, eyes, ears, nose, face points.

A right-hand landmark is always the mirror image of the left one.
"""

from __future__ import annotations

import numpy as np

from prepare.build_body_model.joints import FINGERS, JOINT
from prepare.build_body_model.makehuman import MakeHuman

#: Vertex numbers that SMPL-X gives to landmarks (`smplx.vertex_ids.vertex_ids["smplx"]`).
VERTEX_NUMBERS = {
    "nose": 9120,
    "right_eye": 9929,
    "left_eye": 9448,
    "right_ear": 616,
    "left_ear": 6,
    "right_thumb": 8079,
    "right_index": 7669,
    "right_middle": 7794,
    "right_ring": 7905,
    "right_pinky": 8022,
    "left_thumb": 5361,
    "left_index": 4933,
    "left_middle": 5058,
    "left_ring": 5169,
    "left_pinky": 5286,
    "left_big_toe": 5770,
    "left_small_toe": 5780,
    "left_heel": 8846,
    "right_big_toe": 8463,
    "right_small_toe": 8474,
    "right_heel": 8635,
}

#: The 68 points of the iBUG face annotation as vertices of MakeHuman's base mesh, picked by hand:
#: jaw line from right ear to left ear (17), then brows (10), nose (9), eyes (12), lips (20).
JAW_LINE = (
    *(5754, 5665, 270, 736, 5240, 742, 920, 727),
    747,  # chin
    *(7449, 7622, 7462, 11849, 7456, 7039, 12262, 12351),
)
FACE_POINTS = (
    *(212, 206, 204, 177, 181, 6957, 6953, 6979, 6981, 6987),
    *(133, 131, 201, 5054, 320, 313, 317, 7076, 7082),
    *(4855, 4849, 4865, 4869, 4862, 4860, 11487, 11483, 11467, 11473, 11478, 11480),
    *(426, 5352, 461, 467, 7220, 11954, 7186, 7235, 11940, 5337),
    *(5336, 480, 443, 459, 468, 7218, 7203, 7237, 494, 482),
)


def find_landmarks(source: MakeHuman, vertices: np.ndarray) -> dict[str, int]:
    """The vertex of MakeHuman's mesh that plays each landmark of `VERTEX_NUMBERS`.

    ``vertices`` [N, 3] is the neutral body in MakeHuman's rest pose, in metres.
    """
    skin_joint = np.where(source.on_surface, source.joint_weights.argmax(1), -1)
    x, y, z = vertices.T
    left = {finger: _finger_tip(source, vertices, number) for finger, number in FINGERS.items()}

    for name, bone in (("big_toe", "toe1-2.L"), ("small_toe", "toe5-3.L")):
        toe = np.flatnonzero(source.on_surface & (source.weights_of(bone) > 0.5))
        left[name] = toe[z[toe].argmax()]
    foot = np.flatnonzero(skin_joint == JOINT["left_ankle"])
    left["heel"] = foot[(z[foot] + 0.3 * y[foot]).argmin()]  # backmost, rather low

    eye_centre = vertices[source.head_vertices(["eye.L"])].mean(0)
    eyeball = source.group_vertices("helper-l-eye")
    cornea = eyeball[z[eyeball] > eye_centre[2]]
    off_axis = ((vertices[cornea, :2] - eye_centre[:2]) ** 2).sum(1)
    left["eye"] = cornea[off_axis.argmin()]
    at_eye_level = np.abs(y - eye_centre[1]) < 0.03
    head = np.flatnonzero((skin_joint == JOINT["head"]) & at_eye_level)
    left["ear"] = head[x[head].argmax()]

    on_midline = (skin_joint == JOINT["head"]) & (np.abs(x) < 1e-4)
    midface = np.flatnonzero(on_midline & (y < eye_centre[1]))
    landmarks = {"nose": int(midface[z[midface].argmax()])}
    for name, vertex in left.items():
        landmarks[f"left_{name}"] = int(vertex)
        landmarks[f"right_{name}"] = int(source.mirror[vertex])
    assert landmarks.keys() == VERTEX_NUMBERS.keys()
    return landmarks


def _finger_tip(source: MakeHuman, vertices: np.ndarray, number: int) -> int:
    """The vertex at the end of the last phalanx of a left finger, on the axis of its bone."""
    bone = f"finger{number}-3.L"
    joint = vertices[source.head_vertices([bone])].mean(0)
    end = vertices[source.group_vertices(f"joint-l-finger-{number}-4")].mean(0)
    axis = (end - joint) / np.linalg.norm(end - joint)
    phalanx = np.flatnonzero(source.on_surface & (source.weights_of(bone) > 0.9))
    reach = ((vertices[phalanx] - joint) @ axis).max()
    off_tip = np.linalg.norm(vertices[phalanx] - (joint + reach * axis), axis=1)
    return int(phalanx[off_tip.argmin()])


def face_points_on(vertex_ids: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Write vertices [L] as points of faces: face numbers [L] and barycentric weights [L, 3]."""
    corners = faces == vertex_ids[:, None, None]  # [L, F, 3]
    face_ids = corners.any(2).argmax(1)
    return face_ids, corners[np.arange(len(vertex_ids)), face_ids].astype(float)
