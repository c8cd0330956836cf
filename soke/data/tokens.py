"""Token files: ``CODE_PATH/{corpus}/{clip}.npy``, integers [1, S, P]."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from soke.files import atomic_path, require
from soke.parts import PartTable


def token_path(folder: str | Path, corpus: str, name: str) -> Path:
    return Path(folder) / corpus / f"{name}.npy"


def claim_folder(folder: str | Path, tokenizer: str) -> None:
    """Note in ``folder/manifest.json`` which tokenizer (its checksum) the tokens come from.

    Raises ``ValueError`` when tokens of another tokenizer are there: the two must not mix.
    """
    path = Path(folder) / "manifest.json"
    if path.exists():
        other = json.loads(path.read_text(encoding="utf-8"))["tokenizer"]
        if other != tokenizer:
            raise ValueError(
                f"{folder} holds tokens of another tokenizer (checksum {other[:12]}, not "
                f"{tokenizer[:12]}). Remove the folder, or write elsewhere with "
                "DATASET.CODE_PATH=..."
            )
        return
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({"tokenizer": tokenizer}), encoding="utf-8")


def write_tokens(path: Path, tokens: np.ndarray) -> None:
    """Write tokens [S, P] atomically."""
    with atomic_path(path) as temporary:
        np.save(temporary, tokens[None].astype(np.int64))


def read_tokens(path: Path, parts: PartTable) -> np.ndarray:
    """Read tokens [S, P].

    Raises `soke.files.MissingAssetError` when the file is missing and ``ValueError`` when its
    shape or its codes do not fit the part table.
    """
    path = require(
        path, "A token file", "Run `python -m get_motion_code --cfg ... --nodebug` first"
    )
    tokens = np.load(path, allow_pickle=False)
    if tokens.ndim != 3 or tokens.shape[0] != 1 or tokens.shape[2] != len(parts):
        raise ValueError(
            f"{path} has shape {tokens.shape}; expected [1, steps, {len(parts)}] for the parts "
            f"{parts.names}. Was it made with another part table?"
        )
    for part, column in zip(parts, tokens[0].T):
        if column.size and not 0 <= column.min() <= column.max() < part.codebook_size:
            raise ValueError(
                f"{path}: codes of part {part.name!r} run from {column.min()} to {column.max()}; "
                f"its codebook has {part.codebook_size}"
            )
    return tokens[0]
