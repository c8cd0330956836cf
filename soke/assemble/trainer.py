"""The Lightning trainer of a run."""

from __future__ import annotations

from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.strategies import DDPStrategy, Strategy
from omegaconf import DictConfig
from torch import nn

from soke.assemble.process import accelerator, device, run_directory
from soke.data.loader import SignDataModule
from soke.generator import Generator
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


def loggers(config: DictConfig, run: Path) -> list[Logger]:
    """Where the run's figures go. Raises ``ValueError`` for a package that is not installed."""
    loggers: list[Logger] = []
    for kind in config.LOGGER.TYPE:
        if kind == "tensorboard":
            loggers.append(TensorBoardLogger(run, name="", version="logs"))
        else:
            try:
                loggers.append(WandbLogger(config.NAME, save_dir=run))
            except ImportError as error:
                raise ValueError(f"LOGGER.TYPE names wandb: pip install wandb ({error})") from None
    return loggers


def strategy(config: DictConfig, network: nn.Module) -> Strategy | str:
    """How processes share the work. Raises ``ValueError`` where they cannot do so."""
    _, devices = accelerator(config)
    processes = (devices if isinstance(devices, int) else len(devices)) * config.NUM_NODES
    name = config.TRAIN.STRATEGY
    if name == "fsdp":
        if not isinstance(network, Generator):
            raise ValueError(
                "TRAIN.STRATEGY=fsdp is for the generator; the tokenizer is small, and its "
                "codebooks are kept on every GPU: use ddp"
            )
        if device(config).type == "cpu":
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


def switch_on(config: DictConfig, network: nn.Module) -> None:
    """What the configuration switches on in the network.

    Raises ``ValueError`` where the network cannot do it.
    """
    if config.TRAIN.CHECKPOINT_ACTIVATIONS:
        if not isinstance(network, Generator):
            raise ValueError(
                "TRAIN.CHECKPOINT_ACTIVATIONS is for the generator; the tokenizer needs less "
                "memory with a smaller TRAIN.BATCH_SIZE"
            )
        network.checkpoint_activations()
    if config.TRAIN.COMPILE:
        network.compile_networks()


def trainer(config: DictConfig, module: TrainingModule, data: SignDataModule) -> L.Trainer:
    """A Lightning trainer for a run: checkpoints, logs, a progress bar, a rendered sample.

    It also switches on what the configuration says of compiling and of activations. Raises
    ``ValueError`` for a strategy or switch that the stage or the machine cannot have.
    """
    run = run_directory(config)
    every = min(config.LOGGER.VAL_EVERY_STEPS, config.TRAIN.END_EPOCH)
    monitor = config.TRAIN.MONITOR or module.monitor
    kind, devices = accelerator(config)
    shared_by = strategy(config, module.network)
    switch_on(config, module.network)
    steps = len(data.train_dataloader()) // config.TRAIN.ACCUMULATE
    return L.Trainer(
        default_root_dir=run,
        accelerator=kind,
        devices=devices,
        num_nodes=config.NUM_NODES,
        strategy=shared_by,
        use_distributed_sampler=False,  # our samplers share clips among ranks
        plugins=[AtomicCheckpointIO()],
        precision=config.PRECISION,
        max_epochs=config.TRAIN.END_EPOCH,
        check_val_every_n_epoch=every,
        gradient_clip_val=config.TRAIN.GRADIENT_CLIP,
        accumulate_grad_batches=config.TRAIN.ACCUMULATE,
        log_every_n_steps=max(1, min(10, steps)),
        num_sanity_val_steps=0,
        enable_model_summary=False,  # the report says it
        logger=loggers(config, run),
        callbacks=[
            StartReport(),
            EpochSeed(config.SEED_VALUE),
            GatherForValidation(),
            *checkpoint_callbacks(run, f"val/{monitor}", monitor in module.higher_is_better),
            *([L.pytorch.callbacks.LearningRateMonitor("step")] if config.LOGGER.TYPE else []),
            Throughput(),
            SaveBadBatch(run),
            *([RenderSample(module.body, config.RENDER.FONT)] if module.has_body else []),
        ],
    )
