"""Seconds that the stages of an evaluation take."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class Stopwatch:
    """Adds up the seconds of named stages; waits for pending GPU work before it reads the clock."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.frames = 0

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        start = self._now()
        yield
        self.seconds[stage] += self._now() - start

    @contextmanager
    def apart(self, network: nn.Module, stage: str, whole: str) -> Iterator[None]:
        """Count time spent inside ``network`` as ``stage``, the rest of the block as ``whole``."""
        started: list[float] = []

        def begin(*_: object) -> None:
            started.append(self._now())

        def end(*_: object) -> None:
            spent = self._now() - started.pop()
            self.seconds[stage] += spent
            self.seconds[whole] -= spent

        handles = network.register_forward_pre_hook(begin), network.register_forward_hook(end)
        try:
            with self.measure(whole):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def take(self) -> tuple[dict[str, float], int]:
        """Seconds and frames counted since the last call."""
        counted = dict(self.seconds), self.frames
        self.seconds.clear()
        self.frames = 0
        return counted
