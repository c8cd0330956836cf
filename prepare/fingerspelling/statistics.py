"""Mean and standard deviation of frames that come clip by clip."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from soke.files import atomic_path


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


def save_statistics(moments: Iterable[Moments], out: Path) -> None:
    """Write ``mean.pt`` and ``std.pt``: float32 tensors ``[F]``, no floor under the deviation."""
    first, *rest = moments
    total = sum(rest, first)
    deviation = np.sqrt(total.squares / total.count)
    for name, values in (("mean.pt", total.mean), ("std.pt", deviation)):
        # By way of a buffer: torch would write the temporary file's name into the file.
        buffer = io.BytesIO()
        torch.save(torch.from_numpy(values.astype(np.float32)), buffer)
        with atomic_path(out / name) as temporary:
            temporary.write_bytes(buffer.getvalue())
