"""Listing the clips of a data set.

Clips that cannot be used are left out, counted by reason and, where something is damaged, named in
a warning. What can be known without reading the poses is found here: a folder is scanned only as
far as needed, and a pose file is opened only where it is small enough to be too short. What only
reading shows is found by `soke.data.survey`.
"""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from soke.data.entries import DataFault, Entries, Row
from soke.data.layouts import Layout, layout_named
from soke.data.poses import is_pose_file, is_pose_name, read_pose_file
from soke.files import MissingAssetError, require
from soke.parts import FRAME_SIZE

logger = logging.getLogger(__name__)

FRAME_RATE = 24.0
MIN_FRAMES = 4
MAX_SECONDS = 30.0

#: Why a clip is left out (keys of the counters), beside the reasons of `soke.data.entries`.
KNOWN_BAD = "known bad pose fit"
TOO_LONG = f"{MAX_SECONDS:g} s or longer"
NO_POSES = "no pose files"
TOO_SHORT = f"under {MIN_FRAMES} frames"
DAMAGED = "damaged poses"
REPEATED = "name occurs before"
ELSEWHERE = "also in the test or validation split"

#: The split name of isolated signs (`soke.data.signs`).
SIGNS = "signs"
#: A clip that is in two splits stays in the first of these that it is in.
_PRECEDENCE = ("test", "val", "train")


@dataclass(frozen=True)
class Clip:
    """One sentence, or one isolated sign, and where its motion lies.

    `soke.data.survey.load_motion` reads it.
    """

    name: str
    corpus: str
    text: str
    split: str
    poses: Path  # a folder of frame pickles, a pose file, or the frames of a packed store
    fps: float | None = None  # native rate, where it is known
    target_fps: float = FRAME_RATE  # thinned to this rate where the native one is higher
    numbers: tuple[int, int] | None = None  # of a recording, these frames only, both included
    rows: tuple[int, int] | None = None  # of a packed store, the first frame and their number
    packing: str | None = None  # of a packed store, which packing of it


class Drops(Counter):
    """How many entries were left out, by reason; ``faults`` has a message for each damaged one."""

    def __init__(self, *counts: object) -> None:
        super().__init__(*counts)
        self.faults: list[str] = []

    def fault(self, error: Exception, reason: str) -> None:
        """Count a damaged entry or clip, whose message names it and its file."""
        self[reason] += 1
        self.faults.append(str(error))
        logger.warning("left out: %s", error)


def read_annotations(
    layout: str,
    root: str | Path,
    split: str,
    corpus: str | None = None,
    fps: float = FRAME_RATE,
    language: str | None = None,
) -> tuple[list[Clip], Drops]:
    """List the usable clips of a split (``train``, ``val``, ``test``), in the order of the file.

    ``corpus`` is the name that the clips carry, ``layout`` by default; ``fps`` is the rate that
    faster clips are thinned to; of a table of several languages those in ``language`` are taken.
    A clip file (release 2) is preferred to a folder of frame pickles (release 1), clip by clip. A
    name that occurs twice counts the first time, and one that is in two splits belongs to test
    before val before train.

    Returns the clips and how many were left out, by reason. Raises
    `soke.files.MissingAssetError` without annotations or without any poses, and ``ValueError`` for
    an unknown layout or split and for annotations that cannot be understood as a whole.
    """
    row, corpus, root = layout_named(layout), corpus or layout, Path(root)
    path = annotation_path(layout, root, split)
    clips, dropped = [], Drops()
    seen: set[str] = set()
    elsewhere = _names_of_stronger_splits(row, root, split)
    for entry in _entries(row, path, split, language):
        try:
            if isinstance(entry, DataFault):
                raise entry
            reason = REPEATED if entry.name in seen else ELSEWHERE
            if entry.name in seen or entry.name in elsewhere:
                raise DataFault(f"{path}: {corpus} {entry.name!r}: {reason}", reason)
            seen.add(entry.name)
            poses = _find_poses(row, root, row.splits[split], entry, fps, dropped)
        except DataFault as fault:
            dropped.fault(fault, fault.reason)
            continue
        if poses is not None:
            clips.append(Clip(entry.name, corpus, entry.text, split, poses, entry.fps, fps))
    if not clips and dropped[NO_POSES]:
        template = row.frames or row.clip_files[0]
        pattern = root / template.format(split=row.splits[split], name="<name>")
        raise MissingAssetError(f"Every pose file of {row.title} {split}", pattern, row.remedy)
    return clips, dropped


def annotation_path(layout: str, root: str | Path, split: str) -> Path:
    """The annotation file of a split. Raises ``ValueError`` for an unknown layout or split."""
    row = layout_named(layout)
    if split not in row.splits:
        raise ValueError(f"the split {split!r} is unknown; choose one of {sorted(row.splits)}")
    return Path(root) / row.annotation.format(split=row.splits[split])


def stronger_splits(split: str) -> tuple[str, ...]:
    """The splits that a clip belongs to rather than to this one."""
    return _PRECEDENCE[: _PRECEDENCE.index(split)]


def _entries(row: Layout, path: Path, split: str, language: str | None) -> Entries:
    """The entries of one split and language, with what is wrong with others of that file."""
    require(path, f"The {split} annotation of {row.title}", row.remedy)
    entries = row.read_rows(path)
    languages = {entry.language for entry in entries if isinstance(entry, Row)} - {None}
    if language is not None and languages and language not in languages:
        raise ValueError(f"{path} has no text in {language!r}; it has {sorted(languages)}")

    def wanted(entry: Row | DataFault) -> bool:
        known = entry.row if isinstance(entry, DataFault) else entry
        if known is None:  # it might be of this split
            return True
        other = None not in (language, known.language) and known.language != language
        return known.split in (None, split) and not other

    return [entry for entry in entries if wanted(entry)]


def _names_of_stronger_splits(row: Layout, root: Path, split: str) -> set[str]:
    """Names in the splits that a clip belongs to rather than to this one."""
    names: set[str] = set()
    for other in stronger_splits(split):
        path = root / row.annotation.format(split=row.splits[other])
        if path.exists():
            entries = row.read_rows(path)
            rows = [entry for entry in entries if isinstance(entry, Row)]
            names |= {entry.name for entry in rows if entry.split in (None, other)}
    return names


def candidates(layout: Layout, root: Path, split: str, name: str) -> list[Path]:
    """Where the poses of a clip may lie, the preferred place first."""
    templates = [*layout.clip_files, *([layout.frames] if layout.frames else [])]
    return [root / template.format(split=split, name=name) for template in templates]


def _find_poses(
    layout: Layout, root: Path, split: str, entry: Row, fps: float, dropped: Drops
) -> Path | None:
    """Where the motion of a row lies; None, counted, where a rule or its absence rules it out.

    Raises `DataFault` where it is there and cannot be used.
    """
    if entry.name in layout.known_bad:
        dropped[KNOWN_BAD] += 1
        return None
    if entry.seconds >= MAX_SECONDS:
        dropped[TOO_LONG] += 1
        return None
    needed = frames_needed(entry.fps, fps)
    for poses in candidates(layout, root, split, entry.name):
        try:
            found = _count_frames(poses, needed)
        except (ValueError, OSError) as error:
            raise DataFault(f"{entry.name!r}: {error}", DAMAGED) from None
        if found is None:
            continue
        if found < needed:
            reason = TOO_SHORT if found else NO_POSES
            what = f"{entry.name!r}: {poses} has {found} frames, {needed} are needed"
            raise DataFault(what, reason)
        return poses
    dropped[NO_POSES] += 1
    return None


def _count_frames(poses: Path, needed: int) -> int | None:
    """How many frames there are, or ``needed`` if so many are certain; None if nothing is there."""
    try:
        if is_pose_file(poses):
            # Enough bytes for that many frames of doubles, plus the keys: no need to look inside.
            if poses.stat().st_size >= needed * FRAME_SIZE * 8 + 4096:
                return needed
            return len(read_pose_file(poses))
        with os.scandir(poses) as entries:
            return sum(1 for _ in islice((e for e in entries if is_pose_name(e.name)), needed))
    except (FileNotFoundError, NotADirectoryError):
        return None


def frames_needed(fps: float | None, target: float = FRAME_RATE) -> int:
    """The least number of frames of which `MIN_FRAMES` are left by the frame-rate rule."""
    if fps is None or fps <= target:
        return MIN_FRAMES
    needed = math.ceil(MIN_FRAMES * fps / target)
    # The quotient may be rounded to just below a whole number.
    return needed if int(target * needed / fps) >= MIN_FRAMES else needed + 1
