"""Where a run keeps its checkpoints, and what they say about themselves."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import nn

from soke.files import MissingAssetError, require

log = logging.getLogger(__name__)

LAST, BEST = "last.ckpt", "best.ckpt"


def checkpoint_folder(run: str | Path) -> Path:
    return Path(run) / "checkpoints"


def last_checkpoint(run: str | Path) -> Path:
    """The checkpoint that ``TRAIN.RESUME=run`` goes on from."""
    return require(
        checkpoint_folder(run) / LAST,
        "The checkpoint to resume from",
        "TRAIN.RESUME names a run directory such as experiments/deto",
    )


def choose_checkpoint(named: str, run: str | Path) -> Path:
    """``TEST.CHECKPOINTS`` if given, else the run's best, else its last checkpoint."""
    if named:
        return require(named, "The checkpoint", "Correct TEST.CHECKPOINTS")
    for name in (BEST, LAST):
        if (checkpoint_folder(run) / name).exists():
            return checkpoint_folder(run) / name
    raise MissingAssetError(
        "A trained checkpoint",
        checkpoint_folder(run) / BEST,
        "Train with `python -m train` and the same configuration, or set TEST.CHECKPOINTS",
    )


def load_weights(module: nn.Module, path: str | Path, prefix: str) -> None:
    """Fill ``module`` strictly with the tensors of a checkpoint whose keys start with ``prefix``.

    Raises `soke.files.MissingAssetError` or a ``ValueError`` that names what does not fit.
    """
    path = require(path, "The checkpoint", "Correct the configured path")
    content = torch.load(path, map_location="cpu", weights_only=True)
    state = {
        key.removeprefix(f"{prefix}."): value
        for key, value in content["state_dict"].items()
        if key.startswith(f"{prefix}.")
    }
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the configured {prefix}: {error}") from None
    log.info("loaded the %s from %s", prefix, path)
