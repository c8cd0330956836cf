"""From tracked points to joint rotations: arms, hands, head and jaw, each frame for itself.

SMPL-X rest frames are parallel to the world, so a joint's rotation is found in its parent's frame
against the bone directions of the rest skeleton. Root, spine and collars stay at rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prepare.fingerspelling.recordings import (
    FACE,
    FACE_MESH,
    LEFT_HAND,
    RIGHT_HAND,
    Recording,
    interpolate,
)
from prepare.fingerspelling.rotations import (
    basis,
    fit_rotation,
    from_axis_angle,
    inverse,
    rotate,
    shortest_arc,
    to_axis_angle,
    unit,
)
from prepare.fingerspelling.skeleton import HEAD, JAW, NECK, Skeleton
from prepare.fingerspelling.smoothing import savgol


@dataclass(frozen=True)
class Side:
    """One arm and its hand: points of the recording, joints of the skeleton."""

    outward: float  # x direction away from the body
    shoulder_point: int
    elbow_point: int
    hand_points: slice  # 21
    shoulder: int
    elbow: int
    wrist: int
    hand: slice  # 15 joints

    @property
    def hinge(self) -> np.ndarray:
        """The elbow's axis at rest."""
        return np.array([0, -self.outward, 0])


SIDES = (
    Side(1.0, 11, 13, LEFT_HAND, 16, 18, 20, slice(25, 40)),
    Side(-1.0, 12, 14, RIGHT_HAND, 17, 19, 21, slice(40, 55)),
)

#: Hand points along each finger, in the order of SMPL-X: index, middle, pinky, ring, thumb.
FINGERS = np.array(
    [[5, 6, 7, 8], [9, 10, 11, 12], [17, 18, 19, 20], [13, 14, 15, 16], [1, 2, 3, 4]]
)
#: Knuckles that fix the palm: index, middle, ring, pinky as hand points and as hand joints.
KNUCKLE_POINTS = [5, 9, 13, 17]
KNUCKLE_JOINTS = [0, 3, 9, 6]

#: Arm bones in shoulder widths, from which the depth of elbow and wrist follows.
UPPER_ARM = 0.84
FOREARM = 0.80


def solve(recording: Recording, skeleton: Skeleton) -> np.ndarray:
    """Rotations against the parent ``[T, 55, 3, 3]``, not yet smoothed over time."""
    pose = skeleton.at_rest(len(recording))
    pose[:, [NECK, HEAD]] = _head(recording)[:, None]
    pose[:, JAW] = _jaw(recording)
    for side in SIDES:
        if is_tracked(recording, side):
            hand = tracked_hand(recording, side)
            upper, fore = _arm(recording, side, hand[:, 0, :2])
            _place_arm(pose, side, skeleton, upper, fore)
            _place_hand(pose, side, skeleton, hand)
        else:
            upper, fore = hanging_arm(side, len(recording))
            _place_arm(pose, side, skeleton, upper, fore)
    return pose


def rest_pose(skeleton: Skeleton) -> np.ndarray:
    """Both arms hanging, hands relaxed: rotations ``[1, 55, 3, 3]``."""
    pose = skeleton.at_rest(1)
    for side in SIDES:
        _place_arm(pose, side, skeleton, *hanging_arm(side, 1))
    return pose


def is_tracked(recording: Recording, side: Side) -> bool:
    return recording.tracked(side.hand_points).mean() > 0.3


def tracked_hand(recording: Recording, side: Side) -> np.ndarray:
    """Hand points ``[T, 21, 3]``: gaps filled linearly, depth smoothed over 5 frames."""
    hand = recording.points[:, side.hand_points]
    found = recording.tracked(side.hand_points)
    if not found.all():
        frames = np.arange(len(hand))
        hand = interpolate(hand[found], np.interp(frames, frames[found], np.arange(found.sum())))
    return np.concatenate([hand[..., :2], savgol(hand[..., 2:], 5)], axis=-1)


def observed_bones(hand: np.ndarray) -> np.ndarray:
    """Unit finger bones ``[T, 5, 3, 3]`` (finger, bone, xyz) of hand points ``[T, 21, 3]``."""
    return unit(hand[:, FINGERS[:, 1:]] - hand[:, FINGERS[:, :-1]])


def rest_bones(skeleton: Skeleton, side: Side) -> np.ndarray:
    """Unit finger bones ``[5, 3, 3]`` at rest; the tip has no joint and repeats its neighbour."""
    joints = skeleton.joints[side.hand].reshape(5, 3, 3)
    first = unit(joints[:, 1] - joints[:, 0])
    second = unit(joints[:, 2] - joints[:, 1])
    return np.stack([first, second, second], axis=1)


def rest_knuckles(skeleton: Skeleton, side: Side) -> np.ndarray:
    """Vectors ``[4, 3]`` from the wrist to the knuckles at rest."""
    return skeleton.joints[side.hand][KNUCKLE_JOINTS] - skeleton.joints[side.wrist]


def _head(recording: Recording) -> np.ndarray:
    """Half of the head's rotation ``[T, 3, 3]``: neck and head each take one half.

    The first frame of every file holds the same mean face, which serves as the rest pose.
    """
    if recording.confidence[:, FACE_MESH].min() <= 0:
        return np.tile(np.eye(3), (len(recording), 1, 1))
    face = recording.points[:, FACE_MESH]
    face = savgol(face - face.mean(1, keepdims=True), 7)
    return from_axis_angle(0.5 * to_axis_angle(fit_rotation(face[0], face)))


def _jaw(recording: Recording) -> np.ndarray:
    """Jaw rotation ``[T, 3, 3]`` from the gap between the lips in face heights."""
    face = recording.points[:, FACE, :2]
    height = np.linalg.norm(face[:, 10] - face[:, 152], axis=-1)
    gap = np.linalg.norm(face[:, 13] - face[:, 14], axis=-1) / np.maximum(height, 1e-6)
    angle = np.clip(1.6 * savgol(gap - gap.min(), 5), 0, 0.6)
    return from_axis_angle(angle[:, None] * [1.0, 0.0, 0.0])


def hanging_arm(side: Side, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Directions ``[T, 3]`` of upper arm and forearm beside the body."""
    upper = unit(np.array([0.22 * side.outward, -1, 0.02]))
    fore = unit(np.array([0.02 * side.outward, -1, 0.25]))
    return np.tile(upper, (frames, 1)), np.tile(fore, (frames, 1))


def _depth(offset: np.ndarray, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Image offsets ``[T, 2]`` of a bone, at most ``length``, and the depth that is left."""
    seen = np.linalg.norm(offset, axis=-1, keepdims=True)
    offset = offset * np.minimum(1, 0.999 * length / np.maximum(seen, 1e-6))
    return offset, np.sqrt(np.maximum(length**2 - (offset**2).sum(-1), 0))


def _arm(recording: Recording, side: Side, wrist: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions ``[T, 3]`` of upper arm and forearm for wrists ``[T, 2]`` in shoulder widths.

    Depth comes from bone lengths, the forearm pointing forward; then two-bone inverse kinematics
    hits the wrist exactly, with the estimated elbow as the pole.
    """
    shoulder, elbow = (recording.points[:, i] for i in (side.shoulder_point, side.elbow_point))
    backward = np.tanh(savgol(elbow[:, 2] - shoulder[:, 2], 11) / 0.5)
    shoulder = savgol(shoulder[:, :2], 11)
    elbow = savgol(elbow[:, :2], 7)
    upper, upper_depth = _depth(elbow - shoulder, UPPER_ARM)
    upper_depth = upper_depth * backward
    _, fore_depth = _depth(wrist - shoulder - upper, FOREARM)

    # The hand stays in front of chest and face; the guard fades out beside and below the body.
    beside = np.clip((0.95 - np.abs(wrist[:, 0])) / 0.3, 0, 1)
    below = np.clip((wrist[:, 1] + 1.7) / 0.4, 0, 1)
    guard = np.where(wrist[:, 1] > 0.1, 0.75, 0.6) * beside * below
    reach = (0.99 * (UPPER_ARM + FOREARM)) ** 2 - ((wrist - shoulder) ** 2).sum(-1)
    depth = np.minimum(np.maximum(upper_depth + fore_depth, guard), np.sqrt(np.maximum(reach, 0)))
    target = np.concatenate([wrist - shoulder, savgol(depth, 5, order=1)[:, None]], axis=-1)

    distance = np.linalg.norm(target, axis=-1, keepdims=True)
    distance = np.clip(distance, UPPER_ARM - FOREARM + 0.05, 0.995 * (UPPER_ARM + FOREARM))
    axis = unit(target)
    cosine = (UPPER_ARM**2 + distance**2 - FOREARM**2) / (2 * UPPER_ARM * distance)
    pole = np.concatenate([upper, upper_depth[:, None]], axis=-1)
    pole = unit(pole - (pole * axis).sum(-1, keepdims=True) * axis)
    bent = UPPER_ARM * (cosine * axis + np.sqrt(np.maximum(1 - cosine**2, 0)) * pole)
    return unit(bent), unit(distance * axis - bent)


def _place_arm(
    pose: np.ndarray, side: Side, skeleton: Skeleton, upper: np.ndarray, fore: np.ndarray
) -> None:
    """Write shoulder and elbow so that the bones point along ``upper`` and ``fore`` [T, 3]."""
    joints = skeleton.joints
    rest_upper = unit(joints[side.elbow] - joints[side.shoulder])
    rest_fore = unit(joints[side.wrist] - joints[side.elbow])
    hinge = np.cross(upper, fore)
    bend = np.linalg.norm(hinge, axis=-1, keepdims=True)
    # A stretched arm has no hinge of its own: there it is carried along by the upper arm.
    carried = rotate(shortest_arc(rest_upper, upper), side.hinge)
    share = np.clip((bend - 0.15) / 0.25, 0, 1)
    hinge = unit(unit(hinge) * share + carried * (1 - share))
    shoulder = basis(upper, hinge) @ inverse(basis(rest_upper, side.hinge))
    pose[:, side.shoulder] = shoulder
    pose[:, side.elbow] = shortest_arc(rest_fore, rotate(inverse(shoulder), fore))


def _place_hand(pose: np.ndarray, side: Side, skeleton: Skeleton, hand: np.ndarray) -> None:
    """Write wrist and fingers for hand points ``[T, 21, 3]``.

    The wrist takes all of the forearm's twist: moved into the elbow, angles would wrap.
    """
    knuckles = rest_knuckles(skeleton, side)
    rest = unit(np.concatenate([knuckles, knuckles[:1] - knuckles[3:]]))
    seen = hand[:, KNUCKLE_POINTS] - hand[:, :1]
    palm = fit_rotation(rest, unit(np.concatenate([seen, seen[:, :1] - seen[:, 3:]], axis=1)))
    pose[:, side.wrist] = inverse(pose[:, side.shoulder] @ pose[:, side.elbow]) @ palm

    rest = rest_bones(skeleton, side)
    seen = observed_bones(hand)
    fingers = np.empty((len(hand), 5, 3, 3, 3))
    parent = np.repeat(palm[:, None], 5, axis=1)
    for bone in range(3):
        local = rotate(inverse(parent), seen[:, :, bone])
        fingers[:, :, bone] = shortest_arc(rest[:, bone], local)
        parent = parent @ fingers[:, :, bone]
    pose[:, side.hand] = fingers.reshape(-1, 15, 3, 3)
