"""Listing the clips of a data set and reading their motion.

Clips that cannot be used are left out and counted by reason. That includes clips of under four
frames (after the frame-rate rule), so that every listed clip can be loaded: a folder is scanned
only as far as needed to know, and a clip pickle is opened only where it is small enough to be too
short.
"""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from numbers import Real
from pathlib import Path, PurePosixPath

import numpy as np

from soke.data.layouts import Layout, Row, checked_name, layout_named, read_records
from soke.data.lengths import thin_frames
from soke.data.poses import frame_files, is_pose_name, read_clip_file, read_frames
from soke.files import MissingAssetError, require
from soke.parts import FRAME_SIZE

logger = logging.getLogger(__name__)

FRAME_RATE = 24.0
MIN_FRAMES = 4
MAX_SECONDS = 30.0

#: Why a clip is left out (keys of the counters).
KNOWN_BAD = "known bad pose fit"
TOO_LONG = f"{MAX_SECONDS:g} s or longer"
NO_POSES = "no pose files"
TOO_SHORT = f"under {MIN_FRAMES} frames"
INCOMPLETE = "fewer than half of the frames"


@dataclass(frozen=True)
class Clip:
    """One sentence and where its motion lies; `load_motion` reads it."""

    name: str
    corpus: str
    text: str
    split: str
    poses: Path  # a folder of frame pickles, or one clip pickle
    fps: float | None = None  # native rate, where the frame-rate rule applies


@dataclass(frozen=True)
class IsolatedSign:
    """One sign cut out of a recording: the frames numbered ``start`` to ``end``, both included."""

    name: str
    corpus: str
    label: str
    start: int
    end: int
    video_file: str
    poses: Path  # a folder of frame pickles

    @property
    def text(self) -> str:
        """What is signed, under the name that it has in a `Clip`."""
        return self.label


def read_annotations(
    layout: str, root: str | Path, split: str, corpus: str | None = None
) -> tuple[list[Clip], Counter[str]]:
    """List the usable clips of a split (``train``, ``val``, ``test``), in the order of the file.

    ``corpus`` is the name that the clips carry, ``layout`` by default. A clip pickle (release 2) is
    preferred to a folder of frame pickles (release 1), clip by clip.

    Returns the clips and how many were left out, by reason. Raises
    `soke.files.MissingAssetError` without annotations or without any poses, and ``ValueError`` for
    an unknown layout or split and for annotations that cannot be understood.
    """
    row, corpus, root = layout_named(layout), corpus or layout, Path(root)
    if split not in row.splits:
        raise ValueError(f"the split {split!r} is unknown; choose one of {sorted(row.splits)}")
    folder = row.splits[split]
    path = root / row.annotation.format(split=folder)
    require(path, f"The {split} annotation of {row.title}", row.remedy)
    clips, dropped = [], Counter()
    for entry in row.read_rows(path):
        poses, reason = _find_poses(row, root, folder, entry)
        if reason is not None:
            dropped[reason] += 1
        else:
            clips.append(Clip(entry.name, corpus, entry.text, split, poses, entry.fps))
    if not clips and dropped[NO_POSES]:
        pattern = root / row.frames.format(split=folder, name="<name>")
        raise MissingAssetError(f"Every pose file of {row.title} {split}", pattern, row.remedy)
    _log_summary(f"{corpus} {split}", "clips", len(clips), dropped)
    return clips, dropped


def read_isolated_signs(
    layout: str, root: str | Path, path: str | Path, corpus: str | None = None
) -> tuple[list[IsolatedSign], Counter[str]]:
    """List the usable isolated signs of a JSON or pickled list (``path`` relative to ``root``).

    The frames lie in the folder of frame pickles called ``video_file`` or, without one, ``name``,
    in any split. A sign with fewer than half of its frames is left out.

    Returns the signs and how many were left out, by reason. Raises like `read_annotations`.
    """
    row, corpus, root = layout_named(layout), corpus or layout, Path(root)
    path = require(root / path, f"The list of isolated signs of {row.title}", row.remedy)
    fields = {"name": str, "label": str, "start": Real, "end": Real, "video_file": str}
    signs, dropped, numbers = [], Counter(), {}
    for where, record in read_records(path, fields):
        name, label, start, end, video_file = (record[field] for field in fields)
        if not (math.isfinite(start) and math.isfinite(end)):
            raise ValueError(f"{where}: start and end have to be numbers, found {start}, {end}")
        start, end = math.ceil(start), math.floor(end)
        folder = _find_folder(row, root, checked_name(name, where), video_file, where)
        if folder is None:
            dropped[NO_POSES] += 1
            continue
        if folder not in numbers:
            numbers[folder] = np.array([number for number, _ in frame_files(folder)], dtype=int)
        present = np.count_nonzero((numbers[folder] >= start) & (numbers[folder] <= end))
        if not present or 2 * present < end - start + 1:
            dropped[INCOMPLETE] += 1
            continue
        signs.append(IsolatedSign(name, corpus, label, start, end, video_file, folder))
    _log_summary(f"{corpus} {path.name}", "isolated signs", len(signs), dropped)
    return signs, dropped


def load_motion(clip: Clip | IsolatedSign) -> np.ndarray:
    """Read the motion of a clip or sign, thinned to 24 frames a second where its rate is known.

    Returns float32 ``[T, 179]``. Raises ``ValueError`` that names the file for damaged poses.
    """
    if clip.poses.suffix == ".pkl":
        frames = read_clip_file(clip.poses)
        return frames[_kept_frames(clip, len(frames))]
    files = frame_files(clip.poses)
    if isinstance(clip, IsolatedSign):
        files = [(number, path) for number, path in files if clip.start <= number <= clip.end]
    if not files:
        raise ValueError(f"{clip.poses} holds no frame of {clip.name!r}")
    gaps = files[-1][0] - files[0][0] + 1 - len(files)
    if gaps:
        logger.debug("%s: %d frame numbers are missing", clip.poses, gaps)
    return read_frames([files[i][1] for i in _kept_frames(clip, len(files))])


def _kept_frames(clip: Clip | IsolatedSign, n: int) -> np.ndarray:
    fps = clip.fps if isinstance(clip, Clip) else None
    return np.arange(n) if fps is None else thin_frames(n, fps, FRAME_RATE)


def _find_poses(
    layout: Layout, root: Path, split: str, entry: Row
) -> tuple[Path | None, str | None]:
    """Where the motion of a row lies, or why the row cannot be used."""
    if entry.name in layout.known_bad:
        return None, KNOWN_BAD
    if entry.seconds >= MAX_SECONDS:
        return None, TOO_LONG
    needed = _frames_needed(entry.fps)
    clip_file = root / layout.clip_file.format(split=split, name=entry.name)
    if clip_file.is_file():
        # Enough bytes for that many frames of doubles, plus the keys: no need to look inside.
        small = clip_file.stat().st_size < needed * FRAME_SIZE * 8 + 4096
        short = small and len(read_clip_file(clip_file)) < needed
        return clip_file, TOO_SHORT if short else None
    folder = root / layout.frames.format(split=split, name=entry.name)
    try:
        with os.scandir(folder) as entries:
            found = sum(1 for _ in islice((e for e in entries if is_pose_name(e.name)), needed))
    except (FileNotFoundError, NotADirectoryError):
        return None, NO_POSES
    if not found:
        return None, NO_POSES
    return folder, TOO_SHORT if found < needed else None


def _frames_needed(fps: float | None) -> int:
    """The least number of frames of which `MIN_FRAMES` are left by the frame-rate rule."""
    if fps is None or fps <= FRAME_RATE:
        return MIN_FRAMES
    needed = math.ceil(MIN_FRAMES * fps / FRAME_RATE)
    # The quotient may be rounded to just below a whole number.
    return needed if int(FRAME_RATE * needed / fps) >= MIN_FRAMES else needed + 1


def _find_folder(layout: Layout, root: Path, name: str, video_file: str, where: str) -> Path | None:
    """The folder of frame pickles of an isolated sign: of its recording, or its own."""
    names = [name]
    if video_file:
        video = PurePosixPath(checked_name(video_file, where))
        names = [str(video), str(video.with_suffix("")), name]
    for candidate in dict.fromkeys(names):
        for split in dict.fromkeys(layout.splits.values()):
            folder = root / layout.frames.format(split=split, name=candidate)
            if folder.is_dir():
                return folder
    return None


def _log_summary(source: str, what: str, kept: int, dropped: Counter[str]) -> None:
    reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.most_common())
    logger.info("%s: %d %s; left out: %s", source, kept, what, reasons or "none")
