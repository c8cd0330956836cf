"""The body model's files: which one is used, and how it is read.

The licensed model is used where the user has put it, else the free stand-in that ships with the
package (same file format, see assets/NOTICE). Nothing but arrays is unpickled.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from soke.unpickling import safe_load_pickle

STAND_IN = Path(__file__).parent / "assets" / "smplx" / "SMPLX_NEUTRAL.npz"


def locate_body_model(folder: str | Path = "deps/smpl_models") -> Path:
    """The licensed model under ``folder`` (``smplx/SMPLX_NEUTRAL.npz`` or ``.pkl``), if it is
    there, else the stand-in that ships with the package."""
    for name in ("SMPLX_NEUTRAL.npz", "SMPLX_NEUTRAL.pkl"):
        path = Path(folder) / "smplx" / name
        if path.exists():
            return path
    return STAND_IN


def body_name(path: Path) -> str:
    """What a score or picture says about its body."""
    return "stand-in body (not SMPL-X)" if path == STAND_IN else f"SMPL-X neutral ({path.name})"


@lru_cache
def relaxed_hands(path: Path) -> tuple[float, ...]:
    """The relaxed hands of a model file, left and right: 90 numbers (axis-angles in radians)."""
    keys = ("hands_meanl", "hands_meanr")
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            hands = [file[key] for key in keys]
    else:
        arrays = read_body_arrays(path)
        hands = [arrays[key] for key in keys]
    return tuple(np.concatenate(hands).ravel().tolist())


def read_body_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a model file, without executing anything in it."""
    if path.suffix == ".pkl":
        content = safe_load_pickle(path)
        return {key: value for key, value in content.items() if isinstance(value, np.ndarray)}
    arrays = {}
    with np.load(path, allow_pickle=False) as file:
        for key in file.files:
            try:
                arrays[key] = file[key]
            except ValueError:  # an object array: the licensed file carries some that nobody needs
                continue
    return arrays
