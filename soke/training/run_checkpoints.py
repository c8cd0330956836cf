"""Where a run keeps its checkpoints, and what they say about themselves."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import nn

from soke.checkpoints import read_checkpoint, read_torch, select, write_torch
from soke.files import MissingAssetError, require
from soke.generator.released_generator import is_published, load_published

log = logging.getLogger(__name__)

LAST = "last.ckpt"
BEST = "best.ckpt"


def checkpoint_folder(run: str | Path) -> Path:
    return Path(run) / "checkpoints"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it, so a killed run leaves no half file.

    Lightning moves it from the system's temporary folder instead; where that is on another disk,
    the move is a copy and can be cut short.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        write_torch(checkpoint, path)


def last_checkpoint(run: str | Path, end_epoch: int) -> tuple[Path, int]:
    """The checkpoint that ``TRAIN.RESUME=run`` continues from, and its number of finished epochs.

    That is the last one or, if it is damaged, the best one. Raises
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
            epochs = int(read_torch(path)["epoch"]) + 1
        except (ValueError, KeyError, TypeError) as error:
            log.warning("%s is skipped: %s", name, error)
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
    content = read_checkpoint(path, "The generator's checkpoint", "Correct TEST.CHECKPOINTS")
    own = content["soke"].get("tokenizer_sha256")
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
    state = read_checkpoint(path)["state_dict"]
    if prefix == "generator" and is_published(state):
        load_published(module, state, path)
        return
    found = sorted({key.partition(".")[0] for key in state})
    if found and prefix not in found:
        raise ValueError(f"{path} has no weights of a {prefix}, but of: {', '.join(found)}")
    try:
        module.load_state_dict(select(state, f"{prefix}."))
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the configured {prefix}: {error}") from None
    log.info("loaded the %s from %s", prefix, path)
