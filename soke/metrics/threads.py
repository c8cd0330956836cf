"""How many threads a compiled kernel gets."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numba import get_num_threads, set_num_threads

#: Distances that are worth another thread (half a millisecond). Waking threads costs little on an
#: idle machine and milliseconds a call on a busy one.
_WORK_PER_THREAD = 1_500_000
#: Rows of a matrix that a thread takes at a time.
_BLOCK = 16


def threads_worth(work: int) -> int:
    """Threads that so many distances are worth, of those that numba and torch may use."""
    return max(1, min(get_num_threads(), torch.get_num_threads(), work // _WORK_PER_THREAD))


def run(kernel: Callable[..., np.ndarray], work: int, *arguments: np.ndarray | float) -> np.ndarray:
    """Call a parallel kernel on as many threads as ``work`` distances are worth."""
    allowed = torch.get_num_threads()
    threads = get_num_threads()
    set_num_threads(threads_worth(work))
    try:
        return kernel(*arguments)
    finally:
        set_num_threads(threads)
        # numba's first parallel call raises torch's number to all cores: they share one OpenMP.
        if torch.get_num_threads() != allowed:
            torch.set_num_threads(allowed)


def run_in_blocks(call: Callable[[int, int], None], rows: int, threads: int) -> None:
    """``call(begin, end)`` for all of ``rows``, which must leave the interpreter to others.

    Each thread takes the next few rows when it is done with the last ones: on a busy machine, where
    some get less of it than others, fixed shares would all wait for the slowest.
    """
    begins = iter(range(0, rows, _BLOCK))

    def work() -> None:
        for begin in begins:
            call(begin, min(begin + _BLOCK, rows))

    with ThreadPoolExecutor(threads) as pool:
        others = [pool.submit(work) for _ in range(threads - 1)]
        work()
        for other in others:
            other.result()
