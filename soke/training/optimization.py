"""Optimizers and learning-rate schedules, as factories that the Lightning modules are given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[[Optimizer, int], LRScheduler]


class WarmupCosine(LambdaLR):
    """Linear warm-up, then a cosine down to ``eta_min`` at the last of ``total_steps``."""

    def __init__(
        self, optimizer: Optimizer, total_steps: int, warmup_steps: int = 0, eta_min: float = 1e-6
    ) -> None:
        rates = [group["lr"] for group in optimizer.param_groups]

        def factor(base: float) -> Callable[[int], float]:
            def at(step: int) -> float:
                if step < warmup_steps:
                    return (step + 1) / warmup_steps
                progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
                cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
                return (eta_min + (base - eta_min) * cosine) / base

            return at

        super().__init__(optimizer, [factor(rate) for rate in rates])


def configure(
    parameters: Iterable[nn.Parameter],
    optimizer: OptimizerFactory,
    scheduler: SchedulerFactory,
    total_steps: int,
) -> dict[str, Any]:
    """What ``configure_optimizers`` returns: the schedule advances every step."""
    built = optimizer([parameter for parameter in parameters if parameter.requires_grad])
    schedule = {"scheduler": scheduler(built, total_steps), "interval": "step"}
    return {"optimizer": built, "lr_scheduler": schedule}
