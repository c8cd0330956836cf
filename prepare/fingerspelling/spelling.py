"""Letters strung together: a word as continuous motion from rest to rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d

from prepare.fingerspelling.kinematics import rest_pose
from prepare.fingerspelling.letters import Letter
from prepare.fingerspelling.rotations import (
    align_signs,
    angle_between,
    quaternions_to_axis_angle,
    slerp,
    to_quaternions,
)
from prepare.fingerspelling.skeleton import HANDS, JAW, JOINTS, Skeleton
from soke.body import SIGNER_BETAS
from soke.parts import FRAME_SIZE, frame_slices

#: Frames that a letter is held, and that a transition takes (both ends included); the frames
#: between the resting arm and the first or last letter.
HOLD = (10, 14)
TRANSITION = (4, 6)
EDGE = 8
#: No joint turns more degrees a frame than this, on average over a transition: motion slows down.
FASTEST_TURN = 22.0
#: Gaussian width in frames of the last pass over a whole clip.
_FINISH = 0.7


class Speller:
    """Spells words with one signer's letters.

    ``units`` maps what is spelled ("a", "zh") to the letter that shows it.
    """

    def __init__(self, units: Mapping[str, Letter], skeleton: Skeleton) -> None:
        self.units = dict(units)
        self.rest = align_signs(to_quaternions(rest_pose(skeleton)))  # [1, 55, 4]

    def spell(self, units: Sequence[str], rng: np.random.Generator) -> np.ndarray:
        """Motion ``[T, 55, 4]`` (quaternions, 25 frames a second) of a word's units.

        ``rng`` draws the length of every hold and transition: a letter has one recording only.
        """
        pieces = [self.rest]
        for number, unit in enumerate(units):
            held = resample(self.units[unit].core, rng.integers(*HOLD, endpoint=True))
            frames = EDGE if number == 0 else rng.integers(*TRANSITION, endpoint=True)
            pieces += [transition(pieces[-1][-1], held[0], frames), held]
        pieces += [transition(pieces[-1][-1], self.rest[0], EDGE), self.rest]
        # Neighbours have one sign and are a few degrees apart: their mean is the chordal mean.
        motion = gaussian_filter1d(np.concatenate(pieces), _FINISH, axis=0, mode="nearest")
        return motion / np.linalg.norm(motion, axis=-1, keepdims=True)


def resample(core: np.ndarray, frames: int) -> np.ndarray:
    """A letter ``[N, 55, 4]`` in about ``frames`` frames, slower where a joint turns too fast."""
    turns = angle_between(core[1:], core[:-1]).max(1)
    pace = np.maximum((frames - 1) / (len(core) - 1), turns / FASTEST_TURN)
    clock = np.r_[0, np.cumsum(pace)]
    wanted = np.linspace(0, clock[-1], int(np.ceil(clock[-1] - 1e-9)) + 1)
    times = np.interp(wanted, clock, np.arange(len(core)))
    before = np.minimum(np.floor(times).astype(int), len(core) - 2)
    return slerp(core[before], core[before + 1], (times - before)[:, None, None])


def transition(start: np.ndarray, end: np.ndarray, frames: int) -> np.ndarray:
    """In-between poses ``[N, 55, 4]``, eased at both ends: ``frames`` or as many as it takes."""
    needed = np.ceil(angle_between(start, end).max() / FASTEST_TURN)
    frames = max(int(frames), int(needed))
    time = np.arange(1, frames + 1) / (frames + 1)
    return slerp(start, end, (time * time * (3 - 2 * time))[:, None, None])


def to_frames(motion: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Quaternions ``[T, 55, 4]`` to pose-file frames ``[T, 179]`` (float32).

    Root and lower body are at rest, the expression is neutral, the shape is the fixed signer's;
    hand parameters count from the model's mean hand.
    """
    assert motion.shape[1:] == (JOINTS, 4)
    angles = quaternions_to_axis_angle(motion)  # [T, 55, 3]
    hands = (angles[:, HANDS] - skeleton.hand_mean).reshape(len(motion), -1)
    frames = np.zeros((len(motion), FRAME_SIZE), dtype=np.float32)
    where = frame_slices()
    frames[:, where["smplx_body_pose"]] = angles[:, 1:22].reshape(len(motion), -1)
    frames[:, where["smplx_lhand_pose"]], frames[:, where["smplx_rhand_pose"]] = np.split(
        hands, 2, axis=1
    )
    frames[:, where["smplx_jaw_pose"]] = angles[:, JAW]
    frames[:, where["smplx_shape"]] = SIGNER_BETAS
    return frames
