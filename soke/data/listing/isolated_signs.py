"""Listing isolated signs: the frames of a recording that show one word."""

from __future__ import annotations

import math
from numbers import Real
from pathlib import Path, PurePosixPath

import numpy as np

from soke.data.layouts import Layout, layout_named
from soke.data.listing.annotation_files import candidates
from soke.data.listing.annotations import (
    DAMAGED,
    FRAME_RATE,
    NO_POSES,
    SIGNS,
    Clip,
    DropCounts,
    with_hands,
)
from soke.data.listing.entries import NO_TEXT, DataFault, check_fields, checked_name, read_records
from soke.data.motion.hands import ANY_HANDS, Hands
from soke.data.poses import frame_files, is_pose_file, read_poses
from soke.files import require
from soke.retrieval.words import clean

INCOMPLETE = "fewer than half of the frames"  # why a sign is left out, beside other reasons


def read_isolated_signs(
    layout: str,
    root: str | Path,
    path: str | Path,
    corpus: str | None = None,
    hands: Hands | None = None,
    fps: float = FRAME_RATE,
) -> tuple[list[Clip], DropCounts]:
    """List the usable isolated signs of a JSON or pickled list (``path`` relative to ``root``).

    A sign is the frames numbered ``start`` to ``end`` of the recording ``video_file`` or, without
    one, ``name``, in any split; in a file with all frames of a clip they are numbered from 0. A
    sign with fewer than half of its frames is left out. Its text is its label. Signs of an own
    corpus whose files have another rate than ``fps`` are resampled to it.

    Returns the signs and how many were left out, by reason. Raises like `read_annotations`.
    """
    row = layout_named(layout)
    corpus = corpus or layout
    root = Path(root)
    path = require(root / path, f"The list of isolated signs of {row.title}", row.remedy)
    signs = []
    dropped = DropCounts()
    numbers = {}
    for where, record in read_records(path):
        try:
            sign = _isolated_sign(row, root, corpus, record, where, fps)
        except DataFault as fault:
            dropped.fault(fault, fault.reason)
            continue
        except OSError as error:  # such as a name that is too long for a file
            dropped.fault(DataFault(f"{where}: {error}"), DAMAGED)
            continue
        if sign is None:
            dropped[NO_POSES] += 1
            continue
        try:
            if sign.poses not in numbers:
                numbers[sign.poses] = _frame_numbers(sign.poses)
        except (ValueError, OSError) as error:
            dropped.fault(error, DAMAGED)
            continue
        start, end = sign.numbers
        present = np.count_nonzero((numbers[sign.poses] >= start) & (numbers[sign.poses] <= end))
        if not present or 2 * present < end - start + 1:
            dropped[INCOMPLETE] += 1
        else:
            signs.append(sign)
    return with_hands(signs, hands, dropped), dropped


def _isolated_sign(
    row: Layout, root: Path, corpus: str, record: object, where: str, fps: float
) -> Clip | None:
    """One entry of the list, or None where its recording has no poses."""
    fields = {"name": str, "label": str, "start": Real, "end": Real, "video_file": str}
    check_fields(record, fields, where)
    name, label, start, end, video_file = (record[field] for field in fields)
    if not (math.isfinite(start) and math.isfinite(end)):
        raise DataFault(f"{where}: start and end have to be numbers, found {start}, {end}")
    numbers = (math.ceil(start), math.floor(end))
    name = checked_name(name, where)
    label = clean(label)
    names = [name]
    if not label:
        raise DataFault(f"{where}: {name!r} has no label", NO_TEXT)
    if video_file:
        video = PurePosixPath(checked_name(video_file, where))
        names = [str(video), str(video.with_suffix("")), name]
    for candidate in dict.fromkeys(names):
        for split in dict.fromkeys(row.splits.values()):
            # A folder first: its names say which number a frame has.
            for poses in reversed(candidates(row, root, split, candidate)):
                if poses.exists():
                    return Clip(
                        name,
                        corpus,
                        label,
                        SIGNS,
                        poses,
                        target_fps=fps,
                        numbers=numbers,
                        any_tool=row.own,
                    )
    return None


def _frame_numbers(poses: Path) -> np.ndarray:
    if is_pose_file(poses):
        return np.arange(len(read_poses(poses, ANY_HANDS).frames))
    return np.array([number for number, _ in frame_files(poses)], dtype=int)
