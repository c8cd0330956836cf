"""Bring MakeHuman's rest pose (arms hanging at 45 degrees, fingers bent) to the T pose of SMPL-X.

Every bone gets one fixed rotation, read off the neutral body; with them the T pose is an affine
function of the mesh, so it can be applied to any phenotype or morph target alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial.transform import Rotation

from prepare.build_body_model.joints import CARRIER_BONES, CENTRE_BONES, JOINT, SIDES
from prepare.build_body_model.makehuman import MakeHuman

#: Where the pelvis stands, in metres: about where SMPL-X has it.
PELVIS = np.array([0.0, -0.35, 0.01])

# Where the bones of the left side point in the T pose, in degrees (down, forward) from straight
# out to the side; those of the right side are mirrored. They are near the template of SMPL-X.
_UPPER_ARM = (12, -7)
_FOREARM = (-2, -2)
_HAND = (4, -2)  # from the wrist to the middle knuckle
_FINGERS = {  # MakeHuman's finger number: proximal, middle and distal phalanx
    2: ((-4, 5), (5, 0), (5, 0)),
    3: ((-1, -7), (5, -10), (5, -10)),
    4: ((-3, -11), (3, -17), (3, -17)),
    5: ((4, -38), (5, -36), (5, -36)),
}
_THUMB = ((-3, 56), (11, 37), (11, 37))
_THUMB_NAIL = (-1.0, 1.0, 1.0)  # the nail of the left thumb faces up, forward and inwards
# Legs, in degrees (outwards, back) from straight down.
_THIGH = (7.5, 2)
_SHIN = (-4, 4)
# Turns in degrees: clavicle and shoulder blade upwards, foot outwards.
_CLAVICLE = 3
_SHOULDER_BLADE = 8
_FOOT = 12

_UP = np.array([0.0, 1.0, 0.0])
_FORWARD = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class TPose:
    """Applies the T pose to meshes: ``rotations`` [B, 3, 3], ``source_ids`` [V] to be kept."""

    source: MakeHuman
    source_ids: np.ndarray
    rotations: np.ndarray

    @cached_property
    def _bone_weights(self) -> np.ndarray:
        return self.source.bone_weights[self.source_ids]  # [V, B]

    @cached_property
    def _vertex_rotations(self) -> np.ndarray:
        return np.einsum("vb,bij->vij", self._bone_weights, self.rotations)

    def rotate(self, displacements: np.ndarray) -> np.ndarray:
        """Turn displacements [N, 3] of the mesh along with the bones under them. [V, 3]"""
        return np.einsum("vij,vj->vi", self._vertex_rotations, displacements[self.source_ids])

    def apply(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pose a mesh [N, 3]: vertices [V, 3] and joints [J, 3], pelvis at `PELVIS`, metres."""
        heads = self.source.heads(vertices)
        posed_heads = self._posed_heads(heads)
        offsets = posed_heads - np.einsum("bij,bj->bi", self.rotations, heads)
        posed = self.rotate(vertices) + self._bone_weights @ offsets
        joints = []
        for carrier, centre_bones in zip(CARRIER_BONES, CENTRE_BONES):
            bone = self.source.bones[carrier]
            centre = vertices[self.source.head_vertices(centre_bones)].mean(0)
            joints.append(self.rotations[bone] @ (centre - heads[bone]) + posed_heads[bone])
        shift = PELVIS - joints[JOINT["pelvis"]]
        return posed + shift, np.array(joints) + shift

    def _posed_heads(self, heads: np.ndarray) -> np.ndarray:
        posed = heads.copy()
        for bone, index in self.source.bones.items():
            parent = self.source.bones.get(self.source.bone_parents[bone])
            if parent is not None:
                offset = heads[index] - heads[parent]
                posed[index] = posed[parent] + self.rotations[parent] @ offset
        return posed


def make_t_pose(source: MakeHuman, vertices: np.ndarray, source_ids: np.ndarray) -> TPose:
    """Find the rotations from the neutral body ``vertices`` [N, 3] in MakeHuman's rest pose."""
    named: dict[str, np.ndarray] = {}
    for side in SIDES:
        named |= _Side(source, vertices, side).rotations()
    rotations = np.tile(np.eye(3), (len(source.bones), 1, 1))
    for bone, index in source.bones.items():
        if bone in named:
            rotations[index] = named[bone]
        elif source.bone_parents[bone] in source.bones:  # parents come first: follow them
            rotations[index] = rotations[source.bones[source.bone_parents[bone]]]
    return TPose(source, source_ids, rotations)


class _Side:
    """The rotations of the bones of one side; ``sign`` is +1 on the left and -1 on the right."""

    def __init__(self, source: MakeHuman, vertices: np.ndarray, side: str) -> None:
        self.source = source
        self.vertices = vertices
        self.mark = SIDES[side]
        self.sign = 1.0 if side == "left" else -1.0

    def rotations(self) -> dict[str, np.ndarray]:
        """World rotation [3, 3] of each bone that does not simply follow its parent."""
        knuckles = self._head("finger2-1") - self._head("finger5-1")
        palm = self._head("finger3-1") - self._head("wrist")
        back_of_hand = np.cross(knuckles, palm) * self.sign
        turns = self._shoulder() | self._arm(palm, back_of_hand)
        for number, directions in _FINGERS.items():
            turns |= self._finger(number, back_of_hand, _UP, [self._out(*d) for d in directions])
        nail = np.array(_THUMB_NAIL) * (self.sign, 1, 1)
        directions = [self._out_level(*d) for d in _THUMB]
        turns |= self._finger(1, self._thumb_nail(), nail, directions)
        turns |= self._leg()
        return {f"{bone}.{self.mark}": rotation for bone, rotation in turns.items()}

    def _shoulder(self) -> dict[str, np.ndarray]:
        return {
            "clavicle": self._turn("z", _CLAVICLE),
            "shoulder01": self._turn("z", _SHOULDER_BLADE),
        }

    def _arm(self, palm: np.ndarray, back_of_hand: np.ndarray) -> dict[str, np.ndarray]:
        upper = self._head("lowerarm01") - self._head("upperarm01")
        fore = self._head("wrist") - self._head("lowerarm01")
        elbow_axis = np.cross(upper, fore)
        new_axis = np.cross(self._out(*_UPPER_ARM), _FORWARD)
        upper_arm = _align(upper, elbow_axis, self._out(*_UPPER_ARM), new_axis)
        forearm = _align(fore, elbow_axis, self._out(*_FOREARM), new_axis)
        hand = _align(palm, back_of_hand, self._out(*_HAND), _UP)
        # The hand twists against the elbow; half of that twist belongs to the lower forearm.
        wrist_turn = Rotation.from_matrix(hand @ forearm.T).as_rotvec()
        axis = self._out(*_FOREARM)
        half_twist = Rotation.from_rotvec(0.5 * (wrist_turn @ axis) * axis).as_matrix()
        return {
            "upperarm01": upper_arm,
            "upperarm02": upper_arm,
            "lowerarm01": forearm,
            "lowerarm02": half_twist @ forearm,
            "wrist": hand,
        }

    def _finger(
        self, number: int, normal: np.ndarray, new_normal: np.ndarray, directions: list[np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Straighten a finger: its phalanges along ``directions``, ``normal`` to ``new_normal``."""
        phalanges = np.diff(self._finger_joints(number), axis=0)
        return {
            f"finger{number}-{k + 1}": _align(phalanges[k], normal, directions[k], new_normal)
            for k in range(3)
        }

    def _finger_joints(self, number: int) -> np.ndarray:
        """The three joints of a finger and its end. [4, 3]"""
        end = self.source.group_vertices(f"joint-{self.mark.lower()}-finger-{number}-4")
        joints = [self._head(f"finger{number}-{k}") for k in (1, 2, 3)]
        return np.array([*joints, self.vertices[end].mean(0)])

    def _thumb_nail(self) -> np.ndarray:
        """The direction in which the thumb's nail faces.

        The last phalanx is flat: of the axes of its cross-section the shorter one is the nail's
        normal, and of its two ends the one that the thumb does not curl towards.
        """
        weights = self.source.weights_of(f"finger1-3.{self.mark}")
        skin = self.vertices[self.source.on_surface & (weights > 0.95)]
        phalanges = np.diff(self._finger_joints(1), axis=0)
        axes = phalanges / np.linalg.norm(phalanges, axis=1, keepdims=True)
        section = skin - skin.mean(0)
        section -= np.outer(section @ axes[2], axes[2])
        _, principal = np.linalg.eigh(section.T @ section)  # ascending; the first is the axis
        curl = axes[2] - axes[0]
        return -principal[:, 1] * np.sign(principal[:, 1] @ curl)

    def _leg(self) -> dict[str, np.ndarray]:
        turns = {"foot": self._turn("y", _FOOT)}
        for bone, end, (out, back) in (
            ("upperleg", "lowerleg01", _THIGH),
            ("lowerleg", "foot", _SHIN),
        ):
            along = self._head(end) - self._head(f"{bone}01")
            slopes = np.tan(np.deg2rad([out, back]))
            direction = np.array([self.sign * slopes[0], -1, -slopes[1]])
            rotation = _align(along, _FORWARD, direction, _FORWARD)
            turns |= {f"{bone}01": rotation, f"{bone}02": rotation}
        return turns

    def _head(self, bone: str) -> np.ndarray:
        ids = self.source.head_vertices([f"{bone}.{self.mark}"])
        return self.vertices[ids].mean(0)

    def _turn(self, axis: str, degrees: float) -> np.ndarray:
        return Rotation.from_euler(axis, self.sign * degrees, degrees=True).as_matrix()

    def _out(self, down: float, forward: float) -> np.ndarray:
        """Unit vector to the side whose slopes down and forward have these angles in degrees."""
        down, forward = np.tan(np.deg2rad([down, forward]))
        return _unit(np.array([self.sign, -down, forward]))

    def _out_level(self, down: float, forward: float) -> np.ndarray:
        """The same with ``forward`` taken in the horizontal plane, up to 90 degrees."""
        down, forward = np.deg2rad([down, forward])
        return _unit(np.array([self.sign * np.cos(forward), -np.sin(down), np.sin(forward)]))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _frame(direction: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Right-handed axes as columns: ``direction``, then ``normal`` made perpendicular to it."""
    direction = _unit(direction)
    normal = _unit(normal - direction * (direction @ normal))
    return np.stack([direction, normal, np.cross(direction, normal)], axis=1)


def _align(
    direction: np.ndarray, normal: np.ndarray, new_direction: np.ndarray, new_normal: np.ndarray
) -> np.ndarray:
    """The rotation that takes ``direction`` there exactly and ``normal`` as near as it can."""
    return _frame(new_direction, new_normal) @ _frame(direction, normal).T
