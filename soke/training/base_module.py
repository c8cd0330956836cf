"""What the Lightning modules share with what runs around them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import lightning as L
from torch import Tensor, nn
from torch.optim import Optimizer

from soke.body import BodyModel
from soke.structures import PoseBatch, TokenBatch
from soke.training.optimization import OptimizerFactory, SchedulerFactory, configure
from soke.training.sharding import ShardedStrategy


class TrainingModule(L.LightningModule, ABC):
    """A network with its optimizer, and what reports and pictures ask of it."""

    #: The metric that chooses the best checkpoint.
    monitor: ClassVar[str]
    #: What `amount` counts.
    unit: ClassVar[str]
    #: Names of metrics of which more is better; of all others less is.
    higher_is_better: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self, body: BodyModel | None, optimizer: OptimizerFactory, scheduler: SchedulerFactory
    ) -> None:
        super().__init__()
        # In a list, so that it is no submodule and in no checkpoint.
        self._body = [] if body is None else [body]
        self.optimizer = optimizer
        self.scheduler = scheduler
        #: Of the last validation: name, text, generated and reference motion [T, 133] of a clip.
        self.sample: tuple[str, str, Tensor, Tensor] | None = None

    @property
    def has_body(self) -> bool:
        """Whether the module deals with motion; else it has no pictures to show."""
        return bool(self._body)

    @property
    def body(self) -> BodyModel:
        """The body model, on the module's device."""
        return self._body[0].to(self.device)

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """What is trained."""

    @abstractmethod
    def parameter_groups(self) -> Mapping[str, list[nn.Parameter]]:
        """All parameters by what they belong to, each once."""

    @abstractmethod
    def amount(self, batch: PoseBatch | TokenBatch) -> Tensor:
        """How many units a batch holds, without padding."""

    @abstractmethod
    def trial_loss(self, batch: PoseBatch | TokenBatch) -> Tensor:
        """A loss whose passes need as much memory as those of training, and change no state."""

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        strategy = self.trainer.strategy
        if isinstance(strategy, ShardedStrategy):
            strategy.clip_gradients(gradient_clip_val)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def configure_optimizers(self) -> dict[str, Any]:
        total = int(self.trainer.estimated_stepping_batches)
        return configure(self.network.parameters(), self.optimizer, self.scheduler, total)
