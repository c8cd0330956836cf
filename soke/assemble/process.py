"""Logging, seeds, threads, devices and the run directory."""

from __future__ import annotations

import logging
import os
import random
from typing import TYPE_CHECKING

import numpy as np
import torch
from omegaconf import DictConfig

from soke.assemble.run import Run

if TYPE_CHECKING:
    from lightning import Fabric


def open_run(config: DictConfig) -> Run:
    """Start a command: logging, seeds and threads."""
    run = Run(config)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    _seed(run.SEED_VALUE)
    if run.NUM_THREADS is not None:
        torch.set_num_threads(run.NUM_THREADS)
    return run


def _seed(seed: int) -> None:
    """What ``lightning.seed_everything(seed, workers=True)`` does, without the seconds that its
    import takes in commands that need nothing else of Lightning."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - other libraries draw from it
    torch.manual_seed(seed)
    os.environ["PL_GLOBAL_SEED"] = str(seed)
    os.environ["PL_SEED_WORKERS"] = "1"


def pick_device(run: Run) -> torch.device:
    """Where a verb other than training computes: the first configured GPU, or the CPU.

    Raises ``ValueError`` when a GPU is asked for and there is none.
    """
    if run.ACCELERATOR == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        if run.ACCELERATOR != "auto":
            raise ValueError(
                f"ACCELERATOR is {run.ACCELERATOR!r} but torch finds no GPU: install the driver "
                "and a CUDA build of torch (requirements.txt), or set ACCELERATOR=cpu"
            )
        return torch.device("cpu")
    first = 0 if isinstance(run.DEVICE, int) else run.DEVICE[0]
    return torch.device("cuda", first)


def check_new_run(run: Run) -> None:
    """Refuse to train over an existing run; a debug run may be written over.

    Raises ``ValueError`` that says how to continue or where to write instead.
    """
    if (run.folder / "checkpoints").exists() and not run.TRAIN.RESUME and not run.DEBUG:
        raise ValueError(
            f"{run.folder} holds a run already. TRAIN.RESUME={run.folder} continues it; NAME=... "
            "starts another beside it; or remove the folder"
        )


def lightning_devices(run: Run) -> tuple[str, int | list[int]]:
    """What Lightning calls accelerator and devices. On a CPU devices are a number of processes."""
    devices = run.DEVICE if isinstance(run.DEVICE, int) else list(run.DEVICE)
    if pick_device(run).type != "cpu":
        return run.ACCELERATOR, devices
    return "cpu", devices if isinstance(devices, int) else len(devices)


def launch_processes(run: Run) -> Fabric:
    """The processes that share a verb other than training, started as those of training are."""
    from lightning import Fabric

    kind, devices = lightning_devices(run)
    fabric = Fabric(accelerator=kind, devices=devices, num_nodes=run.NUM_NODES)
    fabric.launch()
    if not fabric.is_global_zero:  # one process says what all of them do
        logging.getLogger().setLevel(logging.WARNING)
    return fabric
