"""Folders with one pose file per frame, as release 1 and fitting tools write them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from soke.data.lmdb_clips import LMDB_SUFFIX
from soke.data.motion.hands import Hands
from soke.data.motion.reader import (
    AS_CONFIGURED,
    Motion,
    load_content,
    motion_from_content,
    read_motion_file,
    with_recognised_hands,
)
from soke.parts import FRAME_SIZE, PARAMETERS
from soke.unpickling import safe_load_pickle

_DIGITS = re.compile(r"(\d+)")
#: What fitting tools put behind the frame number; its 3 is not part of any number.
_MARK = "_3D"
#: Endings of files that hold a whole clip, and of those that hold one frame.
_CLIP_SUFFIXES = (".pkl", ".npz", ".npy", LMDB_SUFFIX)
_FRAME_SUFFIXES = (".pkl", ".npz")


def is_pose_file(path: Path) -> bool:
    """Whether a path names a file with a whole clip, not a folder of frames."""
    return path.suffix.lower() in _CLIP_SUFFIXES


def is_pose_name(name: str) -> bool:
    """Whether a directory entry is a pose file (and not, say, a ``._x.pkl`` left by macOS)."""
    return name.endswith(_FRAME_SUFFIXES) and not name.startswith(".")


def frame_files(folder: str | Path) -> list[tuple[int, Path]]:
    """List the frame files of a clip as (frame number, path), in the order of the frames.

    The number is the last run of digits behind the folder's own name (``{clip}_{number}_3D.pkl``,
    ``images0012.pkl``, ``000012.pkl``). Numbers may start anywhere and have gaps, which show in
    the result. Where a name has no number or two share one, files are sorted naturally (digits by
    value) and numbered by position. Raises ``FileNotFoundError`` if there is no such folder.
    """
    folder = Path(folder)
    names = [entry.name for entry in os.scandir(folder) if is_pose_name(entry.name)]
    numbers = [_frame_number(name, folder.name) for name in names]
    if None in numbers or len(set(numbers)) < len(numbers):
        names = sorted(names, key=_natural_key)
        return [(i, folder / name) for i, name in enumerate(names)]
    return [(number, folder / name) for number, name in sorted(zip(numbers, names))]


def read_poses(path: Path, hands: Hands | None = None) -> Motion:
    """The motion of a file with a whole clip, or of a folder of frame files."""
    if path.is_dir() and not is_pose_file(path):
        files = [file for _, file in frame_files(path)]
        if not files:
            raise ValueError(f"{path} has no frame files ({', '.join(_FRAME_SUFFIXES)})")
        return read_frames(files, hands)
    return read_motion_file(path, hands)


def read_frames(paths: Sequence[str | Path], hands: Hands | None = None) -> Motion:
    """Read frame files, one after another, into a motion ``[T, 179]``.

    ``hands`` says how hand poses are read where the files' form leaves it open.

    Raises ``ValueError`` that names the file and the key for a missing key, a wrong size or a
    value that is not a finite number, and when there are no paths.
    """
    if not paths:
        raise ValueError("a clip needs at least one frame file (.pkl or .npz), got none")
    # A single frame cannot tell how its hands are meant; the whole clip does, below.
    undecided = hands is not None and hands.convention == "auto"
    reading = replace(hands, convention="relative") if undecided else hands
    frames = np.empty((len(paths), FRAME_SIZE), dtype=np.float32)
    motion = Motion(frames, form="released poses", hands="relative", reason=AS_CONFIGURED)
    for row, path in zip(frames, map(Path, paths)):
        content = safe_load_pickle(path) if path.suffix == ".pkl" else load_content(path)
        if (reading is None or reading.convention == "relative") and _fill(row, content):
            continue
        motion = motion_from_content(path, content, reading)
        if len(motion.frames) > 1:
            raise ValueError(f"{path} has {len(motion.frames)} frames; a frame file has one")
        row[:] = motion.frames[0]
    motion = replace(motion, frames=frames)
    if undecided and motion.reason == AS_CONFIGURED:
        return with_recognised_hands(motion, hands)
    return motion


def _fill(row: np.ndarray, content: object) -> bool:
    """Put the seven arrays of a released frame side by side; False if it is anything else.

    The general reader takes ten times as long, and a data set has millions of frames.
    """
    if not isinstance(content, dict):
        return False
    columns = [content.get(key) for key, _ in PARAMETERS]
    for value, (_, size) in zip(columns, PARAMETERS):
        if type(value) is not np.ndarray or value.shape != (size,) or value.dtype.kind != "f":
            return False
    with np.errstate(over="ignore"):
        np.concatenate(columns, out=row, casting="unsafe")
    return bool(np.isfinite(row).all())


def _frame_number(name: str, clip: str) -> int | None:
    # The clip's name goes first: it has digits of its own and may end in them.
    stem = name[:-4].removesuffix(_MARK).removeprefix(f"{clip}_")
    digits = _DIGITS.findall(stem)
    return int(digits[-1]) if digits else None


def _natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    # With the group in the pattern, odd places of the split are digits: order those by value.
    pieces = _DIGITS.split(name)
    return [(int(piece), "") if i % 2 else (0, piece) for i, piece in enumerate(pieces)], name
