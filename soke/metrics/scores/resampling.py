"""How sure a score is: bootstrap intervals over clips, and paired tests of two systems.

Both treat a clip as the unit. Sources: Efron and Tibshirani, An Introduction to the Bootstrap
(1993), chapter 13 (percentile interval) and 15 (permutation test); Riezler and Maxwell, On Some
Pitfalls in Automatic Evaluation (2005), for scores of a corpus.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from soke.metrics.scores.score import ClipSums, Score, check_level

#: Numbers of one block of resamples: 16 MB, however many clips there are.
_BLOCK = 2_000_000
#: Differences that agree but for rounding count as equal.
_ROUNDING = 1e-12


def bootstrap(
    scores: Sequence[Score],
    rows: pd.DataFrame,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals ``{score: (low, high)}`` over clips of one system.

    The interval does not depend on the order of the rows, nor on the other scores that are asked
    for. One clip says nothing of how much clips differ: with fewer than two the interval is
    ``(nan, nan)``. Raises ``ValueError`` as `Score` does, and for fewer than one resample.
    """
    _check(resamples, level)
    found = [ClipSums.of(score, rows) for score in scores]
    intervals = {}
    for group in _alike(found):
        matrix = np.column_stack([np.column_stack((own.sums, own.rows)) for own in group])
        sums = _resampled(matrix, _draws, resamples, seed)
        for own, part in zip(group, _split(sums, [own.sums.shape[1] + 1 for own in group])):
            estimates = own.score.of_sums(part[:, :-1], part[:, -1])
            intervals[own.score.name] = _percentiles(estimates, len(own.keys), level)
    return {score.name: intervals[score.name] for score in scores}


@dataclass(frozen=True)
class PairedDifference:
    """Score ``b`` minus score ``a`` over the clips that count in both."""

    name: str
    clips: int
    a: float
    b: float
    low: float
    high: float
    p_value: float

    @property
    def difference(self) -> float:
        return self.b - self.a


def paired_differences(
    scores: Sequence[Score],
    rows_a: pd.DataFrame,
    rows_b: pd.DataFrame,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, PairedDifference]:
    """Differences ``b - a`` of two systems over the clips both have, by the score's name.

    A clip's rows are averaged first, so that it counts once however many runs a system had. The
    interval is the percentile interval of differences over resampled clips, NaN for fewer than two.

    The p value is two-sided, of a paired permutation test: were the systems alike, swapping their
    outputs of a clip would change nothing. For a mean over clips that is the test of flipped signs,
    for a score of the whole corpus it is approximate randomization. All swaps are tried where
    there are no more of them than ``resamples``; else so many are drawn, and the p value is at
    least 1 / (resamples + 1). It is NaN without clips in common.
    """
    _check(resamples, level)
    pairs = [_Pair.of(score, rows_a, rows_b) for score in scores]
    results = {}
    for group in _alike(pairs):
        widths = [pair.a.shape[1] for pair in group]
        both = np.column_stack([pair.a for pair in group] + [pair.b for pair in group])
        changes = np.column_stack([pair.b - pair.a for pair in group])
        drawn = _split(_resampled(both, _draws, resamples, seed), widths * 2)
        swaps = _all_swaps if 2 ** len(changes) <= resamples else _swaps
        swapped = _split(_resampled(changes, swaps, resamples, seed), widths)
        for i, pair in enumerate(group):
            estimates = pair.difference(drawn[i], drawn[i + len(group)])
            # Where a clip is swapped its change goes from b to a.
            null = pair.difference(pair.a.sum(axis=0) + swapped[i], pair.b.sum(axis=0) - swapped[i])
            results[pair.score.name] = pair.result(estimates, null, swaps is _all_swaps, level)
    return {score.name: results[score.name] for score in scores}


def paired_difference(
    score: Score,
    rows_a: pd.DataFrame,
    rows_b: pd.DataFrame,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> PairedDifference:
    """`paired_differences` of one score."""
    return paired_differences([score], rows_a, rows_b, resamples, seed, level)[score.name]


@dataclass(frozen=True)
class _Pair:
    """The clips that count for a score in both systems."""

    score: Score
    keys: pd.MultiIndex  # n
    a: np.ndarray  # [n, C']
    b: np.ndarray  # [n, C']

    @classmethod
    def of(cls, score: Score, rows_a: pd.DataFrame, rows_b: pd.DataFrame) -> _Pair:
        a, b = ClipSums.of(score, rows_a), ClipSums.of(score, rows_b)
        keys = a.keys.intersection(b.keys).sort_values()
        return cls(score, keys, a.averaged(keys), b.averaged(keys))

    def value(self, sums: np.ndarray) -> np.ndarray:
        return self.score.of_sums(sums, np.full(sums.shape[:-1], float(len(self.keys))))

    def difference(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        first, second = self.value(a), self.value(b)
        change = second - first
        size = np.maximum(np.abs(first), np.abs(second))
        return np.where(np.abs(change) <= _ROUNDING * size, 0.0, change)

    def result(
        self, estimates: np.ndarray, null: np.ndarray, exhaustive: bool, level: float
    ) -> PairedDifference:
        sums = self.a.sum(axis=0), self.b.sum(axis=0)
        a, b = (float(self.value(side)) for side in sums)
        low, high = _percentiles(estimates, len(self.keys), level)
        observed = float(self.difference(*sums))
        p_value = _p_value(observed, max(abs(a), abs(b)), null, exhaustive)
        return PairedDifference(self.score.name, len(self.keys), a, b, low, high, p_value)


def _p_value(observed: float, size: float, null: np.ndarray, exhaustive: bool) -> float:
    """Share of the differences ``null`` that are as large; drawn ones count the observed one in."""
    null = null[~np.isnan(null)]
    if math.isnan(observed) or not len(null):
        return math.nan
    extreme = int((np.abs(null) >= abs(observed) - _ROUNDING * size).sum())
    return extreme / len(null) if exhaustive else (extreme + 1) / (len(null) + 1)


def _percentiles(estimates: np.ndarray, clips: int, level: float) -> tuple[float, float]:
    estimates = estimates[~np.isnan(estimates)]
    if clips < 2 or not len(estimates):
        return math.nan, math.nan
    low, high = np.quantile(estimates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


_Clips = TypeVar("_Clips", ClipSums, _Pair)


def _alike(items: Sequence[_Clips]) -> Iterator[list[_Clips]]:
    """Items of the same clips together: they can share their resamples."""
    waiting = list(items)
    while waiting:
        group = [item for item in waiting if item.keys.equals(waiting[0].keys)]
        waiting = [item for item in waiting if not item.keys.equals(waiting[0].keys)]
        yield group


def _split(sums: np.ndarray, widths: Sequence[int]) -> list[np.ndarray]:
    return np.split(sums, np.cumsum(widths)[:-1], axis=1)


#: Generator, clips, first resample, resamples -> weights [resamples, clips]
_Weights = Callable[[np.random.Generator, int, int, int], np.ndarray]


def _resampled(matrix: np.ndarray, weights: _Weights, resamples: int, seed: int) -> np.ndarray:
    """Weighted sums ``[resamples, K]`` of the rows of ``matrix`` ``[n, K]``, block by block."""
    clips, rng = len(matrix), np.random.default_rng(seed)
    if not clips:
        return np.zeros((0, matrix.shape[1]))
    total = 2**clips if weights is _all_swaps else resamples
    step = max(_BLOCK // clips, 1)
    blocks = [
        weights(rng, clips, first, min(step, total - first)) @ matrix
        for first in range(0, total, step)
    ]
    return np.concatenate(blocks)


def _draws(rng: np.random.Generator, clips: int, first: int, count: int) -> np.ndarray:
    """How often each clip was drawn, with replacement."""
    drawn = rng.integers(clips, size=(count, clips)) + clips * np.arange(count)[:, None]
    return np.bincount(drawn.ravel(), minlength=count * clips).reshape(count, clips).astype(float)


def _swaps(rng: np.random.Generator, clips: int, first: int, count: int) -> np.ndarray:
    """Which clips change sides, by the toss of a coin."""
    return rng.integers(2, size=(count, clips)).astype(float)


def _all_swaps(rng: np.random.Generator, clips: int, first: int, count: int) -> np.ndarray:
    """Every way to choose the clips that change sides."""
    numbers = np.arange(first, first + count)[:, None]
    return (numbers >> np.arange(clips) & 1).astype(float)


def _check(resamples: int, level: float) -> None:
    check_level(level)
    if resamples < 1:
        raise ValueError(f"expected 1 resample or more, got {resamples}")
