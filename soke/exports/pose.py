"""A motion as ``.pose``, the format of the `pose-format` library and the tools built on it.

One person, points x y z with a confidence of 1, as a camera in front of the signer sees them: x to
the picture's right, y down, z away from the camera, one pixel per millimetre. The pelvis is
``WIDTH`` / 2 from the left.

| component | points |
|---|---|
| ``SMPLX_BODY`` | pelvis, neck, shoulders, elbows, wrists, ears, eyes, nose |
| ``SMPLX_LEFT_HAND``, ``SMPLX_RIGHT_HAND`` | wrist; thumb, index, middle, ring, little finger: base to tip |
| ``SMPLX_FACE`` | brows, nose, eyes, mouth, lips, contour |

The points of body and hands are those that are scored. The 21 points of a hand are in the order of
MediaPipe and OpenPose.
"""  # noqa: E501

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions
from smplx.joint_names import JOINT_NAMES

from soke.body import ALL_JOINTS, POINT_SETS, BodyModel
from soke.exports.skeleton_motion import checked_fps, checked_motion
from soke.files import atomic_path

#: Millimetres that are in view; the signer's hands stay within them.
WIDTH = 2000
HEIGHT = 2000
#: The height (metres) of the middle of the view, above the pelvis: where hands are while signing.
_MIDDLE = 0.35
_VERSION = 0.2  # of the format
_FINGERS = ("THUMB", "INDEX", "MIDDLE", "RING", "LITTLE")
_HAND = ["WRIST", *(f"{finger}_{i}" for finger in _FINGERS for i in (1, 2, 3, "TIP"))]
_HAND_LIMBS = [(0 if i % 4 == 1 else i - 1, i) for i in range(1, 21)]
_FACE_FIRST = 76
_FACE = JOINT_NAMES[_FACE_FIRST:]
#: Ranges of the face's 68 points that form a line, and whether it is closed.
_FACE_LINES = (
    (0, 5, False),
    (5, 10, False),
    (10, 14, False),
    (14, 19, False),
    (19, 25, True),
    (25, 31, True),
    (31, 43, True),
    (43, 51, True),
    (51, 68, False),
)
_BODY_LIMBS = (
    ("pelvis", "neck"),
    ("neck", "left_shoulder"),
    ("neck", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("right_shoulder", "right_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_elbow", "right_wrist"),
    ("neck", "nose"),
    ("nose", "left_eye"),
    ("nose", "right_eye"),
    ("left_eye", "left_ear"),
    ("right_eye", "right_ear"),
)


def pose_of(body: BodyModel, motion: np.ndarray | torch.Tensor, fps: float) -> Pose:
    """The scored points and the face of a motion [T, 133] at ``fps`` frames per second.

    Raises ``ValueError`` for a motion of another shape, without frames or with values that are not
    finite, and for an invalid ``fps``.
    """
    motion = checked_motion(motion)
    fps = checked_fps(fps)
    found = body.scored_points(motion.to(body.betas), all_joints=True)
    face = found[ALL_JOINTS][:, _FACE_FIRST:]
    points = torch.cat([*(found[name] for name in POINT_SETS), face], dim=1)
    metres = points.cpu().numpy()  # [T, N, 3]
    pelvis = found["body"][0, 0].cpu().numpy()  # at rest: the same in every frame
    metres = metres - pelvis - np.array([0, _MIDDLE, 0], np.float32)
    seen = metres * np.array([1000, -1000, -1000], np.float32)
    seen = seen + np.array([WIDTH / 2, HEIGHT / 2, 0], np.float32)
    confidence = np.ones((len(seen), 1, seen.shape[1]), np.float32)
    header = PoseHeader(_VERSION, PoseHeaderDimensions(WIDTH, HEIGHT, WIDTH), components())
    return Pose(header, NumPyPoseBody(fps, seen[:, None].astype(np.float32), confidence))


def write_pose(path: Path, body: BodyModel, motion: np.ndarray, fps: float) -> list[Path]:
    """Write `pose_of` to ``path`` atomically. Returns what was written."""
    pose = pose_of(body, motion, fps)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        pose.write(file)
    return [path]


def components() -> list[PoseHeaderComponent]:
    """The groups of points, in order.

    Their names start with SMPLX, since the library takes BODY with LEFT_HAND for another set.
    """
    body = [JOINT_NAMES[index] for _, index in POINT_SETS["body"].points]
    body_limbs = [(body.index(a), body.index(b)) for a, b in _BODY_LIMBS]
    face_limbs = [
        (i, i + 1 if i + 1 < stop else start)
        for start, stop, closed in _FACE_LINES
        for i in range(start, stop if closed else stop - 1)
    ]
    rows = (
        ("SMPLX_BODY", body, body_limbs, (90, 90, 90)),
        ("SMPLX_LEFT_HAND", _HAND, _HAND_LIMBS, (0, 114, 178)),
        ("SMPLX_RIGHT_HAND", _HAND, _HAND_LIMBS, (213, 94, 0)),
        ("SMPLX_FACE", list(_FACE), face_limbs, (0, 158, 115)),
    )
    return [
        PoseHeaderComponent(name, points, limbs, [color] * len(limbs), "XYZC")
        for name, points, limbs, color in rows
    ]
