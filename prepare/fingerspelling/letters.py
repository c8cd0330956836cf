"""Letters: recordings turned into smooth SMPL-X motion, and how well they match the tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prepare.fingerspelling import kinematics
from prepare.fingerspelling.kinematics import SIDES, Side
from prepare.fingerspelling.recordings import Recording, read_alphabet
from prepare.fingerspelling.rotations import (
    align_signs,
    angle_between,
    from_quaternions,
    limit_angle,
    rotate,
    to_quaternions,
    unit,
    weighted_mean,
)
from prepare.fingerspelling.skeleton import HEAD, NECK, Skeleton
from prepare.fingerspelling.smoothing import gaussian_kernel, letter_frames, reliability

#: Largest swing of the three joints of index, middle, pinky, ring and thumb, in degrees.
_SWING = np.array([100, 115, 85] * 4 + [65, 60, 85])
#: Gaussian widths in frames.
_FINGERS = 1.5
_WRIST = 1.3
_ARM = 1.0
_HEAD = 1.5
#: How far the wrist may leave its height, in shoulder widths: held letters, and moving ones.
_HELD = 0.25
_MOVING = 0.45


@dataclass(frozen=True)
class Letter:
    """One letter of one signer at 25 frames a second.

    pose: [T, 55, 4] quaternions against the parent, continuous in time. Frames ``start`` up to,
    not including, ``stop`` show the letter; around them the hand is raised and lowered.
    """

    name: str
    pose: np.ndarray
    start: int
    stop: int

    @property
    def core(self) -> np.ndarray:
        return self.pose[self.start : self.stop]


def moves(letter: str) -> bool:
    """Whether the hand travels while the letter is shown: J, Z, and letters with a diacritic."""
    return letter in ("j", "z") or not letter.isascii()


def convert(recording: Recording, skeleton: Skeleton) -> Letter:
    """Solve every frame of a recording, smooth the motion and find the letter in it."""
    pose = _steady(kinematics.solve(recording, skeleton), recording)
    quaternions = align_signs(to_quaternions(pose))
    turns = angle_between(quaternions[1:], quaternions[:-1]).max(1)
    side = _spelling_side(recording)
    start, stop = letter_frames(
        recording.points[:, side.hand_points][:, 0, :2],
        recording.tracked(side.hand_points),
        turns,
        _MOVING if moves(recording.letter) else _HELD,
    )
    # Counted from the letter, not from the raised arm before it, every angle is below 180 degrees.
    quaternions = align_signs(quaternions, anchor=(start + stop) // 2)
    return Letter(recording.letter, quaternions, start, stop)


def convert_alphabet(signer: str, skeleton: Skeleton) -> dict[str, Letter]:
    """All letters of one signed language, by lower-case name."""
    return {name: convert(one, skeleton) for name, one in read_alphabet(signer).items()}


def direction_errors(
    recording: Recording, letter: Letter, skeleton: Skeleton
) -> tuple[float, float]:
    """Mean angle in degrees between tracked and posed finger bones, and the same for the palm."""
    side = _spelling_side(recording)
    core = slice(letter.start, letter.stop)
    hand = recording.points[core, side.hand_points]
    world = skeleton.global_rotations(from_quaternions(letter.core))
    fingers = world[:, side.hand].reshape(-1, 5, 3, 3, 3)
    bones = rotate(fingers, kinematics.rest_bones(skeleton, side))
    knuckles = rotate(world[:, [side.wrist]], unit(kinematics.rest_knuckles(skeleton, side)))
    seen = unit(hand[:, kinematics.KNUCKLE_POINTS] - hand[:, :1])
    return _mean_angle(bones, kinematics.observed_bones(hand)), _mean_angle(knuckles, seen)


def report(signer: str, skeleton: Skeleton) -> dict[str, float]:
    """Quality of one signed language over the frames of its letters: errors in degrees."""
    weights = []
    errors = []
    for recording in read_alphabet(signer).values():
        letter = convert(recording, skeleton)
        weights.append(letter.stop - letter.start)
        errors.append(direction_errors(recording, letter, skeleton))
    fingers, palm = np.average(errors, axis=0, weights=weights)
    return {"letters": len(errors), "frames": sum(weights), "fingers": fingers, "palm": palm}


def _spelling_side(recording: Recording) -> Side:
    """The side whose hand was seen more: all alphabets used here are spelled with the right."""
    return max(reversed(SIDES), key=lambda side: recording.confidence[:, side.hand_points].sum())


def _steady(pose: np.ndarray, recording: Recording) -> np.ndarray:
    """Chordal means over time of rotations ``[T, 55, 3, 3]``, reliable frames counting more."""
    pose, frames = pose.copy(), len(pose)

    def smooth(joints: slice | list[int], sigma: float, trust: np.ndarray | None = None) -> None:
        pose[:, joints] = weighted_mean(pose[:, joints], gaussian_kernel(frames, sigma, trust))

    for side in SIDES:
        if not kinematics.is_tracked(recording, side):
            continue
        hand = recording.points[:, side.hand_points]
        found = recording.tracked(side.hand_points)
        trust = reliability(hand, found)
        pose[:, side.hand] = limit_angle(pose[:, side.hand], _SWING)
        smooth(side.hand, _FINGERS, trust)
        smooth([side.wrist], _WRIST, trust)
        smooth([side.shoulder, side.elbow], _ARM)
    smooth([NECK, HEAD], _HEAD)
    return pose


def _mean_angle(first: np.ndarray, second: np.ndarray) -> float:
    """Mean angle in degrees between unit vectors ``[..., 3]``."""
    return float(np.degrees(np.arccos(np.clip((first * second).sum(-1), -1, 1))).mean())
