"""One batch spread over several processes.

The whole batch is the rows of rank 0, then those of rank 1, and so on. What is learned from a batch
without gradients (codebooks) must come out the same on every rank and the same as on one rank with
the whole batch; the functions here are all that is needed for that. Each of them is a collective
where there are several ranks: call them in training only, where all ranks make the same steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class BatchShare:
    """Which rows of the whole batch this process holds: ``start`` to ``start + local``."""

    start: int
    local: int
    total: int
    ranks: int

    @property
    def divisor(self) -> float:
        """What a sum over this rank's rows is divided by for a loss.

        Data-parallel training averages gradients over the ranks. With this divisor the average is
        the gradient of the mean over all rows of all ranks, however unequally they are spread.
        """
        return max(self.total / self.ranks, 1e-9)


def local_share(rows: int) -> BatchShare:
    """The share of a process that looks at its own rows only (evaluation)."""
    return BatchShare(0, rows, rows, 1)


def batch_share(rows: int, device: torch.device) -> BatchShare:
    """The share of this process, which holds ``rows`` rows. A collective on several ranks."""
    ranks = _ranks()
    if ranks == 1:
        return local_share(rows)
    counts = torch.zeros(ranks, dtype=torch.int64, device=device)
    counts[dist.get_rank()] = rows
    dist.all_reduce(counts)
    numbers = counts.tolist()
    return BatchShare(sum(numbers[: dist.get_rank()]), rows, sum(numbers), ranks)


def sum_over_ranks(value: Tensor) -> Tensor:
    """``value`` summed over all ranks (in place). A collective on several ranks."""
    if _ranks() > 1:
        dist.all_reduce(value)
    return value


def own_rows(rows: Tensor, numbers: Tensor, share: BatchShare) -> Tensor:
    """The rows ``[n, D]`` of the whole batch with these ``numbers`` [n], zeros where not held here.

    Summed over the ranks this is the same on all of them, and no rank sends more than ``n`` rows.
    """
    if share.local == share.total:
        return rows[numbers]
    local = numbers - share.start
    held = (local >= 0) & (local < share.local)
    taken = rows.new_zeros(len(numbers), rows.shape[1])
    taken[held] = rows[local[held]]
    return taken


def _ranks() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
