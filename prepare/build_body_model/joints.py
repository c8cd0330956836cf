"""The 55 joints of SMPL-X and the bones of MakeHuman's default rig that move them.

Left is +x. MakeHuman marks sides with ``.L`` and ``.R`` and numbers fingers from the thumb (1) to
the little finger (5); SMPL-X lists them index, middle, pinky, ring, thumb.
"""

from __future__ import annotations

from collections.abc import Mapping

SIDES = {"left": "L", "right": "R"}

#: SMPL-X finger names in SMPL-X order, and MakeHuman's finger numbers.
FINGERS = {"index": 2, "middle": 3, "pinky": 5, "ring": 4, "thumb": 1}

_BODY_PARENTS = {
    "pelvis": None,
    "left_hip": "pelvis",
    "right_hip": "pelvis",
    "spine1": "pelvis",
    "left_knee": "left_hip",
    "right_knee": "right_hip",
    "spine2": "spine1",
    "left_ankle": "left_knee",
    "right_ankle": "right_knee",
    "spine3": "spine2",
    "left_foot": "left_ankle",
    "right_foot": "right_ankle",
    "neck": "spine3",
    "left_collar": "spine3",
    "right_collar": "spine3",
    "head": "neck",
    "left_shoulder": "left_collar",
    "right_shoulder": "right_collar",
    "left_elbow": "left_shoulder",
    "right_elbow": "right_shoulder",
    "left_wrist": "left_elbow",
    "right_wrist": "right_elbow",
    "jaw": "head",
    "left_eye": "head",
    "right_eye": "head",
}


def _hand_parents(side: str) -> dict[str, str]:
    """Parents of the 15 finger joints of one hand; the first of each finger hangs on the wrist."""
    return {
        f"{side}_{finger}{k}": f"{side}_{finger}{k - 1}" if k > 1 else f"{side}_wrist"
        for finger in FINGERS
        for k in (1, 2, 3)
    }


_PARENT_NAMES = {**_BODY_PARENTS, **_hand_parents("left"), **_hand_parents("right")}

JOINT_NAMES: tuple[str, ...] = tuple(_PARENT_NAMES)
JOINT = {name: index for index, name in enumerate(JOINT_NAMES)}
#: Parent of each joint; -1 for the pelvis.
PARENTS: tuple[int, ...] = tuple(JOINT.get(parent, -1) for parent in _PARENT_NAMES.values())


def _other_side(name: str) -> str:
    swap = {"left": "right", "right": "left"}
    side, _, rest = name.partition("_")
    return f"{swap[side]}_{rest}" if side in swap else name


#: The joint on the other side of the body, itself for those on the midline.
MIRRORED_JOINTS: tuple[int, ...] = tuple(JOINT[_other_side(name)] for name in JOINT_NAMES)

HAND_JOINTS = {
    side: (JOINT[f"{side}_wrist"], *(JOINT[name] for name in _hand_parents(side))) for side in SIDES
}
HEAD_JOINTS = tuple(JOINT[name] for name in ("neck", "head", "jaw", "left_eye", "right_eye"))


def _bones_of_joints() -> dict[str, list[str]]:
    """The bones that rotate with each joint; the first one carries it."""
    bones = {
        "pelvis": ["root"],
        "spine1": ["spine03"],
        "spine2": ["spine02"],
        "spine3": ["spine01"],
        "neck": ["neck01"],
        "head": ["head"],
        "jaw": ["jaw"],
    }
    limbs = {
        "hip": "upperleg01",
        "knee": "lowerleg01",
        "ankle": "foot",
        "collar": "clavicle",
        "shoulder": "upperarm01",
        "elbow": "lowerarm01",
        "wrist": "wrist",
        "eye": "eye",
    }
    for side, mark in SIDES.items():
        bones |= {f"{side}_{joint}": [f"{bone}.{mark}"] for joint, bone in limbs.items()}
        bones[f"{side}_foot"] = [f"toe{toe}-1.{mark}" for toe in range(1, 6)]
        for finger, number in FINGERS.items():
            for k in (1, 2, 3):
                bones[f"{side}_{finger}{k}"] = [f"finger{number}-{k}.{mark}"]
    return bones


_BONES = _bones_of_joints()
_JOINT_OF_BONE = {bone: JOINT[joint] for joint, bones in _BONES.items() for bone in bones}

#: The bones whose heads are averaged to place a joint. MakeHuman's root bone starts far below the
#: pelvis, so the lowest spine bone stands in for it.
CENTRE_BONES: tuple[tuple[str, ...], ...] = tuple(
    ("spine04",) if name == "pelvis" else tuple(_BONES[name]) for name in JOINT_NAMES
)


def _carrier(name: str) -> str:
    side, _, joint = name.partition("_")
    if joint == "foot":  # the ball of the foot moves with the foot, not with one toe
        return f"foot.{SIDES[side]}"
    return "spine04" if name == "pelvis" else _BONES[name][0]


#: The bone that a joint is fixed to while the body is brought to the T pose.
CARRIER_BONES: tuple[str, ...] = tuple(_carrier(name) for name in JOINT_NAMES)


def joint_of_bone(bone: str, bone_parents: Mapping[str, str]) -> int:
    """The joint that moves ``bone``: its own, or that of its nearest ancestor that has one."""
    while bone not in _JOINT_OF_BONE:
        bone = bone_parents[bone]
    return _JOINT_OF_BONE[bone]
