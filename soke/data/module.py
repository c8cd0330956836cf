"""Loaders for Lightning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import lightning as L
from torch.utils.data import DataLoader, Dataset

from soke.structures import PoseBatch, TokenBatch

Collate = Callable[[Sequence[object]], PoseBatch | TokenBatch]


class SignDataModule(L.LightningDataModule):
    """Training batches shuffled, validation batches in order."""

    def __init__(
        self,
        train: Dataset,
        val: Dataset,
        collate_train: Collate,
        collate_val: Collate,
        batch_size: int,
        val_batch_size: int,
        num_workers: int = 0,
        val_num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.train, self.val = train, val
        self._train_loader = partial(
            DataLoader, train, batch_size, shuffle=True, collate_fn=collate_train,
            num_workers=num_workers, persistent_workers=num_workers > 0,
            drop_last=len(train) > batch_size,
        )  # fmt: skip
        self._val_loader = partial(
            DataLoader, val, val_batch_size, collate_fn=collate_val,
            num_workers=val_num_workers, persistent_workers=val_num_workers > 0,
        )  # fmt: skip

    def train_dataloader(self) -> DataLoader:
        return self._train_loader()

    def val_dataloader(self) -> DataLoader:
        return self._val_loader()
