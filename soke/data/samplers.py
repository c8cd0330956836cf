"""Which clips make up which batch, on which rank."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

#: Batches (of all ranks together) that are sorted by length at a time. More would save little
#: padding more, and would leave less to chance which clips meet.
_SORTED_TOGETHER = 32


class SeededIndex(int):
    """The number of a clip, with the seed of what is drawn at random for it this time.

    What a clip gets then depends neither on the process that loads it nor on what was drawn before.
    """

    seed: int

    def __new__(cls, index: int, seed: int) -> SeededIndex:
        pick = super().__new__(cls, index)
        pick.seed = seed
        return pick

    def __reduce__(self) -> tuple[type[SeededIndex], tuple[int, int]]:
        return SeededIndex, (int(self), self.seed)


def draws_of(index: int) -> random.Random | None:
    """The random draws of a `SeededIndex`; None for a plain number, as in evaluation."""
    return random.Random(index.seed) if isinstance(index, SeededIndex) else None


class TrainingBatches(Sampler[list[int]]):
    """Shuffled batches of clips of like length, the same on every rank, each rank taking its own.

    Clips are shuffled; within a run of so many batches they are sorted by length and cut into
    batches, which are shuffled in turn. The ranks' batches of one step are neighbours in length.
    All is drawn from ``seed`` and the epoch, so that it can be repeated; each clip comes as a
    `SeededIndex`. The last clips that do not fill a batch on every rank are left out: other ones
    each epoch. Where there are too few clips for even one such step the ranks share what there is.

    ``lengths`` [C] are what batches are grouped by; None where they are not known.
    """

    def __init__(
        self,
        count: int,
        lengths: np.ndarray | None,
        batch_size: int,
        seed: int = 0,
        ranks: int = 1,
        rank: int = 0,
    ) -> None:
        if count < ranks:
            raise ValueError(f"{count} clips cannot be shared by {ranks} processes")
        assert lengths is None or len(lengths) == count
        self.count = count
        self.lengths = lengths
        self.seed = seed
        self.batch_size = min(batch_size, count // ranks)
        self.ranks = ranks
        self.rank = rank
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count // (self.batch_size * self.ranks)

    def __iter__(self) -> Iterator[list[int]]:
        seeds = np.random.default_rng([self.seed, self.epoch, 1])
        for step in self.steps():
            drawn = seeds.integers(2**63, size=step.shape)
            yield [
                SeededIndex(*pair)
                for pair in zip(step[self.rank].tolist(), drawn[self.rank].tolist())
            ]

    def steps(self) -> np.ndarray:
        """The clips of every step of this epoch, [steps, ranks, batch size]."""
        draw = np.random.default_rng([self.seed, self.epoch])
        step = self.batch_size * self.ranks
        order = draw.permutation(self.count)[: len(self) * step]
        if self.lengths is not None:
            pool = step * _SORTED_TOGETHER
            pools = [order[i : i + pool] for i in range(0, len(order), pool)]
            order = np.concatenate([p[np.argsort(self.lengths[p], kind="stable")] for p in pools])
        steps = order.reshape(len(self), self.ranks, self.batch_size)
        return draw.permutation(steps)


class EvaluationBatches(Sampler[list[int]]):
    """Every clip once over all ranks, in order: rank r takes the clips r, r + ranks, ..."""

    def __init__(self, count: int, batch_size: int, ranks: int = 1, rank: int = 0) -> None:
        if count < ranks:
            raise ValueError(f"{count} clips cannot be shared by {ranks} processes")
        self.clips = range(rank, count, ranks)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.clips) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for start in range(0, len(self.clips), self.batch_size):
            yield list(self.clips[start : start + self.batch_size])


def padding_share(lengths: np.ndarray, batches: Sequence[Sequence[int]] | np.ndarray) -> float:
    """The share of frames that are padding when batches are padded to their longest clip."""
    real = sum(int(lengths[batch].sum()) for batch in batches)
    padded = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    return 1 - real / padded
