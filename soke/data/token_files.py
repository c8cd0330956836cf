"""Token files, ``CODE_PATH/{corpus}/{clip}.npy``, integers [1, S, P], and how often codes occur."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import entr

from soke.files import atomic_path, require
from soke.parts import PartTable


def token_path(folder: str | Path, corpus: str, name: str) -> Path:
    return Path(folder) / corpus / f"{name}.npy"


def token_files(folder: str | Path, corpus: str) -> list[Path]:
    """All token files of a corpus, sorted."""
    return [
        path
        for path in sorted((Path(folder) / corpus).rglob("*.npy"))
        if not path.name.startswith(".")  # a file that was being written when its writer stopped
    ]


MANIFEST = "manifest.json"
#: What helps where tokens and part table do not go together.
_REMEDY = (
    "If another part table made it, correct PARTS or name the folder of the right tokens with "
    "DATASET.CODE_PATH=...; `python -m get_motion_code` writes a file that was removed anew"
)


def check_folder(folder: str | Path, tokenizer: str, parts: PartTable) -> bool:
    """Whether the folder says that its tokens come from the tokenizer with this checksum.

    False where it says nothing (published tokens). Raises ``ValueError`` where they come from
    another tokenizer or another part table: tokens of two must not mix, nor be decoded by the
    wrong one.
    """
    path = Path(folder) / MANIFEST
    if not path.exists():
        return False
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        other = manifest["tokenizer"]
        rows = manifest.get("parts")
        same_parts = rows is None or PartTable.from_rows(rows).same_codes(parts)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} cannot be understood: {error}") from None
    remedy = (
        "Remove the folder and run `python -m get_motion_code` again, or write elsewhere with "
        "DATASET.CODE_PATH=..."
    )
    if other != tokenizer:
        raise ValueError(
            f"{folder} holds tokens of another tokenizer (checksum {other[:12]}, not "
            f"{tokenizer[:12]}). {remedy}"
        )
    if not same_parts:
        raise ValueError(f"{folder} holds tokens of another part table: {rows}. {remedy}")
    return True


def claim_folder(
    folder: str | Path,
    tokenizer: str,
    parts: PartTable,
    about: Mapping[str, object] | None = None,
) -> None:
    """Note which tokenizer (its checksum and parts) the folder's tokens come from, and ``about``.

    Raises ``ValueError`` when tokens of another, or of an unknown, tokenizer are there.
    """
    if check_folder(folder, tokenizer, parts):
        return
    if any(Path(folder).rglob("*.npy")):
        raise ValueError(
            f"{folder} holds tokens of an unknown tokenizer (it has no {MANIFEST}); write "
            "elsewhere with DATASET.CODE_PATH=..."
        )
    manifest = {"tokenizer": tokenizer, "parts": parts.to_rows(), **(about or {})}
    with atomic_path(Path(folder) / MANIFEST) as temporary:
        temporary.write_text(json.dumps(manifest, indent=1), encoding="utf-8")


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
            f"{parts.names}. {_REMEDY}"
        )
    for part, column in zip(parts, tokens[0].T):
        if column.size and not 0 <= column.min() <= column.max() < part.codebook_size:
            raise ValueError(
                f"{path}: codes of part {part.name!r} run from {column.min()} to {column.max()}; "
                f"its codebook has {part.codebook_size}. {_REMEDY}"
            )
    return tokens[0]


@dataclass(frozen=True)
class CodeUsage:
    """How often each code occurs: ``counts`` [K] over the steps of ``clips`` clips."""

    counts: np.ndarray
    clips: int

    @property
    def share(self) -> np.ndarray:
        """Relative frequencies [K], which sum to 1."""
        return self.counts / self.counts.sum()

    @property
    def in_use(self) -> int:
        return int(np.count_nonzero(self.counts))

    @property
    def perplexity(self) -> float:
        """exp(entropy) of the counts: so many equally frequent codes would be as hard to guess."""
        return float(np.exp(entr(self.share).sum()))

    @property
    def order(self) -> list[int]:
        """Codes by falling frequency, by number where it is the same; unused ones come last."""
        return np.argsort(-self.counts, kind="stable").tolist()


def count_codes(paths: Iterable[Path], parts: PartTable) -> list[CodeUsage]:
    """How often each code occurs in some token files, a `CodeUsage` a part.

    The list is empty where there are no files, or no steps in them. Raises like `read_tokens`.
    """
    counts = [np.zeros(part.codebook_size, np.int64) for part in parts]
    clips = 0
    for path in paths:
        for total, codes in zip(counts, read_tokens(path, parts).T):
            total += np.bincount(codes, minlength=len(total))
        clips += 1
    return [CodeUsage(total, clips) for total in counts] if counts[0].any() else []
