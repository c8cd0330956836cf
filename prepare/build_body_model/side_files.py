"""The tables that are shipped beside the SMPL-X model: evaluation joints, hands and head."""

from __future__ import annotations

import numpy as np

from prepare.build_body_model.joints import HAND_JOINTS, HEAD_JOINTS, JOINT
from prepare.build_body_model.kept_surface import Surface
from prepare.build_body_model.landmarks import VERTEX_NUMBERS

#: The 14 joints of body evaluation, from right ankle to neck. The last is the top of the head.
_EVALUATION_JOINTS = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow"),
    *("left_wrist", "neck"),
)

_HAND_SIZE = 778
#: The numbers of the finger tips in MANO.
_MANO_TIPS = {"thumb": 744, "index": 320, "middle": 443, "ring": 554, "pinky": 671}

_HEAD_SIZE = 5023
_SHOULDER_JOINTS = tuple(
    JOINT[name]
    for side in ("left", "right")
    for name in ("spine2", "spine3", f"{side}_collar", f"{side}_shoulder")
)


def evaluation_regressor(joint_regressor: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Regressor [14, V] of `SMPLX_to_J14.pkl`."""
    top = np.zeros((1, len(vertices)))
    top[0, vertices[:, 1].argmax()] = 1
    rows = joint_regressor[[JOINT[name] for name in _EVALUATION_JOINTS]]
    return np.concatenate([rows, top]).astype(np.float32)


def hand_vertices(
    vertices: np.ndarray, weights: np.ndarray, surface: Surface
) -> dict[str, np.ndarray]:
    """The vertices [778] of each hand, of `MANO_SMPLX_vertex_ids.pkl`.

    MakeHuman's hands are finer than MANO's, so these are 778 of their vertices, spread evenly by
    farthest-point sampling from the finger tips. Finger tips stand where MANO has them, and the
    right hand is the mirror image of the left.
    """
    hand = np.flatnonzero(np.isin(weights.argmax(1), HAND_JOINTS["left"]))
    tips = [VERTEX_NUMBERS[f"left_{finger}"] for finger in _MANO_TIPS]
    chosen = hand[np.sort(_spread(vertices[hand], np.searchsorted(hand, tips), _HAND_SIZE))]
    for tip, number in zip(tips, _MANO_TIPS.values()):
        current = int(np.flatnonzero(chosen == tip)[0])
        chosen[[number, current]] = chosen[[current, number]]
    return {"left_hand": chosen, "right_hand": surface.mirror[chosen]}


def _spread(points: np.ndarray, start: np.ndarray, count: int) -> list[int]:
    """Farthest-point sampling: add to ``start`` the point farthest from all chosen so far."""
    chosen = start.tolist()
    distances = np.min([((points - points[i]) ** 2).sum(1) for i in chosen], axis=0)
    while len(chosen) < count:
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, ((points - points[chosen[-1]]) ** 2).sum(1))
    return chosen


def head_vertices(vertices: np.ndarray, weights: np.ndarray, neck: np.ndarray) -> np.ndarray:
    """The vertices [5023] of head and neck, of `SMPL-X__FLAME_vertex_ids.npy`.

    MakeHuman's head and neck have fewer, so those of the shoulders nearest to the neck are added.
    """
    mover = weights.argmax(1)
    head = np.flatnonzero(np.isin(mover, HEAD_JOINTS))
    shoulders = np.flatnonzero(np.isin(mover, _SHOULDER_JOINTS))
    distances = np.linalg.norm(vertices[shoulders] - neck, axis=1)
    nearest = shoulders[np.argsort(distances, kind="stable")[: _HEAD_SIZE - len(head)]]
    return np.sort(np.concatenate([head, nearest]))
