"""The Lightning trainer of a run."""

from __future__ import annotations

from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.strategies import DDPStrategy, Strategy
from torch import nn

from soke.assemble.process import lightning_devices, pick_device
from soke.assemble.run import Run
from soke.data.loader import SignDataModule
from soke.generator import Generator, SignToText
from soke.tokenizer import PartTokenizer
from soke.training.base_module import TrainingModule
from soke.training.callbacks import (
    EpochSeed,
    RenderSample,
    SaveBadBatch,
    checkpoint_callbacks,
)
from soke.training.run_checkpoints import AtomicCheckpointIO
from soke.training.sharding import GatherForValidation, ShardedStrategy
from soke.training.start_report import StartReport
from soke.training.throughput import Throughput


def build_loggers(run: Run, folder: Path) -> list[Logger]:
    """Where the run's figures go. Raises ``ValueError`` for a package that is not installed."""
    loggers: list[Logger] = []
    for kind in run.LOGGER.TYPE:
        if kind == "tensorboard":
            loggers.append(TensorBoardLogger(folder, name="", version="logs"))
        else:
            try:
                loggers.append(WandbLogger(run.NAME, save_dir=folder))
            except ImportError as error:
                raise ValueError(f"LOGGER.TYPE names wandb: pip install wandb ({error})") from None
    return loggers


def pick_strategy(run: Run, network: nn.Module) -> Strategy | str:
    """How processes share the work. Raises ``ValueError`` where they cannot do so."""
    _, devices = lightning_devices(run)
    processes = (devices if isinstance(devices, int) else len(devices)) * run.NUM_NODES
    name = run.TRAIN.STRATEGY
    if name == "fsdp":
        if not isinstance(network, Generator):
            raise ValueError(
                "TRAIN.STRATEGY=fsdp is for the generator; the tokenizer is small, and its "
                "codebooks are kept on every GPU: use ddp"
            )
        if pick_device(run).type == "cpu":
            raise ValueError(
                "TRAIN.STRATEGY=fsdp needs GPUs and torch finds none (or ACCELERATOR is cpu): use "
                "ddp, and TRAIN.CHECKPOINT_ACTIVATIONS to save memory"
            )
        return ShardedStrategy({type(layer) for layer in network.layers})
    if name == "auto" and processes == 1:
        return "auto"
    # No buffer is broadcast: those of the tokenizer are the same on all ranks, and in evaluation
    # ranks may have different numbers of batches. Gradients are not kept twice.
    return DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True)


def switch_on(run: Run, network: nn.Module) -> None:
    """What the configuration switches on in the network.

    Raises ``ValueError`` where the network cannot do it.
    """
    if run.TRAIN.CHECKPOINT_ACTIVATIONS:
        if not isinstance(network, Generator):
            raise ValueError(
                "TRAIN.CHECKPOINT_ACTIVATIONS is for the generator; the tokenizer needs less "
                "memory with a smaller TRAIN.BATCH_SIZE"
            )
        network.checkpoint_activations()
    if run.TRAIN.COMPILE:
        assert isinstance(network, (PartTokenizer, Generator, SignToText))
        network.compile_networks()


def build_trainer(run: Run, module: TrainingModule, data: SignDataModule) -> L.Trainer:
    """A Lightning trainer for a run: checkpoints, logs, a progress bar, a rendered sample.

    It also switches on what the configuration says of compiling and of activations. Raises
    ``ValueError`` for a strategy or switch that the stage or the machine cannot have.
    """
    folder = run.folder
    every = min(run.LOGGER.VAL_EVERY_STEPS, run.TRAIN.END_EPOCH)
    monitor = run.TRAIN.MONITOR or module.monitor
    kind, devices = lightning_devices(run)
    shared_by = pick_strategy(run, module.network)
    switch_on(run, module.network)
    steps = len(data.train_dataloader()) // run.TRAIN.ACCUMULATE
    return L.Trainer(
        default_root_dir=folder,
        accelerator=kind,
        devices=devices,
        num_nodes=run.NUM_NODES,
        strategy=shared_by,
        use_distributed_sampler=False,  # our samplers share clips among ranks
        plugins=[AtomicCheckpointIO()],
        precision=run.PRECISION,
        max_epochs=run.TRAIN.END_EPOCH,
        check_val_every_n_epoch=every,
        gradient_clip_val=run.TRAIN.GRADIENT_CLIP,
        accumulate_grad_batches=run.TRAIN.ACCUMULATE,
        log_every_n_steps=max(1, min(10, steps)),
        num_sanity_val_steps=0,
        enable_model_summary=False,  # the report says it
        logger=build_loggers(run, folder),
        callbacks=[
            StartReport(),
            EpochSeed(run.SEED_VALUE),
            GatherForValidation(),
            *checkpoint_callbacks(folder, f"val/{monitor}", monitor in module.higher_is_better),
            *([L.pytorch.callbacks.LearningRateMonitor("step")] if run.LOGGER.TYPE else []),
            Throughput(),
            SaveBadBatch(folder),
            *([RenderSample(module.body, run.RENDER.FONT)] if module.has_body else []),
        ],
    )
