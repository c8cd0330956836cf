"""Loaders for Lightning."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from soke.data.samplers import EvaluationBatches, TrainingBatches, padding_share
from soke.structures import PoseBatch, TokenBatch

log = logging.getLogger(__name__)

#: Samples of a data set to a batch of them.
Collate = Callable[[Sequence[Any]], PoseBatch | TokenBatch]


class _LazyLoader(DataLoader[Any]):
    """Fetches from the first batch on: by then the batch sampler has been told the epoch.

    Lightning asks for an iterator long before, and when a run is resumed even before it knows
    which epoch it is in; workers would fetch the batches of another one.
    """

    def __iter__(self) -> Iterator[PoseBatch | TokenBatch]:
        yield from super().__iter__()


class SignDataModule(L.LightningDataModule):
    """Training batches shuffled and grouped by length, validation batches in order.

    ``lengths`` [C] of the training clips are what they are grouped by; None leaves batches to
    chance. Every rank takes its share; in validation each clip is seen once over all ranks.
    The loaders draw nothing from the global generator: a run can be repeated and resumed.
    """

    def __init__(
        self,
        train: Dataset[Any],
        val: Dataset[Any],
        collate_train: Collate,
        collate_val: Collate,
        batch_size: int,
        val_batch_size: int,
        num_workers: int = 0,
        val_num_workers: int = 0,
        lengths: np.ndarray | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.train = train
        self.val = val
        self.collate_train = collate_train
        self.collate_val = collate_val
        self.batch_size = batch_size
        self.val_batch_size = val_batch_size
        self.num_workers = num_workers
        self.val_num_workers = val_num_workers
        self.lengths = lengths
        self.seed = seed
        if lengths is not None:
            batches, chance = (
                TrainingBatches(len(train), by, batch_size, seed).steps()[:, 0]
                for by in (lengths, None)
            )
            log.info(
                "%.1f %% of a training batch is padding (%.1f %% in batches left to chance)",
                100 * padding_share(lengths, batches),
                100 * padding_share(lengths, chance),
            )

    def _ranks(self) -> tuple[int, int]:
        """The number of processes and this one's rank."""
        if self.trainer is None:
            return 1, 0
        return self.trainer.world_size, self.trainer.global_rank

    def train_dataloader(self) -> DataLoader[Any]:
        batches = TrainingBatches(
            len(self.train), self.lengths, self.batch_size, self.seed, *self._ranks()
        )
        return _LazyLoader(
            self.train,
            batch_sampler=batches,
            collate_fn=self.collate_train,
            num_workers=self.num_workers,
            generator=torch.Generator(),
        )

    def val_dataloader(self) -> DataLoader[Any]:
        batches = EvaluationBatches(len(self.val), self.val_batch_size, *self._ranks())
        return DataLoader(
            self.val,
            batch_sampler=batches,
            collate_fn=self.collate_val,
            num_workers=self.val_num_workers,
            generator=torch.Generator(),
        )
