"""The relaxed hand that SMPL-X adds to every hand pose unless ``flat_hand_mean=True``.

Released pose files hold hand poses relative to such a mean, so it must not be zeros.
"""

from __future__ import annotations

import numpy as np

from prepare.build_body_model.joints import FINGERS

#: Flexion of the three joints of a finger in radians, and how far the finger points backwards in
#: the T pose in degrees: the flexion axis is level and perpendicular to the finger.
_FLEXION = {
    "index": ((0.4, 0.75, 0.2), 0),
    "middle": ((0.55, 0.7, 0.35), 10),
    "pinky": ((0.75, 0.55, 0.3), 37),
    "ring": ((0.65, 0.7, 0.4), 15),
}
#: Axis-angle of the left thumb's joints, in radians.
_LEFT_THUMB = ((0.85, 0.3, -0.1), (-0.5, 0.0, 0.05), (0.55, 0.05, -0.3))


def hand_mean(side: str) -> np.ndarray:
    """Axis-angle [45] of the 15 finger joints of a relaxed hand, in radians."""
    joints = []
    for finger in FINGERS:
        if finger == "thumb":
            joints += _LEFT_THUMB
            continue
        flexions, backwards = _FLEXION[finger]
        angle = np.deg2rad(backwards)
        axis = (-np.sin(angle), 0.0, -np.cos(angle))  # left fingers curl about -z
        joints += [np.multiply(flexion, axis) for flexion in flexions]
    pose = np.array(joints)
    if side == "right":
        pose *= (1, -1, -1)  # a mirrored rotation about x keeps its sense, about y and z turns it
    return pose.ravel()
