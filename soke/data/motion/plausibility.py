"""Whether poses and their statistics look like signing; odd ones are worth a warning, no more.

Only the modelled joints are looked at, since nothing else reaches a network. The limits lie far
outside of what signers do, and of what pose fitting gives in ordinary noise.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import numpy as np
from smplx.joint_names import JOINT_NAMES

from soke.parts import FEATURE_COLUMNS, FRAME_SIZE, frame_slices

log = logging.getLogger(__name__)

#: Kinds of odd poses, and what may be the cause.
_CAUSES = {
    "angles look like degrees": "Poses are axis-angles in radians",
    "angles beyond a full turn": "Poses are axis-angles in radians, of one joint each",
    "huge values": "Is it another layout of the columns, or a fit that diverged?",
    "fingers turned further than they bend": "Is a half turn or a mean pose added to the hand?",
    "rotation too fast for signing": "Is it noise, or are frames out of order?",
    "nothing moves": "Is one frame repeated?",
    "no finger moves": "Are the poses of both hands missing?",
    "all fingers move as one": "Is a hand made of one pose by scaling?",
    "the jaw never opens": "Are jaw and expression missing?",
}
_DEGREES, _BEYOND, _HUGE, _TURNED, _FAST, _FROZEN, _STILL, _AS_ONE, _CLOSED = _CAUSES

_TURN = 2 * np.pi
_NO_ANGLE = 1.5 * 360  # neither radians nor degrees
_EXPRESSION_LIMIT = 50.0  # coefficients are deviations: those of faces stay below 10
_HAND_LIMIT = 2.0  # mean rotation of a hand's joints; signing hands have 0.2 to 1
_FAST_SECOND = 12.5  # rad/s that a joint does not exceed in every other frame
_FAST_FRAME = 0.55  # the same at low rates: noise does not depend on the rate
_JUMP = 0.6 * np.pi  # rad between two frames; single ones are slips of a fit
_STILL_RANGE = 1e-4
_FEW_FRAMES = 10  # too few to say that nothing moves
_SAMPLE_FRAMES = 25  # too few to say how fingers move together
#: Below this deviation a feature of statistics counts as constant.
CONSTANT = 1e-3
_FAR = 6.0  # deviations

_SLICES = frame_slices()
_ROTATIONS = slice(FEATURE_COLUMNS[0], _SLICES["smplx_jaw_pose"].stop)
_COUNT = (_ROTATIONS.stop - _ROTATIONS.start) // 3
#: The modelled joints, in the order of the columns.
JOINTS = (*JOINT_NAMES[1:22], *JOINT_NAMES[25:55], "jaw")[-_COUNT:]
_HANDS = {
    side: [i for i, name in enumerate(JOINTS) if name.startswith(side) and name[-1].isdigit()]
    for side in ("left", "right")
}


def check(frames: np.ndarray, fps: float) -> tuple[str, ...]:
    """What is odd about frames ``[T, 179]`` at ``fps``: "kind: joint and number", often nothing."""
    rotations = np.ascontiguousarray(frames[:, _ROTATIONS]).reshape(len(frames), -1, 3)
    expression = frames[:, _SLICES["smplx_expr"]]
    angles = np.sqrt(_dot(rotations, rotations))
    out_of_range = _out_of_range(angles, expression)
    if out_of_range:  # whatever else is odd follows from it
        return (out_of_range,)
    return (
        *_turned(angles),
        *_fast(rotations, angles, fps),
        *_unmoving(rotations, expression),
    )


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Dot products of vectors ``[..., 3]``; for so short ones faster than numpy's own."""
    products = a * b
    return products[..., 0] + products[..., 1] + products[..., 2]


def _out_of_range(angles: np.ndarray, expression: np.ndarray) -> str | None:
    peak = angles.max()
    if peak > _NO_ANGLE:
        return f"{_HUGE}: {_worst(angles.max(0))} rad"
    if peak > 1.05 * _TURN:
        many = np.count_nonzero(angles > _TURN) > 0.2 * np.count_nonzero(angles)
        return f"{_DEGREES if many else _BEYOND}: {_worst(angles.max(0))} rad"
    peak = np.abs(expression).max()
    return f"{_HUGE}: expression {peak:.4g}" if peak > _EXPRESSION_LIMIT else None


def _worst(values: np.ndarray) -> str:
    """The joint with the largest of some values ``[J]``, and that value."""
    worst = int(values.argmax())
    return f"{JOINTS[worst]} {values[worst]:.4g}"


def _turned(angles: np.ndarray) -> list[str]:
    means = {side: angles[:, joints].mean() for side, joints in _HANDS.items()}
    return [
        f"{_TURNED}: {side} hand {mean:.2g} rad on average"
        for side, mean in means.items()
        if mean > _HAND_LIMIT
    ]


def _fast(rotations: np.ndarray, angles: np.ndarray, fps: float) -> list[str]:
    if len(angles) < _FEW_FRAMES:
        return []
    half = angles / 2
    real = np.cos(half)
    imaginary = rotations * (np.sin(half) / np.maximum(angles, 1e-8))[..., None]
    product = real[1:] * real[:-1]
    product += _dot(imaginary[1:], imaginary[:-1])
    cosine = np.abs(product)  # [T - 1, J], of half the angle between two frames
    limit = min(_FAST_SECOND / fps, _FAST_FRAME)
    often = (cosine < np.cos(limit / 2)).mean(0) > 0.5
    jumps = (cosine < np.cos(_JUMP / 2)).mean(0) > 0.1
    if not (often | jumps).any():
        return []
    speed = np.where(often | jumps, 2 * np.arccos(np.minimum(cosine, 1)).mean(0), 0)
    return [f"{_FAST}: {_worst(speed)} rad a frame"]


def _unmoving(rotations: np.ndarray, expression: np.ndarray) -> list[str]:
    if len(rotations) < _FEW_FRAMES:
        return []
    still = np.ptp(rotations, axis=0).max(-1) < _STILL_RANGE  # [J]
    if still.all() and np.ptp(expression, axis=0).max() < _STILL_RANGE:
        return [f"{_FROZEN}: {len(rotations)} frames"]
    if still[_HANDS["left"]].all() and still[_HANDS["right"]].all():
        return [f"{_STILL}: {len(rotations)} frames"]
    if len(rotations) < _SAMPLE_FRAMES:
        return []
    closed = [f"{_CLOSED}: {len(rotations)} frames"] if still[JOINTS.index("jaw")] else []
    return closed + [
        f"{_AS_ONE}: {side} hand"
        for side, joints in _HANDS.items()
        if _as_one(rotations[:, joints], still[joints])
    ]


def _as_one(hand: np.ndarray, still: np.ndarray) -> bool:
    """Whether the joints ``[T, 15, 3]`` of a hand that moves all follow one curve."""
    if still.all():
        return False  # a resting hand
    hand = hand.reshape(len(hand), -1)
    hand = hand - hand.mean(0)
    squares = np.einsum("tf,tf->f", hand, hand)
    curve = hand[:, squares.argmax()]
    followed = (curve @ hand) ** 2 / squares.max()
    return squares.sum() - followed.sum() < 1e-4 * squares.sum()


class Oddities:
    """What was odd about clips, by kind: how many, and the first with joint and number."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def add(self, clip: str, messages: Iterable[str]) -> None:
        """Count what `check` said of a clip."""
        for message in messages:
            kind, _, detail = message.partition(": ")
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._first.setdefault(kind, f"first {clip!r}, {detail}")

    def warn(self, what: str) -> None:
        """Log one warning for each kind."""
        for finding, cause in self.findings():
            log.warning("%s: %s. %s", what, finding, cause)

    def findings(self) -> list[tuple[str, str]]:
        """For each kind: what was found, and what may be the cause."""
        return [
            (f"{kind}: {count:,} clip{'s' * (count > 1)}, {self._first[kind]}", _CAUSES[kind])
            for kind, count in self._counts.items()
        ]


def check_statistics(mean: np.ndarray, std: np.ndarray) -> tuple[str, ...]:
    """What is odd about mean and deviation ``[133]`` of the features, as they lie in the files."""
    if (std < 0).any():
        number = np.count_nonzero(std < 0)
        first = _feature(int((std < 0).argmax()))
        return (f"{number} deviations ({first}, ...) are negative: are both files swapped?",)
    if not (std >= CONSTANT).any():
        return ("no feature deviates from its mean: which poses are they from?",)
    odd = []
    for what, values in (("mean", np.abs(mean)), ("deviation", std)):
        worst = int(values[: 3 * len(JOINTS)].argmax())
        if values[worst] > np.pi:
            odd.append(
                f"the {what} of {_feature(worst)} is {values[worst]:.4g} rad, beyond half a turn: "
                "are they of poses in degrees?"
            )
    return tuple(odd)


def _feature(index: int) -> str:
    """What a feature belongs to."""
    return JOINTS[index // 3] if index < 3 * len(JOINTS) else "expression"


def compare_statistics(
    clips: Iterable[np.ndarray], mean: np.ndarray, std: np.ndarray
) -> tuple[str, ...]:
    """How clips, each ``[T, 179]``, differ from statistics ``[133]`` that should be theirs."""
    frames = np.concatenate([np.zeros((0, FRAME_SIZE)), *clips])
    features = frames[:, list(FEATURE_COLUMNS)]
    moving = std >= CONSTANT
    if not len(features) or not moving.any():
        return ()
    odd = []
    new = ~moving & (features.std(0) > 10 * CONSTANT)
    if np.count_nonzero(new) > 5:
        first = _feature(int(new.argmax()))
        odd.append(f"{np.count_nonzero(new)} features ({first}, ...) move that never did there")
    scores = np.abs((features - mean) / np.where(moving, std, 1))[:, moving]
    far = (scores > _FAR).mean()
    if far > 0.02:
        odd.append(f"{far:.0%} of the values lie beyond {_FAR:g} deviations")
    typical = np.median(np.sqrt((scores**2).mean(0)))
    if not 0.4 < typical < 2.5:
        odd.append(f"features typically vary {typical:.2g} times as much as there")
    return tuple(odd)
