"""What a training is, said before it starts: parameters, memory, the size of a step."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from functools import partial

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from soke.data.loader import SignDataModule
from soke.data.samplers import TrainingBatches, padding_share
from soke.structures import PoseBatch, TokenBatch
from soke.training.base_module import TrainingModule
from soke.training.memory import (
    MEASURED,
    MemoryEstimate,
    activation_bytes,
    bytes_of,
    optimizer_bytes,
)
from soke.training.sharding import ShardedStrategy

log = logging.getLogger(__name__)

#: Clips that the mean size of a clip is taken from.
_SAMPLED = 32
_AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class StartReport(Callback):
    """Logs parameters, an estimate of the memory and the size of a step, once, by one process."""

    def setup(self, trainer: L.Trainer, module: TrainingModule, stage: str) -> None:
        # Here the network is still on the CPU and not yet wrapped by any strategy.
        if stage == "fit" and trainer.is_global_zero:
            memory = estimate(
                module,
                longest_clip(trainer.datamodule),
                trainer.datamodule.batch_size,
                str(trainer.precision),
                trainer.world_size if isinstance(trainer.strategy, ShardedStrategy) else 1,
            )
            place = "process" if trainer.strategy.root_device.type == "cpu" else "GPU"
            clips = f"{trainer.datamodule.batch_size} of the longest clips"
            log.info(
                "training\n%s\nmemory of a %s, about (%s, %s): %s\n%s",
                describe_parameters(module.parameter_groups()),
                place,
                trainer.precision,
                clips,
                memory,
                describe_steps(trainer, module, trainer.datamodule),
            )


def describe_parameters(groups: Mapping[str, Sequence[nn.Parameter]]) -> str:
    """One line: the number of parameters by group, in all, and how many of them are trained."""
    sizes = {name: sum(p.numel() for p in group) for name, group in groups.items()}
    trained = sum(p.numel() for group in groups.values() for p in group if p.requires_grad)
    named = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    return f"parameters: {named}; {sum(sizes.values()):,} in all, {trained:,} of them trained"


def longest_clip(data: SignDataModule) -> list[PoseBatch | TokenBatch]:
    """Batches of `MEASURED` copies of it (of the first training clip if no length is known)."""
    index = 0 if data.lengths is None else int(np.argmax(data.lengths))
    sample = data.train[index]
    return [data.collate_train([sample] * count) for count in MEASURED]


def estimate(
    module: TrainingModule,
    batches: Sequence[PoseBatch | TokenBatch],
    batch_size: int,
    precision: str = "32-true",
    shares: int = 1,
) -> MemoryEstimate:
    """Memory of a device that trains ``module`` with batches of ``batch_size`` clips.

    Weights, gradients and the optimizer's state are counted and divided among ``shares`` devices.
    Activations are measured on the CPU for ``batches`` of `MEASURED` like clips and taken on to
    ``batch_size`` clips (`soke.training.memory.activation_bytes`). Attention in a GPU's fast
    kernels needs less than the CPU's; what an allocator cannot use again comes on top.
    """
    parameters = list(module.network.parameters())
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    dtype = _AUTOCAST.get(precision)

    def loss(batch: PoseBatch | TokenBatch) -> Tensor:
        with torch.autocast("cpu", dtype) if dtype else contextlib.nullcontext():
            return module.trial_loss(batch)

    losses = [partial(loss, batch) for batch in batches]
    return MemoryEstimate(
        weights=(bytes_of(parameters) + bytes_of(module.network.buffers())) / shares,
        gradients=bytes_of(trained) / shares,
        optimizer=optimizer_bytes(module.optimizer, trained) / shares,
        activations=activation_bytes(losses, parameters, batch_size),
    )


def describe_steps(trainer: L.Trainer, module: TrainingModule, data: SignDataModule) -> str:
    """What goes into a step, and how much of it is padding."""
    ranks = trainer.world_size
    size = data.batch_size
    accumulated = trainer.accumulate_grad_batches
    batches = TrainingBatches(len(data.train), data.lengths, size, data.seed, ranks)
    steps = -(-len(batches) // accumulated)
    clips = batches.batch_size * ranks * accumulated
    chosen = np.linspace(0, len(data.train) - 1, min(_SAMPLED, len(data.train)), dtype=int)
    amounts = module.amount(data.collate_train([data.train[int(index)] for index in chosen]))
    amount = float(amounts) / len(chosen) * clips
    lines = [
        f"a step: {clips:,} clips ({batches.batch_size} x {ranks} processes x {accumulated} "
        f"batches), about {amount:,.0f} {module.unit}; {steps:,} steps an epoch"
    ]
    if data.lengths is not None:
        share = padding_share(data.lengths, batches.steps().reshape(-1, batches.batch_size))
        lines.append(f"padding: {share:.1%} of the motion")
    return "\n".join(lines)
