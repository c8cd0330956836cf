"""Steadying tracked motion, and finding the frames of a recording that show the letter."""

from __future__ import annotations

import numpy as np
from scipy.signal import savgol_filter

#: Pairs of hand points whose distances a rigid hand keeps: palm, then finger bones.
_BONE_ENDS = (
    [0, 0, 0, 0, 5, 5, 9, 13, 17, 6, 10, 14, 18],
    [5, 9, 13, 17, 17, 6, 10, 14, 18, 7, 11, 15, 19],
)
#: Frames that any letter keeps.
SHORTEST_CORE = 8


def savgol(values: np.ndarray, window: int, order: int = 2) -> np.ndarray:
    """Savitzky-Golay over axis 0; clips shorter than the window get a smaller one."""
    frames = len(values)
    window = min(window, frames if frames % 2 else frames - 1)
    return values if window <= order else savgol_filter(values, window, order, axis=0)


def gaussian_kernel(frames: int, sigma: float, weights: np.ndarray | None = None) -> np.ndarray:
    """Rows of averaging weights ``[T, T]``, sigma in frames, each frame counted by ``weights``."""
    distance = np.arange(frames)[:, None] - np.arange(frames)
    kernel = np.exp(-0.5 * (distance / sigma) ** 2) * (np.abs(distance) <= 8)
    if weights is not None:
        kernel = kernel * np.maximum(weights, 1e-4)
    return kernel / kernel.sum(1, keepdims=True)


def reliability(hand: np.ndarray, found: np.ndarray) -> np.ndarray:
    """How far to trust each frame, ``[T]`` in 0..1, of hand points ``[T, 21, 3]``.

    Trust falls where bone proportions leave the clip's median (a misread pose) and where the wrist
    is fast (motion blur). Without it fingers jump by up to 180 degrees.
    """
    lengths = np.linalg.norm(hand[:, _BONE_ENDS[0]] - hand[:, _BONE_ENDS[1]], axis=-1)
    lengths = lengths / np.sqrt((lengths**2).mean(1, keepdims=True) + 1e-9)
    usual = np.median(lengths[found], axis=0)
    deviation = np.abs(np.log(np.maximum(lengths, 1e-3) / usual)).mean(1)
    steps = np.linalg.norm(np.diff(hand[:, 0, :2], axis=0), axis=1)
    speed = np.maximum(np.r_[0, steps], np.r_[steps, 0])
    trust = np.exp(-((deviation / 0.25) ** 2)) * np.exp(-((speed / 0.25) ** 2)) * found
    return np.maximum(trust, 1e-3)


def longest_run(flags: np.ndarray) -> tuple[int, int]:
    """The longest stretch ``[start, stop)`` of true ``flags`` [T]; the first of equals."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False]))
    starts = edges[::2]
    stops = edges[1::2]
    if not len(starts):
        return 0, len(flags)
    longest = np.argmax(stops - starts)
    return int(starts[longest]), int(stops[longest])


def letter_frames(
    wrist: np.ndarray, found: np.ndarray, turns: np.ndarray, drop: float
) -> tuple[int, int]:
    """The frames ``[start, stop)`` that show the letter, without raising and lowering the hand.

    wrist: [T, 2] in shoulder widths. found: [T], hand tracked. turns: [T - 1] degrees, the largest
    turn of a joint from one frame to the next. The wrist stays within ``drop`` of its
    75th-percentile height and the ends are slower than 0.16 a frame. A turn of more than 60
    degrees is a misread hand: the longest piece between such flips is kept.
    """
    height = np.percentile(wrist[found, 1], 75)
    start, stop = longest_run((wrist[:, 1] > height - drop) & found)
    speed = np.linalg.norm(np.diff(wrist, axis=0), axis=1)
    while stop - start > SHORTEST_CORE and speed[start] > 0.16:
        start += 1
    while stop - start > SHORTEST_CORE and speed[stop - 2] > 0.16:
        stop -= 1
    flips = start + 1 + np.flatnonzero(turns[start : stop - 1] > 60)
    edges = np.r_[start, flips, stop]
    longest = np.argmax(np.diff(edges))
    if np.diff(edges)[longest] >= SHORTEST_CORE:
        start = int(edges[longest])
        stop = int(edges[longest + 1])
    return start, stop
