"""Reading the motion of clips: one by one, or all of them to learn what can be used."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from soke.data.lengths import thin_frames
from soke.data.listing.annotations import DAMAGED, MIN_FRAMES, TOO_SHORT, Clip, DropCounts, too_long
from soke.data.lmdb_clips import LMDB_SUFFIX, read_record
from soke.data.motion.plausibility import Oddities, check
from soke.data.motion.reader import Motion, read_motion_file
from soke.data.motion.resampling import resample
from soke.data.poses import frame_files, is_pose_file, read_frames
from soke.data.store import mapped
from soke.parts import SHAPE

log = logging.getLogger(__name__)

#: How many clips are read before `survey` shows a progress bar.
_SHOW_PROGRESS = 2000


def load_motion(clip: Clip) -> np.ndarray:
    """Read the motion of a clip or sign at its target rate.

    Released poses that are faster are thinned; poses of other tools are resampled from either side.
    Returns float32 ``[T, 179]``. Raises ``ValueError`` that names the file for damaged poses.
    """
    return read_motion(clip).frames


@dataclass(frozen=True)
class ClipMotion:
    """The motion of a clip, and what reading it showed."""

    frames: np.ndarray  # [T, 179]
    fps: float
    missing: int = 0  # frame numbers that are missing between the first and the last
    native: float | None = None  # the rate that it was resampled from, if it was


def read_motion(clip: Clip) -> ClipMotion:
    """Like `load_motion`, with what is known of the motion beside it."""
    if clip.rows is not None:
        start, count = clip.rows
        frames = mapped(clip.poses.parent, clip.packing).frames[start : start + count]
        return ClipMotion(np.array(frames), clip.target_fps)
    motion, missing = _read_native(clip)
    if not len(motion.frames):
        raise ValueError(f"{clip.poses} holds no frame of {clip.name!r}")
    rate = clip.fps or motion.fps or clip.target_fps
    if not clip.any_tool or rate == clip.target_fps:
        return ClipMotion(motion.frames, min(rate, clip.target_fps), missing)
    frames = resample(motion.frames, slice(0, SHAPE.start), rate, clip.target_fps)
    return ClipMotion(frames, clip.target_fps, missing, rate)


def _read_native(clip: Clip) -> tuple[Motion, int]:
    """The motion as it lies on disk, released poses thinned, and how many numbers are missing."""
    if clip.poses.suffix == LMDB_SUFFIX:
        return read_record(clip.poses, clip.name, clip.hands), 0
    if is_pose_file(clip.poses):
        motion = read_motion_file(clip.poses, clip.hands)
        frames = motion.frames
        if clip.numbers is not None:
            frames = frames[clip.numbers[0] : clip.numbers[1] + 1]
        kept = _kept_frames(clip, len(frames))
        return replace(motion, frames=frames if len(kept) == len(frames) else frames[kept]), 0
    files = frame_files(clip.poses)
    if clip.numbers is not None:
        first, last = clip.numbers
        files = [(number, path) for number, path in files if first <= number <= last]
    if not files:
        raise ValueError(f"{clip.poses} holds no frame of {clip.name!r}")
    gaps = files[-1][0] - files[0][0] + 1 - len(files)
    if gaps:
        log.debug("%s: %d frame numbers are missing", clip.poses, gaps)
    kept = _kept_frames(clip, len(files))
    return read_frames([files[i][1] for i in kept], clip.hands), gaps


def _kept_frames(clip: Clip, n: int) -> np.ndarray:
    if not n or clip.any_tool or clip.fps is None or clip.numbers is not None:
        return np.arange(n)
    return thin_frames(n, clip.fps, clip.target_fps)


@dataclass(frozen=True)
class Reading:
    """What reading a clip gave: its motion, or why it cannot be used."""

    frames: np.ndarray | None  # [T, 179], None where only the length was asked for
    length: int = 0
    missing: int = 0  # frame numbers that are missing between the first and the last
    native: float | None = None  # the rate that it was resampled from, if it was
    fault: str | None = None  # a message that names clip and file
    reason: str = DAMAGED
    odd: tuple[str, ...] = ()  # see `soke.data.motion.plausibility.check`


class _Readings(Dataset[Reading]):
    def __init__(self, clips: Sequence[Clip], keep: bool) -> None:
        self.clips = clips
        self.keep = keep

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Reading:
        clip = self.clips[index]
        name = f"{clip.corpus} {clip.name!r}"
        try:
            motion = read_motion(clip)
        except (ValueError, OSError) as error:
            return Reading(None, fault=f"{name}: {error}")
        length = len(motion.frames)
        if length < MIN_FRAMES and clip.numbers is None:
            what = f"{name}: {clip.poses} has {length} frames"
            return Reading(None, fault=what, reason=TOO_SHORT)
        seconds = length / motion.fps
        if clip.max_seconds is not None and seconds >= clip.max_seconds:
            what = f"{name}: {clip.poses} lasts {seconds:.0f} s"
            return Reading(None, fault=what, reason=too_long(clip.max_seconds))
        odd = check(motion.frames, motion.fps)
        frames = motion.frames if self.keep else None
        return Reading(frames, length, motion.missing, motion.native, odd=odd)


def read_all(clips: Sequence[Clip], workers: int = 0, keep: bool = True) -> Iterator[Reading]:
    """Read every clip, in order, by so many processes; a damaged one is a reading with a fault.

    Without ``keep`` the motion itself is left out.
    """
    loader = DataLoader(
        _Readings(clips, keep),
        batch_size=None,
        num_workers=min(workers, len(clips)),
        collate_fn=_unchanged,
        prefetch_factor=16 if workers and len(clips) else None,
        generator=torch.Generator(),  # the order needs no draws: leave the global generator alone
    )
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


def survey(clips: Sequence[Clip], dropped: DropCounts, workers: int = 0) -> Survey:
    """Read every clip once and keep those that can be used; the others are added to ``dropped``."""
    kept = []
    lengths = []
    gaps = 0
    missing = 0
    rates: Counter[float] = Counter()
    odd = Oddities()
    readings = track(
        read_all(clips, workers, keep=False),
        "reading poses",
        len(clips),
        disable=len(clips) < _SHOW_PROGRESS,
    )
    for reading, clip in zip(readings, clips):
        if reading.fault is not None:
            dropped.fault(ValueError(reading.fault), reading.reason)
            continue
        kept.append(clip)
        lengths.append(reading.length)
        gaps += reading.missing > 0
        missing += reading.missing
        rates.update(() if reading.native is None else (reading.native,))
        odd.add(clip.name, reading.odd)
    note_rates(dropped, clips, rates)
    if clips:
        odd.warn(f"{clips[0].corpus} {clips[0].split}")
    return Survey(kept, np.array(lengths, dtype=np.int64), gaps, missing)


def note_rates(dropped: DropCounts, clips: Sequence[Clip], rates: Counter[float]) -> None:
    """Say how many clips were resampled, and from which rates."""
    if rates:
        shown = ", ".join(f"{count:,} from {rate:g}" for rate, count in sorted(rates.items()))
        dropped.note(
            f"{clips[0].corpus} {clips[0].split}: clips resampled to {clips[0].target_fps:g} "
            f"frames/s: {shown}"
        )
