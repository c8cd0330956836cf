"""Logging, seeds, threads, devices and the run directory."""

from __future__ import annotations

import logging
from pathlib import Path

import lightning as L
import torch
from omegaconf import DictConfig


def prepare_process(config: DictConfig) -> None:
    """Logging, seeds and threads."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    L.seed_everything(config.SEED_VALUE, workers=True, verbose=False)
    if config.NUM_THREADS is not None:
        torch.set_num_threads(config.NUM_THREADS)


def run_directory(config: DictConfig) -> Path:
    return Path(config.TRAIN.RESUME or f"{config.OUTPUT.EXPERIMENTS}/{config.NAME}")


def device(config: DictConfig) -> torch.device:
    """Where a verb other than training computes: the first configured GPU, or the CPU.

    Raises ``ValueError`` when a GPU is asked for and there is none.
    """
    if config.ACCELERATOR == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        if config.ACCELERATOR != "auto":
            raise ValueError(
                f"ACCELERATOR is {config.ACCELERATOR!r} but torch finds no GPU: install the driver "
                "and a CUDA build of torch (requirements.txt), or set ACCELERATOR=cpu"
            )
        return torch.device("cpu")
    first = 0 if isinstance(config.DEVICE, int) else config.DEVICE[0]
    return torch.device("cuda", first)


def check_new_run(config: DictConfig) -> None:
    """Refuse to train over an existing run; a debug run may be written over.

    Raises ``ValueError`` that says how to continue or where to write instead.
    """
    run = run_directory(config)
    if (run / "checkpoints").exists() and not config.TRAIN.RESUME and not config.DEBUG:
        raise ValueError(
            f"{run} holds a run already. TRAIN.RESUME={run} goes on with it; NAME=... starts "
            "another beside it; or remove the folder"
        )


def accelerator(config: DictConfig) -> tuple[str, int | list[int]]:
    """What Lightning calls accelerator and devices. On a CPU devices are a number of processes."""
    devices = config.DEVICE if isinstance(config.DEVICE, int) else list(config.DEVICE)
    if device(config).type != "cpu":
        return config.ACCELERATOR, devices
    return "cpu", devices if isinstance(devices, int) else len(devices)


def processes(config: DictConfig) -> L.Fabric:
    """The processes that share a verb other than training, started as those of training are."""
    kind, devices = accelerator(config)
    fabric = L.Fabric(accelerator=kind, devices=devices, num_nodes=config.NUM_NODES)
    fabric.launch()
    if not fabric.is_global_zero:  # one process says what all of them do
        logging.getLogger().setLevel(logging.WARNING)
    return fabric
