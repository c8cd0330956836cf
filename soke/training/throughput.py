"""How fast a training is."""

from __future__ import annotations

import time
from collections import deque

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from soke.structures import PoseBatch, TokenBatch
from soke.training.base_module import TrainingModule

#: Over how many records a rate is taken.
_WINDOW = 5


class Throughput(Callback):
    """Logs ``train/tokens_per_second`` (of the tokenizer ``train/frames_per_second``).

    Padding does not count, the batches of all processes do, and so does the time that is spent
    waiting for data, but not that of validation and checkpoints. The rate is that of the last
    records, each of ``log_every_n_steps`` batches.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._batches = 0
        self._amount: Tensor | float = 0.0  # stays on the device, which need not be waited for
        self._records: deque[tuple[float, float]] = deque(maxlen=_WINDOW + 1)

    def on_train_epoch_start(self, trainer: L.Trainer, module: TrainingModule) -> None:
        self._last = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        module: TrainingModule,
        outputs: object,
        batch: PoseBatch | TokenBatch,
        batch_idx: int,
    ) -> None:
        now = time.perf_counter()
        self.seconds = self.seconds + now - self._last
        self._last = now
        self._amount = self._amount + module.amount(batch)
        self._batches += 1
        if self._batches % (trainer.log_every_n_steps or 1) == 0:
            self._record(trainer, module)

    def _record(self, trainer: L.Trainer, module: TrainingModule) -> None:
        amount = torch.as_tensor(self._amount, device=module.device)
        total = float(trainer.strategy.reduce(amount.float(), reduce_op="sum"))
        self._amount = 0.0
        # The first batches compile, allocate and start workers: they are where counting begins.
        count = self._records[-1][1] + total if self._records else 0.0
        self._records.append((self.seconds, count))
        (start, before), (end, after) = self._records[0], self._records[-1]
        if end > start:
            name = f"train/{module.unit}_per_second"
            rate = (after - before) / (end - start)
            module.log(name, rate, prog_bar=True, logger=False)
            for logger in trainer.loggers:
                logger.log_metrics({name: rate}, step=trainer.global_step)
