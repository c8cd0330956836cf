"""The Lightning trainer of a run."""

from __future__ import annotations

from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.strategies import DDPStrategy
from omegaconf import DictConfig

from soke.build.process import accelerator, run_directory
from soke.data.module import SignDataModule
from soke.training.callbacks import (
    EpochSeed,
    RenderSample,
    SaveBadBatch,
    checkpoint_callbacks,
)
from soke.training.checkpoints import AtomicCheckpointIO
from soke.training.generator_module import GeneratorModule
from soke.training.tokenizer_module import TokenizerModule


def _loggers(config: DictConfig, run: Path) -> list[Logger]:
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


def trainer(
    config: DictConfig, module: TokenizerModule | GeneratorModule, data: SignDataModule
) -> L.Trainer:
    """A Lightning trainer for a run: checkpoints, logs, a progress bar, a rendered sample."""
    run = run_directory(config)
    every = min(config.LOGGER.VAL_EVERY_STEPS, config.TRAIN.END_EPOCH)
    monitor = f"val/{config.TRAIN.MONITOR or module.monitor}"
    kind, devices = accelerator(config)
    count = devices if isinstance(devices, int) else len(devices)
    several = count * config.NUM_NODES > 1
    return L.Trainer(
        default_root_dir=run,
        accelerator=kind,
        devices=devices,
        num_nodes=config.NUM_NODES,
        # Our samplers share clips among ranks. No buffer is broadcast: those of the tokenizer are
        # the same on all ranks, and in evaluation ranks may have different numbers of batches.
        strategy=DDPStrategy(broadcast_buffers=False) if several else "auto",
        use_distributed_sampler=False,
        plugins=[AtomicCheckpointIO()],
        precision=config.PRECISION,
        max_epochs=config.TRAIN.END_EPOCH,
        check_val_every_n_epoch=every,
        gradient_clip_val=config.TRAIN.GRADIENT_CLIP,
        log_every_n_steps=min(10, len(data.train_dataloader())),
        num_sanity_val_steps=0,
        logger=_loggers(config, run),
        callbacks=[
            EpochSeed(config.SEED_VALUE),
            *checkpoint_callbacks(run, monitor),
            *([L.pytorch.callbacks.LearningRateMonitor("step")] if config.LOGGER.TYPE else []),
            SaveBadBatch(run),
            RenderSample(module._body[0], config.RENDER.FONT),
        ],
    )
