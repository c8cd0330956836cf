"""How much memory a training needs, by counting and by measuring one small pass."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from soke.training.optimization import OptimizerFactory


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on one device, of tensors alone: libraries and allocators take more."""

    weights: float
    gradients: float
    optimizer: float
    activations: float

    @property
    def total(self) -> float:
        return self.weights + self.gradients + self.optimizer + self.activations

    def __str__(self) -> str:
        names = ("weights", "gradients", "optimizer", "activations", "total")
        return ", ".join(f"{name} {readable(getattr(self, name))}" for name in names)


def readable(size: float) -> str:
    """``1.50 GB``, or ``20 MB`` where it is less than one."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def bytes_of(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def optimizer_bytes(factory: OptimizerFactory, parameters: Iterable[nn.Parameter]) -> int:
    """What an optimizer keeps for these parameters, found by a step on a small one."""
    trial = nn.Parameter(torch.zeros(64))
    trial.grad = torch.ones_like(trial)
    optimizer = factory([trial])
    optimizer.step()
    kept = [x for x in optimizer.state[trial].values() if isinstance(x, Tensor) and x.ndim]
    return bytes_of(parameters) * bytes_of(kept) // trial.nbytes


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that operations make, while they live."""

    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        self.after = []
        self._known = WeakIdKeyDictionary()

    def __torch_dispatch__(
        self, function: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        for value in tree_leaves((args, kwargs)):
            if isinstance(value, Tensor):  # not made here: neither are its views
                self._known.setdefault(value.untyped_storage(), None)
        result = function(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._add(value.untyped_storage())
        self.after.append(self.live)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        if storage not in self._known:
            self._known[storage] = None
            self.live += storage.nbytes()
            weakref.finalize(storage, self._remove, storage.nbytes())

    def _remove(self, size: int) -> None:
        self.live -= size


#: Copies of a clip that are measured. A single one has operations of its own.
MEASURED = (2, 3)


def activation_bytes(
    losses: Sequence[Callable[[], Tensor]], parameters: Iterable[nn.Parameter], count: int
) -> float:
    """The most that the passes of ``count`` like clips hold, from the losses of `MEASURED` ones.

    At every moment of the passes what is held grows with the clips in a straight line, but the
    moment at which most is held is another one for few clips, where gradients of weights are large.
    """
    parameters = list(parameters)
    first, second = (live_bytes(loss, parameters) for loss in losses)
    if len(first) != len(second):  # other operations were chosen
        first = first.max()
        second = second.max()
    few, more = MEASURED
    return float(np.max(first + (count - few) / (more - few) * (second - first)))


def live_bytes(loss: Callable[[], Tensor], parameters: Iterable[nn.Parameter]) -> np.ndarray:
    """What forward and backward pass on the CPU hold besides weights and gradients.

    A number after every operation: activations, what lives for a moment only, and what autocast
    makes of the weights. No gradient is left behind, and the state of the random generator is as
    before.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    kept = [parameter.grad for parameter in trained]
    for parameter in trained:
        parameter.grad = None
    hooks = [
        parameter.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))
        for parameter in trained
    ]
    try:
        with (
            torch.random.fork_rng(devices=[]),
            torch.compiler.set_stance("force_eager"),
            torch.enable_grad(),
            _LiveBytes() as counter,
        ):
            loss().backward()
        return np.array(counter.after, dtype=np.int64)
    finally:
        for hook, parameter, gradient in zip(hooks, trained, kept):
            hook.remove()
            parameter.grad = gradient
