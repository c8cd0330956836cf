"""Mean and deviation of every number of a frame: computed, written and read back.

They are used safely where a feature never moves, see `load_statistics`.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from soke.data.motion.plausibility import CONSTANT, check_statistics
from soke.files import atomic_path, require
from soke.parts import FRAME_SIZE, frames_to_features

log = logging.getLogger(__name__)

_DAMAGED = "copy it again, or compute your own: `soke statistics --force`"


@dataclass(frozen=True)
class Moments:
    """Number of frames, their mean and their summed squared deviations ``[F]``, in float64."""

    count: int
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, frames: np.ndarray) -> Moments:
        """The moments of frames ``[T, F]``."""
        frames = frames.astype(np.float64)
        mean = frames.mean(0)
        return cls(len(frames), mean, ((frames - mean) ** 2).sum(0))

    def __add__(self, other: Moments) -> Moments:
        """Chan, Golub, LeVeque (1983): no cancellation, a constant column keeps deviation 0."""
        count = self.count + other.count
        shift = other.mean - self.mean
        return Moments(
            count,
            self.mean + shift * (other.count / count),
            self.squares + other.squares + shift**2 * (self.count * other.count / count),
        )


def save_statistics(moments: Iterable[Moments], mean_path: str | Path, std_path: str | Path) -> int:
    """Write mean and deviation as float32 ``[F]``, with no floor under the deviation.

    The files are those of ``torch.save``, or of ``numpy.save`` where they end in ``.npy``. Returns
    the number of frames. Raises ``ValueError`` when there are none.
    """
    total = sum(moments, Moments(0, np.zeros(FRAME_SIZE), np.zeros(FRAME_SIZE)))
    if not total.count:
        raise ValueError(f"{mean_path} and {std_path} need at least one clip that can be used")
    deviation = np.sqrt(total.squares / total.count)
    for path, values in ((mean_path, total.mean), (std_path, deviation)):
        # By way of a buffer: torch would write the temporary file's name into the file.
        buffer = io.BytesIO()
        values = values.astype(np.float32)
        if Path(path).suffix == ".npy":
            np.save(buffer, values)
        else:
            torch.save(torch.from_numpy(values), buffer)
        with atomic_path(path) as temporary:
            temporary.write_bytes(buffer.getvalue())
    return total.count


def load_statistics(
    mean_path: str | Path, std_path: str | Path, floor: float | None
) -> tuple[Tensor, Tensor]:
    """Read mean and deviation, see `read_statistics`, and make them safe to divide by.

    With ``floor`` None the statistics are published ones and the deviation is ``std + 1e-10``.
    Otherwise a deviation below 1e-3 becomes 1 (the feature is constant; dividing by its rounding
    noise would amplify it) and the others are at least ``floor``. What is odd about them is logged.
    """
    mean, std = read_statistics(mean_path, std_path)
    for message in check_statistics(mean.numpy(), std.numpy()):
        log.warning("%s and %s: %s", mean_path, std_path, message)
    if floor is None:
        return mean, std + 1e-10
    return mean, torch.where(std < CONSTANT, torch.ones_like(std), std.clamp(min=floor))


def read_statistics(mean_path: str | Path, std_path: str | Path) -> tuple[Tensor, Tensor]:
    """Read mean and deviation (179 numbers each) and cut them to the features [133].

    The files are tensors of ``torch.save`` or arrays ``.npy``. Raises
    `soke.files.MissingAssetError` where one is missing, ``ValueError`` where it holds something
    else.
    """
    return _read(mean_path), _read(std_path)


def _read(path: str | Path) -> Tensor:
    path = require(
        path,
        "The statistics of the poses",
        "They come with the released poses; `soke statistics` computes those of "
        "your own clips, `soke fingerspelling` makes the demo's",
    )
    try:
        if path.suffix == ".npy":
            value = torch.from_numpy(np.load(path, allow_pickle=False))
        else:
            value = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file, or one of another kind, can raise almost anything
        raise ValueError(
            f"{path} cannot be read as statistics, a tensor of torch.save or an array .npy "
            f"({type(error).__name__}: {str(error).splitlines()[0]}); {_DAMAGED}"
        ) from error
    if not isinstance(value, Tensor) or value.shape != (FRAME_SIZE,) or not value.isfinite().all():
        raise ValueError(f"{path} must hold {FRAME_SIZE} finite numbers; {_DAMAGED}")
    return frames_to_features(value.float())
