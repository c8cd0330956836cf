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


def last_checkpoint(run: str | Path, end_epoch: int) -> tuple[Path, int]:
    """The checkpoint that ``TRAIN.RESUME=run`` goes on from, and how many epochs it has behind it.

    Raises `soke.files.MissingAssetError` without one, ``ValueError`` when it is past ``end_epoch``.
    """
    path = require(
        checkpoint_folder(run) / LAST,
        "The checkpoint to resume from",
        "TRAIN.RESUME names a run directory such as experiments/deto",
    )
    epochs = int(torch.load(path, map_location="cpu", weights_only=True)["epoch"]) + 1
    if epochs > end_epoch:
        raise ValueError(
            f"{path} has {epochs} epochs behind it, TRAIN.END_EPOCH is {end_epoch}: raise it to "
            "go on"
        )
    return path, epochs


def check_tokenizer(path: str | Path, code: str) -> None:
    """Refuse a generator that was trained on the tokens of another tokenizer (by checksum)."""
    path = require(path, "The generator's checkpoint", "Correct TEST.CHECKPOINTS")
    content = torch.load(path, map_location="cpu", weights_only=True)
    own = content.get("soke", {}).get("tokenizer_sha256")
    if own is not None and own != code:
        raise ValueError(
            f"{path} was trained on the tokens of another tokenizer (checksum {own[:12]}) than "
            f"TRAIN.PRETRAINED_VAE ({code[:12]})"
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
