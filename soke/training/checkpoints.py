"""Where a run keeps its checkpoints, and what they say about themselves."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import nn

from soke.files import MissingAssetError, atomic_path, require
from soke.generator.released_generator import is_published, load_published, read_checkpoint

log = logging.getLogger(__name__)

LAST, BEST = "last.ckpt", "best.ckpt"


def checkpoint_folder(run: str | Path) -> Path:
    return Path(run) / "checkpoints"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it, so that a killed run leaves no half.

    Lightning's own way moves it from the system's temporary folder, which is a copy, and can be cut
    short, where that is on another disk.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        # An open file, since torch writes the name of one that it opens itself into it.
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            torch.save(checkpoint, file)


def last_checkpoint(run: str | Path, end_epoch: int) -> tuple[Path, int]:
    """The checkpoint that ``TRAIN.RESUME=run`` goes on from, and how many epochs it has behind it.

    That is the last one or, should it be damaged, the best one. Raises
    `soke.files.MissingAssetError` without one, ``ValueError`` when none can be read or it is past
    ``end_epoch``.
    """
    require(
        checkpoint_folder(run) / LAST,
        "The checkpoint to resume from",
        "TRAIN.RESUME names a run directory such as experiments/deto",
    )
    for name in (LAST, BEST):
        path = checkpoint_folder(run) / name
        try:
            epochs = int(torch.load(path, map_location="cpu", weights_only=True)["epoch"]) + 1
        except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
            log.warning("%s cannot be read (%s)", path, error)
            continue
        if epochs > end_epoch:
            raise ValueError(
                f"{path} has {epochs} epochs behind it, TRAIN.END_EPOCH is {end_epoch}: raise it "
                "to go on"
            )
        log.info("going on from %s, after epoch %d of %d", path, epochs, end_epoch)
        return path, epochs
    raise ValueError(f"no checkpoint of {run} can be read; train again under another NAME")


def check_tokenizer(path: str | Path, code: str) -> None:
    """Refuse a generator that was trained on the tokens of another tokenizer (by checksum)."""
    path = require(path, "The generator's checkpoint", "Correct TEST.CHECKPOINTS")
    about = read_checkpoint(path).get("soke", {})
    own = about.get("tokenizer_sha256")
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
    state = read_checkpoint(path).get("state_dict", {})
    if prefix == "generator" and is_published(state):
        load_published(module, state, path)
        return
    found = sorted({key.partition(".")[0] for key in state})
    if found and prefix not in found:
        raise ValueError(f"{path} has no weights of a {prefix}, but of: {', '.join(found)}")
    state = {
        key.removeprefix(f"{prefix}."): value
        for key, value in state.items()
        if key.startswith(f"{prefix}.")
    }
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the configured {prefix}: {error}") from None
    log.info("loaded the %s from %s", prefix, path)
