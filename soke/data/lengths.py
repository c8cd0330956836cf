"""How many frames of a clip are used, and which: the length rule and the frame-rate rule."""

from __future__ import annotations

import math

import numpy as np


def length_rule(n: int, minimum: int, maximum: int, unit: int) -> np.ndarray:
    """Choose frames of a clip of ``n`` frames so that their number suits the tokenizer.

    A clip shorter than ``minimum`` is stretched to it, one longer than ``maximum`` is squeezed to
    it, any other is cut to the largest multiple of ``unit``, centred.

    Returns frame indices, int64 ``[m]``, rising (not strictly where stretched), ``m`` a multiple
    of ``unit`` in [minimum, maximum]. Raises ``ValueError`` for ``n < 1``, for limits that are not
    positive multiples of ``unit`` and for ``minimum > maximum``.
    """
    if n < 1:
        raise ValueError(f"a clip needs at least one frame, got {n}")
    if unit < 1:
        raise ValueError(f"UNIT_LEN is {unit}; it has to be 1 or more")
    for name, limit in (("MIN_MOTION_LEN", minimum), ("MAX_MOTION_LEN", maximum)):
        if limit < unit or limit % unit:
            raise ValueError(
                f"{name} is {limit}; it has to be a positive multiple of UNIT_LEN = {unit}, such "
                f"as {max(1, round(limit / unit)) * unit}"
            )
    if minimum > maximum:
        raise ValueError(f"MIN_MOTION_LEN is {minimum}, which is above MAX_MOTION_LEN = {maximum}")
    if n < minimum or n > maximum:
        size = minimum if n < minimum else maximum
        return np.linspace(0, n - 1, size, dtype=np.int64)
    size = n // unit * unit
    start = (n - size) // 2
    return np.arange(start, start + size, dtype=np.int64)


def thin_frames(n: int, fps: float, target: float = 24) -> np.ndarray:
    """Choose frames of a clip recorded at ``fps`` frames a second so that ``target`` remain.

    A clip at ``target`` or fewer keeps all. Otherwise ``m = int(target * n / fps)`` remain (at
    least one): frames ``floor(i * n / m)``.

    Returns frame indices, int64 ``[m]``, strictly rising. Raises ``ValueError`` for ``n < 1`` and
    for rates that are not positive numbers.
    """
    if n < 1:
        raise ValueError(f"a clip needs at least one frame, got {n}")
    for rate in (fps, target):
        if not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"a frame rate has to be a positive number, got {rate}")
    kept = np.arange(n, dtype=np.int64)
    if fps <= target:
        return kept
    size = max(1, int(target * n / fps))
    return kept[:size] * n // size
