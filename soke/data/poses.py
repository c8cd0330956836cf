"""Reading pose files: one pickle a frame (release 1) or one file a clip (pickle, .npz, .npy)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from soke.parts import FRAME_SIZE, PARAMETERS
from soke.unpickling import safe_load_pickle

_DIGITS = re.compile(r"(\d+)")
#: What fitting tools put behind the frame number; its 3 is not part of any number.
_MARK = "_3D"


#: Endings of files that hold a whole clip.
_CLIP_SUFFIXES = (".pkl", ".npz", ".npy")
#: Parameters that are not modelled: a file of one's own may leave them out.
_OPTIONAL = ("smplx_root_pose", "smplx_shape")
#: What the smplx library calls the parameters.
_LIBRARY_NAMES = {
    "global_orient": "smplx_root_pose",
    "body_pose": "smplx_body_pose",
    "left_hand_pose": "smplx_lhand_pose",
    "right_hand_pose": "smplx_rhand_pose",
    "jaw_pose": "smplx_jaw_pose",
    "betas": "smplx_shape",
    "expression": "smplx_expr",
}


def is_pose_file(path: Path) -> bool:
    """Whether a path names a file with a whole clip, not a folder of frame pickles."""
    return path.suffix in _CLIP_SUFFIXES


def is_pose_name(name: str) -> bool:
    """Whether a directory entry is a pose file (and not, say, a ``._x.pkl`` left by macOS)."""
    return name.endswith(".pkl") and not name.startswith(".")


def frame_files(folder: str | Path) -> list[tuple[int, Path]]:
    """List the frame pickles of a clip as (frame number, path), in the order of the frames.

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


def read_frames(paths: Sequence[str | Path]) -> np.ndarray:
    """Read frame pickles into an array ``[T, 179]``, float32, columns as `soke.parts.PARAMETERS`.

    Raises ``ValueError`` that names the file and the key for a missing key, a wrong size or a
    value that is not a finite number, and when there are no paths.
    """
    if not paths:
        raise ValueError("a clip needs at least one frame file, got none")
    frames = np.empty((len(paths), FRAME_SIZE), dtype=np.float32)
    with np.errstate(over="ignore"):  # what float32 cannot hold is reported below
        for row, path in zip(frames, paths):
            np.concatenate(_columns(path, ndim=1), out=row, casting="unsafe")
    _check_finite(frames, paths)
    return frames


def read_clip_file(path: str | Path) -> np.ndarray:
    """Read a clip pickle (the seven keys, each ``[T, size]``) into ``[T, 179]``, float32.

    Raises ``ValueError`` that names the file and the key, like `read_frames`.
    """
    return _join(path, _columns(path, ndim=2))


def read_pose_file(path: str | Path) -> np.ndarray:
    """Read a file with a whole clip into ``[T, 179]``, float32, by its ending.

    ``.pkl``: see `read_clip_file`. ``.npz``: the same seven keys, or the names that the smplx
    library gives them (``global_orient``, ``body_pose``, ``left_hand_pose``, ``right_hand_pose``,
    ``jaw_pose``, ``betas``, ``expression``), each ``[T, size]``, or ``[size]`` where a value holds
    for the whole clip; root and shape, which are not modelled, may be left out. ``.npy``: one array
    ``[T, 179]``. Poses are axis-angles in radians.

    Raises ``ValueError`` that names the file and the key, like `read_frames`.
    """
    path = Path(path)
    if path.suffix == ".pkl":
        return read_clip_file(path)
    try:
        with path.open("rb") as file:
            if path.suffix == ".npy":
                content = np.lib.format.read_array(file, allow_pickle=False)
            else:
                with np.lib.npyio.NpzFile(file, allow_pickle=False) as arrays:
                    content = {_LIBRARY_NAMES.get(key, key): arrays[key] for key in arrays.files}
    except Exception as error:
        # A damaged file can raise almost anything from inside its reader.
        raise ValueError(
            f"{path} cannot be read as {path.suffix} ({type(error).__name__}: {error})"
        ) from error
    if path.suffix == ".npz":
        return _join(path, _spread(path, content))
    if content.dtype.kind not in "fiu" or content.ndim != 2 or content.shape[1] != FRAME_SIZE:
        raise ValueError(
            f"{path} holds {content.dtype} of shape {list(content.shape)}, not numbers "
            f"[T, {FRAME_SIZE}]"
        )
    return _join(path, [content])


def _spread(path: Path, content: Mapping[str, object]) -> list[np.ndarray]:
    """The seven arrays ``[T, size]`` of an .npz, where single values hold for every frame."""
    sizes = dict(PARAMETERS)
    known = [value for key, value in content.items() if key in sizes]
    length = max((len(value) for value in known if np.ndim(value) == 2), default=0)
    absent = {key: np.zeros((length, sizes[key]), np.float32) for key in _OPTIONAL}
    spread = {
        key: np.broadcast_to(value, (length, sizes[key]))
        for key, value in content.items()
        if key in sizes and np.shape(value) == (sizes[key],)
    }
    present = absent | dict(content) | spread
    return [_checked(path, present, key, size, ndim=2) for key, size in PARAMETERS]


def _join(path: str | Path, columns: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays ``[T, size]`` side by side, float32, checked for their lengths and for finiteness."""
    lengths = [len(column) for column in columns]
    if len(set(lengths)) != 1 or not lengths[0]:
        found = dict(zip((key for key, _ in PARAMETERS), lengths)) if len(lengths) > 1 else 0
        raise ValueError(f"{path}: the keys need one number of frames above 0, found {found}")
    with np.errstate(over="ignore"):  # what float32 cannot hold is reported below
        frames = np.concatenate(columns, axis=1, dtype=np.float32, casting="unsafe")
    _check_finite(frames, [path])
    return frames


def _columns(path: str | Path, ndim: int) -> list[np.ndarray]:
    """The seven arrays of one file, ``[size]`` or ``[T, size]``, checked but for finiteness."""
    content = safe_load_pickle(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a dict of pose arrays, found {type(content).__name__}")
    return [_checked(path, content, key, size, ndim) for key, size in PARAMETERS]


def _checked(
    path: str | Path, content: Mapping[str, object], key: str, size: int, ndim: int
) -> np.ndarray:
    """One array of a file, ``[size]`` or ``[T, size]``."""
    if key not in content:
        raise ValueError(f"{path}: the key {key!r} is missing; there are {sorted(content)}")
    value = content[key]
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        kind = getattr(value, "dtype", type(value).__name__)
        raise ValueError(f"{path}: {key!r} has to be an array of numbers, found {kind}")
    if value.ndim != ndim or value.shape[-1] != size:
        expected = f"[{size}]" if ndim == 1 else f"[T, {size}]"
        raise ValueError(f"{path}: {key!r} has shape {list(value.shape)}, not {expected}")
    return value


def _check_finite(frames: np.ndarray, paths: Sequence[str | Path]) -> None:
    """Look for NaN and infinity in ``[T, 179]`` that came from one file a frame, or from one."""
    if np.isfinite(frames).all():
        return
    row, column = np.argwhere(~np.isfinite(frames))[0]
    path = paths[row] if len(paths) > 1 else paths[0]
    ends = np.cumsum([size for _, size in PARAMETERS])
    key = PARAMETERS[int(np.searchsorted(ends, column, side="right"))][0]
    raise ValueError(
        f"{path}: {key!r} holds {frames[row, column]} in frame {row} of the clip; poses have to be "
        "finite numbers"
    )


def _frame_number(name: str, clip: str) -> int | None:
    # The clip's name goes first: it has digits of its own and may end in them.
    stem = name.removesuffix(".pkl").removesuffix(_MARK).removeprefix(f"{clip}_")
    digits = _DIGITS.findall(stem)
    return int(digits[-1]) if digits else None


def _natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    # With the group in the pattern, odd places of the split are digits: order those by value.
    pieces = _DIGITS.split(name)
    return [(int(piece), "") if i % 2 else (0, piece) for i, piece in enumerate(pieces)], name
