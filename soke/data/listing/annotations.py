"""Listing the clips of a data set.

Clips that cannot be used are left out, counted by reason and, where something is damaged, named in
a warning. What can be known without reading the poses is found here: a folder is scanned only as
far as needed, and a pose file is opened only where it is small enough to be too short. What only
reading shows is found by `soke.data.scan`.
"""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from soke.data.layouts import Layout, layout_named
from soke.data.listing.annotation_files import (
    annotation_path,
    candidates,
    check_exists,
    entries_of,
    names_of_stronger_splits,
)
from soke.data.listing.entries import DAMAGED, DataFault, Entries, Row
from soke.data.listing.frame_rates import with_rates
from soke.data.lmdb_clips import LMDB_SUFFIX
from soke.data.motion.hands import ANY_HANDS, HANDS, Hands
from soke.data.motion.reader import AS_CONFIGURED
from soke.data.poses import is_pose_file, is_pose_name, read_poses
from soke.data.texts import mend_mojibake
from soke.files import MissingAssetError
from soke.parts import FRAME_SIZE
from soke.retrieval.words import clean

logger = logging.getLogger(__name__)

FRAME_RATE = 24.0
MIN_FRAMES = 4
MAX_SECONDS = 30.0
#: Clips that are read to find out how a corpus's hands are meant.
_HAND_SAMPLE = 16

#: Why a clip is left out (keys of the counters), beside the reasons of `soke.data.listing.entries`.
KNOWN_BAD = "known bad pose fit"
NO_POSES = "no pose files"
TOO_SHORT = f"under {MIN_FRAMES} frames"
REPEATED = "name occurs before"
ELSEWHERE = "also in the test or validation split"
OTHER_LANGUAGE = "text in another language"

#: The split name of isolated signs (`soke.data.listing.isolated_signs`).
SIGNS = "signs"


@dataclass(frozen=True)
class Clip:
    """One sentence, or one isolated sign, and where its motion lies.

    `soke.data.scan.load_motion` reads it.
    """

    name: str
    corpus: str
    text: str
    split: str
    poses: Path  # a folder of frame files, a pose file, an LMDB, or the frames of a packed store
    fps: float | None = None  # native rate, where it is known
    target_fps: float = FRAME_RATE  # thinned to this rate where the native one is higher
    numbers: tuple[int, int] | None = None  # of a recording, these frames only, both included
    rows: tuple[int, int] | None = None  # of a packed store, the first frame and their number
    packing: str | None = None  # of a packed store, which packing of it
    gloss: str = ""
    signer: str = ""
    num_frames: int | None = None  # as its annotation says
    any_tool: bool = False  # poses of any form, brought to the target rate from either side
    hands: Hands | None = None  # how their hands are read where the form leaves it open
    max_seconds: float | None = None  # longer is left out, where the annotation has no duration


class DropCounts(Counter):
    """How many entries were left out, by reason.

    ``faults`` has a message for each damaged one, ``notes`` what else is worth knowing.
    """

    def __init__(self, *counts: object) -> None:
        super().__init__(*counts)
        self.faults: list[str] = []
        self.notes: list[str] = []

    def fault(self, error: Exception, reason: str) -> None:
        """Count a damaged entry or clip, whose message names it and its file."""
        self[reason] += 1
        self.faults.append(str(error))
        logger.warning("left out: %s", error)

    def note(self, message: str) -> None:
        self.notes.append(message)
        logger.info(message)


def read_annotations(
    layout: str,
    root: str | Path,
    split: str,
    corpus: str | None = None,
    fps: float = FRAME_RATE,
    language: str | None = None,
    *,
    template: str | None = None,
    max_seconds: float | None = MAX_SECONDS,
    hands: Hands | None = None,
    mend_text: bool = False,
) -> tuple[list[Clip], DropCounts]:
    """List the usable clips of a split (``train``, ``val``, ``test``), in the order of the file.

    ``corpus`` is the name that the clips carry, ``layout`` by default; ``fps`` is the rate that
    faster clips are thinned to; of a table of several languages those in ``language`` are taken.
    ``template`` names the annotation files where they are not the layout's own, with ``{split}``;
    clips of ``max_seconds`` or longer are left out; ``hands`` says how poses of any tool have their
    hands; ``mend_text`` puts texts right whose UTF-8 was read as Latin-1.

    A clip file (release 2) is preferred to a folder of frame files (release 1), clip by clip. A
    name that occurs twice counts the first time, and one that is in two splits belongs to test
    before val before train. A rate that the annotation does not say is derived from the number of
    frames and the clip's duration, where it says that.

    Returns the clips and how many were left out, by reason. Raises
    `soke.files.MissingAssetError` without annotations or without any poses, and ``ValueError`` for
    an unknown layout or split and for annotations that cannot be understood as a whole.
    """
    row = layout_named(layout)
    corpus = corpus or layout
    root = Path(root)
    path = annotation_path(layout, root, split, template)
    check_exists(row, path, root, split, corpus)
    dropped = DropCounts()
    clips = []
    seen: set[str] = set()
    elsewhere = names_of_stronger_splits(layout, root, split, template)
    entries = _mended(_entries(row, path, split, language, dropped), mend_text, dropped, path)
    entries, message = with_rates(row, root, entries, split)
    if message is not None:
        dropped.note(message)
    rateless = [entry for entry in entries if isinstance(entry, Row) and entry.fps is None]
    if row.native_rates and rateless:
        dropped.note(
            f"{row.title} {split}: of {len(rateless):,} clips no frame rate is known; they are "
            f"taken to have {fps:g} frames/s, and play too slowly if they have more"
        )
    for entry in entries:
        try:
            if isinstance(entry, DataFault):
                raise entry
            reason = REPEATED if entry.name in seen else ELSEWHERE
            if entry.name in seen or entry.name in elsewhere:
                raise DataFault(f"{path}: {corpus} {entry.name!r}: {reason}", reason)
            seen.add(entry.name)
            poses = _find_poses(row, root, path, split, entry, fps, max_seconds, dropped)
        except DataFault as fault:
            dropped.fault(fault, fault.reason)
            continue
        if poses is not None:
            longest = None if entry.seconds else max_seconds
            clips.append(_clip(row, entry, corpus, split, poses, fps, longest))
    if not clips and dropped[NO_POSES]:
        template = row.clip_files[0] if row.own else row.frames
        pattern = root / template.format(split=row.splits[split], name="<name>")
        raise MissingAssetError(f"Every pose file of {row.title} {split}", pattern, row.remedy)
    return with_hands(clips, hands, dropped), dropped


def _clip(
    row: Layout,
    entry: Row,
    corpus: str,
    split: str,
    poses: Path,
    fps: float,
    max_seconds: float | None,
) -> Clip:
    return Clip(
        name=entry.name,
        corpus=corpus,
        text=clean(entry.text),
        split=split,
        poses=poses,
        fps=entry.fps,
        target_fps=fps,
        gloss=clean(entry.gloss),
        signer=entry.signer,
        num_frames=entry.num_frames,
        any_tool=row.own,
        max_seconds=max_seconds,
    )


def _entries(
    row: Layout, path: Path, split: str, language: str | None, dropped: DropCounts
) -> Entries:
    """The entries of one split and language, with what is wrong with others of that file."""
    entries = entries_of(row, path, split)
    languages = {entry.language for entry in entries if isinstance(entry, Row)} - {None}
    if language is not None and row.own and languages and language not in languages:
        raise ValueError(f"{path} has no text in {language!r}; it has {sorted(languages)}")
    wanted: Entries = []
    for entry in entries:
        known = entry.row if isinstance(entry, DataFault) else entry
        if known is not None and known.split not in (None, split):
            continue
        if (
            known is not None
            and row.own
            and known.language not in (None, language or known.language)
        ):
            dropped[OTHER_LANGUAGE] += 1
            continue
        wanted.append(entry)
    return wanted


def _mended(entries: Entries, mend: bool, dropped: DropCounts, path: Path) -> Entries:
    """Entries whose texts are put right where ``mend`` says so, else a note on those that are not.

    UTF-8 that was once read as Latin-1 has two or three odd letters in place of one.
    """
    mended = [
        replace(entry, text=mend_mojibake(entry.text)) if isinstance(entry, Row) else entry
        for entry in entries
    ]
    changed = [
        (before.text, after.text)
        for before, after in zip(entries, mended)
        if isinstance(before, Row) and before.text != after.text
    ]
    if changed and not mend:
        before, after = changed[0]
        dropped.note(
            f"{path}: {len(changed)} texts hold UTF-8 that was read as Latin-1, such as "
            f"{before[:60]!r} for {after[:60]!r}; CORPORA.<name>.mend_text=true puts them right"
        )
    return mended if mend else entries


def with_hands(clips: list[Clip], hands: Hands | None, dropped: DropCounts) -> list[Clip]:
    """Clips of any tool with the convention of their hands, found once for the whole corpus.

    A form that fixes its convention is read by it, whatever is found here.
    """
    if hands is None or not clips or not clips[0].any_tool:
        return clips
    if hands.convention == "auto":
        step = -(-len(clips) // _HAND_SAMPLE)
        poses = [_open_hands(clip, hands) for clip in clips[:: max(1, step)]]
        poses = [frames for frames in poses if len(frames)]
        if poses:
            convention, reason = hands.recognise(np.concatenate(poses))
            hands = replace(hands, convention=convention)
            dropped.note(
                f"{clips[0].corpus} {clips[0].split}: hands are taken as {convention}: {reason}; "
                f"CORPORA.{clips[0].corpus}.hands sets it"
            )
    return [replace(clip, hands=hands) for clip in clips]


def _open_hands(clip: Clip, hands: Hands) -> np.ndarray:
    """The hand poses ``[T, 90]`` of a clip whose form leaves the convention open, else none."""
    try:
        if clip.poses.suffix == LMDB_SUFFIX:
            return np.zeros((0, 90), np.float32)
        motion = read_poses(clip.poses, replace(hands, convention="relative"))
    except (ValueError, OSError):
        return np.zeros((0, 90), np.float32)
    return motion.frames[:, HANDS] if motion.reason == AS_CONFIGURED else motion.frames[:0, HANDS]


def _find_poses(
    layout: Layout,
    root: Path,
    annotation: Path,
    split: str,
    entry: Row,
    fps: float,
    max_seconds: float | None,
    dropped: DropCounts,
) -> Path | None:
    """Where the motion of a row lies; None, counted, where a rule or its absence rules it out.

    Raises `DataFault` where it is there and cannot be used.
    """
    if entry.name in layout.known_bad:
        dropped[KNOWN_BAD] += 1
        return None
    if max_seconds is not None and entry.seconds >= max_seconds:
        dropped[too_long(max_seconds)] += 1
        return None
    if annotation.suffix == LMDB_SUFFIX:
        return annotation
    needed = frames_needed(entry.fps, fps)
    for poses in candidates(layout, root, layout.splits[split], entry.name):
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


def too_long(max_seconds: float) -> str:
    """Why a clip of so many seconds is left out."""
    return f"{max_seconds:g} s or longer"


def _count_frames(poses: Path, needed: int) -> int | None:
    """How many frames there are, or ``needed`` if so many are certain; None if nothing is there."""
    try:
        if is_pose_file(poses):
            # Enough bytes for that many frames of doubles, plus the keys: no need to look inside.
            if poses.stat().st_size >= needed * FRAME_SIZE * 8 + 4096:
                return needed
            return len(read_poses(poses, ANY_HANDS).frames)
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
