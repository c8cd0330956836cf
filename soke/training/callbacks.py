"""Seeds, checkpoints and pictures during training."""

from __future__ import annotations

import json
from pathlib import Path

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from soke.body import BodyModel
from soke.files import atomic_path
from soke.training.run_checkpoints import BEST, LAST, checkpoint_folder
from soke.training.tokenizer_module import NonFiniteLossError
from soke.visualization import Panel, render_clip


def checkpoint_callbacks(run: Path, monitor: str, higher_is_better: bool = False) -> list[Callback]:
    """``best.ckpt`` by the monitored metric and ``last.ckpt``."""
    folder = checkpoint_folder(run)
    best = ModelCheckpoint(
        folder,
        Path(BEST).stem,
        monitor=monitor,
        mode="max" if higher_is_better else "min",
        save_top_k=1,
        auto_insert_metric_name=False,
        enable_version_counter=False,
        every_n_epochs=1,
    )
    last = ModelCheckpoint(
        folder,
        Path(LAST).stem,
        save_top_k=1,
        enable_version_counter=False,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
    )
    return [best, last]


class EpochSeed(Callback):
    """Seeds every epoch by its number, so that all that is random in it can be repeated.

    A run that was interrupted goes on with the draws that it would have made: batches, crops,
    dropout and augmentation follow from the seed, the epoch and the rank alone.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        epoch = trainer.current_epoch
        draw = np.random.SeedSequence([self.seed, epoch, trainer.global_rank])
        L.seed_everything(int(draw.generate_state(1)[0]), workers=True, verbose=False)
        trainer.train_dataloader.batch_sampler.set_epoch(epoch)


class SaveBadBatch(Callback):
    """Writes the clips of the batch that a loss was not finite in to ``bad_batch.json``."""

    def __init__(self, run: Path) -> None:
        self.path = run / "bad_batch.json"

    def on_exception(
        self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException
    ) -> None:
        if isinstance(exception, NonFiniteLossError):
            content = {
                "epoch": trainer.current_epoch,
                "step": trainer.global_step,
                "rank": trainer.global_rank,
                "terms": exception.terms,
                "clips": exception.names,
            }
            with atomic_path(self.path) as temporary:
                text = json.dumps(content, indent=1, ensure_ascii=False)
                temporary.write_text(text, encoding="utf-8")


class RenderSample(Callback):
    """After a validation, logs a picture of the first clip: reference and generated."""

    def __init__(self, body: BodyModel, font: str | None = None) -> None:
        self.body = body
        self.font = font

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if module.sample is None or not trainer.is_global_zero:
            return
        _, text, generated, reference = module.sample
        panels = [
            Panel(title, self.body.vertices(motion[len(motion) // 2][None]).cpu().numpy())
            for title, motion in (("reference", reference), ("generated", generated))
        ]
        frames = render_clip(
            panels,
            self.body.faces,
            self.body.regions,
            caption=text,
            note=self.body.name,
            font=self.font,
        )
        picture = next(frames)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image(
                    "val/sample", picture, trainer.global_step, dataformats="HWC"
                )
