"""Reading the motion of clips: one by one, or all of them to learn what can be used."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from soke.data.annotations import DAMAGED, MIN_FRAMES, TOO_SHORT, Clip, Drops
from soke.data.lengths import thin_frames
from soke.data.poses import frame_files, is_pose_file, read_frames, read_pose_file
from soke.data.store import mapped

log = logging.getLogger(__name__)

#: How many clips are read before `survey` shows a progress bar.
_SHOW_PROGRESS = 2000


def load_motion(clip: Clip) -> np.ndarray:
    """Read the motion of a clip or sign, thinned to its target rate where it is faster.

    Returns float32 ``[T, 179]``. Raises ``ValueError`` that names the file for damaged poses.
    """
    return read_motion(clip)[0]


def read_motion(clip: Clip) -> tuple[np.ndarray, int]:
    """Like `load_motion`; beside the motion, how many numbers are missing among its frames."""
    if clip.rows is not None:
        start, count = clip.rows
        return np.array(mapped(clip.poses.parent, clip.packing).frames[start : start + count]), 0
    if is_pose_file(clip.poses):
        frames = read_pose_file(clip.poses)
        if clip.numbers is not None:
            frames = frames[clip.numbers[0] : clip.numbers[1] + 1]
        if not len(frames):
            raise ValueError(f"{clip.poses} holds no frame of {clip.name!r}")
        kept = _kept_frames(clip, len(frames))
        return (frames if len(kept) == len(frames) else frames[kept]), 0
    files = frame_files(clip.poses)
    if clip.numbers is not None:
        first, last = clip.numbers
        files = [(number, path) for number, path in files if first <= number <= last]
    if not files:
        raise ValueError(f"{clip.poses} holds no frame of {clip.name!r}")
    gaps = files[-1][0] - files[0][0] + 1 - len(files)
    if gaps:
        log.debug("%s: %d frame numbers are missing", clip.poses, gaps)
    return read_frames([files[i][1] for i in _kept_frames(clip, len(files))]), gaps


def _kept_frames(clip: Clip, n: int) -> np.ndarray:
    fps = clip.fps if clip.numbers is None else None
    return np.arange(n) if fps is None else thin_frames(n, fps, clip.target_fps)


@dataclass(frozen=True)
class Reading:
    """What reading a clip gave: its motion, or why it cannot be used."""

    frames: np.ndarray | None  # [T, 179], None where only the length was asked for
    length: int = 0
    missing: int = 0  # frame numbers that are missing between the first and the last
    fault: str | None = None  # a message that names clip and file
    reason: str = DAMAGED


class _Readings(Dataset[Reading]):
    def __init__(self, clips: Sequence[Clip], keep: bool) -> None:
        self.clips, self.keep = clips, keep

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Reading:
        clip = self.clips[index]
        try:
            frames, missing = read_motion(clip)
        except (ValueError, OSError) as error:
            return Reading(None, fault=f"{clip.corpus} {clip.name!r}: {error}")
        if len(frames) < MIN_FRAMES and clip.numbers is None:
            what = f"{clip.corpus} {clip.name!r}: {clip.poses} has {len(frames)} frames"
            return Reading(None, fault=what, reason=TOO_SHORT)
        return Reading(frames if self.keep else None, len(frames), missing)


def read_all(clips: Sequence[Clip], workers: int = 0, keep: bool = True) -> Iterator[Reading]:
    """Read every clip, in order, by so many processes; a damaged one is a reading with a fault.

    Without ``keep`` the motion itself is left out.
    """
    loader = DataLoader(
        _Readings(clips, keep), batch_size=None, num_workers=min(workers, len(clips)),
        collate_fn=_unchanged, prefetch_factor=16 if workers and len(clips) else None,
        generator=torch.Generator(),  # the order needs no draws: leave the global generator alone
    )  # fmt: skip
    return iter(loader)


def _unchanged(reading: Reading) -> Reading:
    return reading


@dataclass(frozen=True)
class Survey:
    """The clips that can be read, and what reading them showed."""

    clips: list[Clip]
    lengths: np.ndarray  # [C] frames, after thinning
    gaps: int  # clips with missing frame numbers
    missing: int  # numbers that are missing in them, together


def survey(clips: Sequence[Clip], dropped: Drops, workers: int = 0) -> Survey:
    """Read every clip once and keep those that can be used; the others are added to ``dropped``."""
    kept, lengths, gaps, missing = [], [], 0, 0
    readings = track(
        read_all(clips, workers, keep=False), "reading poses", len(clips),
        disable=len(clips) < _SHOW_PROGRESS,
    )  # fmt: skip
    for reading, clip in zip(readings, clips):
        if reading.fault is not None:
            dropped.fault(ValueError(reading.fault), reading.reason)
            continue
        kept.append(clip)
        lengths.append(reading.length)
        gaps += reading.missing > 0
        missing += reading.missing
    return Survey(kept, np.array(lengths, dtype=np.int64), gaps, missing)
