"""Fully sharded training, where a generator and its optimizer are too large for one GPU.

Every process keeps a part of the weights, the gradients and the optimizer's state, and gathers
the weights of a layer when it computes with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.precision import FSDPPrecision
from lightning.pytorch.strategies import FSDPStrategy
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel, MixedPrecision


class _BatchesAsTheyAre(FSDPPrecision):
    """Batches are frozen, and those of a generator hold nothing that a precision would change."""

    def convert_input(self, data: Any) -> Any:
        return data


class ShardedStrategy(FSDPStrategy):
    """FSDP over the classes of ``layers``, with one ordinary checkpoint file.

    Weights are gathered in float32, and autocast computes as it does without sharding: the numbers
    are those of other strategies. Validation works on gathered weights (`GatherForValidation`).
    """

    def __init__(self, layers: Iterable[type[nn.Module]], **options: Any) -> None:
        super().__init__(
            auto_wrap_policy=set(layers),
            # Nothing is cast: buffers count clips and sum up errors.
            mixed_precision=MixedPrecision(),
            state_dict_type="full",
            **options,
        )

    def setup_environment(self) -> None:
        super().setup_environment()
        self.precision_plugin = _BatchesAsTheyAre(self.precision_plugin.precision)

    def clip_gradients(self, largest: float | None) -> None:
        """Clip the norm over the shards of all processes, which Lightning leaves to us."""
        if largest:
            self.model.clip_grad_norm_(largest)

    def validation_step(self, *arguments: Any, **named: Any) -> Any:
        """Not through the sharding, whose exchanges need equal numbers of batches everywhere."""
        with self.precision_plugin.val_step_context():
            return self.lightning_module.validation_step(*arguments, **named)


class GatherForValidation(Callback):
    """Gathers all weights on every process while it validates: generating reads them directly."""

    def __init__(self) -> None:
        self._open = ExitStack()

    def on_validation_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if isinstance(trainer.strategy, ShardedStrategy):
            self._open.enter_context(gathered(trainer.strategy.model))

    def on_validation_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._open.close()  # before checkpoints are written

    def on_exception(
        self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException
    ) -> None:
        self._open.pop_all()  # the other processes may not be there to take part


@contextmanager
def gathered(root: nn.Module) -> Iterator[None]:
    """The plain modules with all their weights in place of the sharded ones below ``root``."""
    with FullyShardedDataParallel.summon_full_params(root, writeback=False):
        wrapped = [
            (parent, name, child)
            for parent in root.modules()
            for name, child in parent.named_children()
            if isinstance(child, FullyShardedDataParallel) and parent is not child
        ]
        for parent, name, child in wrapped:
            parent._modules[name] = child.module
        try:
            yield
        finally:
            for parent, name, child in wrapped:
                parent._modules[name] = child
