"""The two conventions of hand poses, and how a file's is found.

``relative``: joints turn from the body model's relaxed hand, as in the released poses and in the
networks' features (``flat_hand_mean=False`` in the smplx library). ``flat``: joints have their
whole rotation, so that zeros are a flat hand (``flat_hand_mean=True``). A flat pose is a relative
one plus the relaxed hand, number by number.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from soke.parts import frame_slices

CONVENTIONS = ("auto", "flat", "relative")
_SLICES = frame_slices()
#: Both hands in a frame of 179 numbers.
HANDS = slice(_SLICES["smplx_lhand_pose"].start, _SLICES["smplx_rhand_pose"].stop)
#: The share of frames that counts as idle: those in which a hand is nearest to rest.
_IDLE = 0.1
#: How much nearer to the relaxed hand the flat reading has to be.
_MARGIN = 0.8


@dataclass(frozen=True)
class Hands:
    """How hands are read: a convention of `CONVENTIONS`, and the relaxed hands (90 numbers).

    ``relaxed`` are the body model's ``hands_meanl`` and ``hands_meanr`` side by side.
    """

    convention: str
    relaxed: tuple[float, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if self.convention not in CONVENTIONS:
            raise ValueError(
                f"the hand convention {self.convention!r} is unknown; choose from "
                f"{list(CONVENTIONS)}"
            )

    def recognise(self, poses: np.ndarray) -> tuple[str, str]:
        """The convention of hand poses ``[T, 90]`` by how they idle, and why.

        An idle hand is relaxed: near zero if poses are relative, near the relaxed hand if flat.
        """
        from_zero = self._idle(poses)
        from_relaxed = self._idle(poses - np.asarray(self.relaxed, poses.dtype))
        convention = "flat" if from_relaxed < _MARGIN * from_zero else "relative"
        return convention, (
            f"idle hands are {from_relaxed:.2f} rad from the relaxed hand if flat, "
            f"{from_zero:.2f} if relative"
        )

    @staticmethod
    def _idle(poses: np.ndarray) -> float:
        """The mean joint angle of the idle frames, over both hands."""
        joints = poses.reshape(len(poses), 2, -1, 3).astype(np.float64)
        angles = np.linalg.norm(joints, axis=-1).mean(-1)
        return float(np.quantile(angles, _IDLE, axis=0).mean())


#: For readers that need the number of frames alone.
ANY_HANDS = Hands("relative", (0.0,) * 90)
