"""What all benchmarks do alike: options, rows of results, times in turns, peaks of memory."""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch


def options_of(doc: str, measurements: Iterable[str] = ()) -> argparse.ArgumentParser:
    """A parser with ``--check`` and, of several measurements, ``--only``."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    if names := list(measurements):
        parser.add_argument("--only", nargs="+", choices=names, default=names)
    return parser


class Report:
    """Prints what was measured, and knows which goals were missed."""

    def __init__(self):
        self.missed = []

    def row(self, name, value, ratio=None, goal=None, reached=None):
        ratio = "" if ratio is None else f"{ratio:8.1f} x"
        verdict = "" if reached is None else f"{goal:>16}  {'reached' if reached else 'MISSED'}"
        print(f"  {name:38}{value:>22}{ratio:>11}{verdict}".rstrip(), flush=True)
        if reached is False:
            self.missed.append(name)

    def verdict(self, check):
        """Prints what was missed; the exit code, which is 1 only if that is to be checked."""
        print(f"missed: {', '.join(self.missed)}" if self.missed else "all goals reached")
        return 1 if check and self.missed else 0


def apart(call, *arguments, start="fork"):
    """The value of a call in a process of its own, which ends with all that it has mapped.

    This process itself must not compute with torch: a fork would wait for threads it lacks.
    """
    context = multiprocessing.get_context(start)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(call, *arguments).result()


def shortest(calls: Sequence[Callable[[], object]], repeats: int, device: str) -> list[float]:
    """Shortest seconds of each call. They take turns: a busy machine slows down all of them."""
    times = np.empty((repeats + 1, len(calls)))
    for row in times:
        for i, call in enumerate(calls):
            synchronize(device)
            start = time.perf_counter()
            call()
            synchronize(device)
            row[i] = time.perf_counter() - start
    return times[1:].min(axis=0).tolist()  # the first round allocates and compiles


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def peak_memory(device: str) -> float:
    """MB: of this process so far, or on the GPU since the last call."""
    if device == "cuda":
        peak = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return peak / 2**20
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return peak / 1024
