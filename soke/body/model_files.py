"""Find and read the body model's file.

The licensed model is used if the user has installed it, otherwise the free stand-in that ships with
the package (same file format, see assets/NOTICE). Only arrays are unpickled.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from soke.unpickling import safe_load_pickle

STAND_IN = Path(__file__).parent / "assets" / "smplx" / "SMPLX_NEUTRAL.npz"


def locate_body_model(folder: str | Path = "deps/smpl_models") -> Path:
    """The licensed model under ``folder`` (``smplx/SMPLX_NEUTRAL.npz`` or ``.pkl``).

    Without one, the stand-in that ships with the package.
    """
    for name in ("SMPLX_NEUTRAL.npz", "SMPLX_NEUTRAL.pkl"):
        path = Path(folder) / "smplx" / name
        if path.exists():
            return path
    return STAND_IN


def body_name(path: Path) -> str:
    """The name of a body model in scores and pictures."""
    return "stand-in body (not SMPL-X)" if path == STAND_IN else f"SMPL-X neutral ({path.name})"


@lru_cache
def relaxed_hands(path: Path) -> tuple[float, ...]:
    """The relaxed hands of a model file, left then right: 90 axis-angle values in radians."""
    keys = ("hands_meanl", "hands_meanr")
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            hands = [file[key] for key in keys]
    else:
        arrays = read_body_arrays(path)
        hands = [arrays[key] for key in keys]
    return tuple(np.concatenate(hands).ravel().tolist())


def read_body_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a model file by name. Nothing in the file is executed."""
    if path.suffix == ".pkl":
        content = safe_load_pickle(path)
        if not isinstance(content, dict):
            raise ValueError(f"{path} is not a body model: it holds no arrays by name")
        return {key: value for key, value in content.items() if isinstance(value, np.ndarray)}
    arrays = {}
    with np.load(path, allow_pickle=False) as file:
        for key in file.files:
            try:
                arrays[key] = file[key]
            except ValueError:  # an object array: the licensed file has some that are not needed
                continue
    return arrays
