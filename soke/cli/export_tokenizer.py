"""Write a trained tokenizer in another format.

    soke export tokenizer --checkpoint experiments/deto/checkpoints/best.ckpt \\
        --out tokenizer.ckpt

``.ckpt`` takes the keys of the published checkpoints (default part table, one codebook a part),
with the statistics beside the weights; ``.safetensors`` holds any tokenizer with all of its state.
`soke.load_tokenizer` reads both. ``--mean`` and ``--std`` give a published checkpoint, which has
none, the statistics it was trained with.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import torch

from soke.checkpoints import read_torch
from soke.files import require
from soke.tokenizer import PartTokenizer, load_tokenizer, save_published, save_safetensors

log = logging.getLogger(__name__)

WRITERS: dict[str, Callable[[PartTokenizer, Path], None]] = {
    ".ckpt": save_published,
    ".safetensors": save_safetensors,
}


def export(
    checkpoint: str | Path,
    out: str | Path,
    mean: torch.Tensor | None = None,
    std: torch.Tensor | None = None,
) -> None:
    """Write the tokenizer of ``checkpoint`` to ``out``, in the format of its suffix.

    Raises ``ValueError`` when the suffix is unknown, when ``out`` exists (it is left alone) and
    when the format cannot hold the tokenizer.
    """
    out = Path(out)
    if out.suffix not in WRITERS:
        raise ValueError(f"--out is {out}; its suffix must be one of {sorted(WRITERS)}")
    if out.exists():
        raise ValueError(f"{out} exists; remove it or name another file with --out")
    tokenizer = load_tokenizer(checkpoint, mean, std)
    WRITERS[out.suffix](tokenizer, out)
    codes = {part.name: part.codebook_size for part in tokenizer.parts}
    log.info("%s: the tokenizer of %s, codes %s", out, checkpoint, codes)


def statistic(path: str | None) -> torch.Tensor | None:
    """A tensor from ``mean.pt`` or ``std.pt``."""
    if path is None:
        return None
    found = require(path, "The statistics", "Correct --mean and --std")
    return read_torch(found)
