"""The configuration itself, and whether its run may be started."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from omegaconf import OmegaConf

from soke import assemble as build
from soke.cli.doctor.rows import Fix, Row, State, examine, found, missing, note, wrong
from soke.cli.doctor.run import Run
from soke.config import check_params, plain
from soke.data.datasets import PoseDataset
from soke.data.layouts import layout_named
from soke.tokenizer import reconstruction_loss
from soke.training.checkpoints import last_checkpoint

_GIGABYTE = 2**30
_LITTLE = 10  # gigabytes: a few checkpoints of the large generator


def configuration(run: Run) -> list[Row]:
    """What can be said of the configuration without looking at a file.

    Nothing else can be checked where a row is `State.WRONG`.
    """
    config = run.config
    fix = Fix(f"Correct it in {run.cfg}, or at the end of the command (KEY=VALUE)")
    checks: list[Callable[[], object]] = [
        lambda: run.parts,
        lambda: [layout_named(corpus.layout) for corpus in run.corpora.values()],
        *(_tokenizer_checks(run) if run.trains_tokenizer else ()),
    ]
    own = "model.tokenizer" if run.trains_tokenizer else "model.generator.decoding"
    nodes = [OmegaConf.select(config, key) for key in ("TRAIN.OPTIM", "TRAIN.LR_SCHEDULER", own)]
    checks += [lambda node=node: check_params(node.target, plain(node.params)) for node in nodes]

    def passes(check: Callable[[], object]) -> Row:
        check()
        return found("configuration", "")

    rows = [examine(lambda check=check: passes(check), "configuration", fix) for check in checks]
    bad = list(dict.fromkeys(row for row in rows if row.state is not State.FOUND))
    if bad:
        return bad
    parts = ", ".join(f"{part.name} {part.codebook_size}" for part in run.parts)
    detail = (
        f"{config.NAME}, stage {config.TRAIN.STAGE}; data sets: {', '.join(run.corpora)}; "
        f"codes: {parts}"
    )
    return [found("configuration", detail + ("; a short trial" if config.DEBUG else ""))]


def _tokenizer_checks(run: Run) -> list[Callable[[], object]]:
    limits, crop = build.length_limits(run.config), run.config.TRAIN.CROP_FRAMES
    some, mask = torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool)
    return [
        lambda: PoseDataset([], limits, torch.zeros(1), torch.ones(1), crop),
        lambda: reconstruction_loss(run.config.LOSS.ABLATION.RECONS_LOSS, some, some, mask),
    ]


def start(run: Run) -> list[Row]:
    """The run directory: new, or one to resume; and where there is room for it."""
    config = run.config
    folder = build.run_directory(config)
    if config.TRAIN.RESUME:
        fix = Fix("Name a run directory that holds checkpoints/last.ckpt, or drop TRAIN.RESUME")
        return [examine(lambda: _resumed(run), "run to resume", fix), _room(folder)]
    try:
        build.check_new_run(config)
    except ValueError:
        fix = Fix(
            "Start another beside it with NAME=..., remove the folder, or go on with it:",
            run.command("train", f"TRAIN.RESUME={folder}"),
        )
        return [wrong("run directory", f"{folder} holds a run already", fix), _room(folder)]
    new = "a trial writes over it" if (folder / "checkpoints").exists() else "new"
    return [found("run directory", f"{folder}, {new}"), _room(folder)]


def _resumed(run: Run) -> Row:
    path, epochs = last_checkpoint(run.config.TRAIN.RESUME, run.config.TRAIN.END_EPOCH)
    return found("run to resume", f"{path}, {epochs} of {run.config.TRAIN.END_EPOCH} epochs done")


def _room(folder: Path) -> Row:
    """Free space where checkpoints are written, and the right to write there."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    fix = Fix("Write elsewhere: OUTPUT.EXPERIMENTS=... TEST.FOLDER=... OUTPUT.VISUALIZE=...")
    if not (there.is_dir() and os.access(there, os.W_OK)):
        return wrong("free disk space", f"{there} cannot be written to", fix)
    free = shutil.disk_usage(there).free / _GIGABYTE
    if free < _LITTLE:
        return note("free disk space", f"{free:.1f} GB for {folder}: little for checkpoints", fix)
    return found("free disk space", f"{free:,.0f} GB for {folder}")


def loggers(run: Run) -> list[Row]:
    """The loggers that LOGGER.TYPE names."""
    return [
        missing(f"logger {name}", f"the package {name} is not installed",
                Fix("Or leave it out of LOGGER.TYPE", f"pip install {name}"))
        for name in run.config.LOGGER.TYPE
        if find_spec(name) is None
    ]  # fmt: skip
