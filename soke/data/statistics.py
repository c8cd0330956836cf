"""Mean and deviation of every feature, safe for features that never move."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from soke.files import require
from soke.parts import FRAME_SIZE, frames_to_features

#: Below this deviation a feature of our own statistics counts as constant.
CONSTANT = 1e-3


def load_statistics(
    mean_path: str | Path, std_path: str | Path, floor: float | None
) -> tuple[Tensor, Tensor]:
    """Read ``mean.pt`` and ``std.pt`` (179 numbers each) and cut them to the features [133].

    With ``floor`` None the statistics are published ones and the deviation is ``std + 1e-10``.
    Otherwise a deviation below 1e-3 becomes 1 (the feature is constant; dividing by its rounding
    noise would amplify it) and the others are at least ``floor``.
    """
    mean, std = _read(mean_path), _read(std_path)
    if floor is None:
        return mean, std + 1e-10
    return mean, torch.where(std < CONSTANT, torch.ones_like(std), std.clamp(min=floor))


def _read(path: str | Path) -> Tensor:
    path = require(
        path,
        "The statistics of the poses",
        "They come with the released poses; `python -m prepare.fingerspelling` makes the demo's",
    )
    value = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(value, Tensor) or value.shape != (FRAME_SIZE,) or not value.isfinite().all():
        raise ValueError(f"{path} must hold {FRAME_SIZE} finite numbers")
    return frames_to_features(value.float())
