"""How certain a score is: bootstrap intervals over clips, and paired tests of two systems.

Both treat a clip as the unit. Sources: Efron and Tibshirani, An Introduction to the Bootstrap
(1993), chapter 13 (percentile interval) and 15 (permutation test); Riezler and Maxwell, On Some
Pitfalls in Automatic Evaluation (2005), for scores of a corpus.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from soke.metrics.scores.score import ClipSums, Score, check_level

#: Numbers in one block of resamples: 16 MB, however many clips there are.
_BLOCK = 2_000_000
#: Differences that agree up to rounding count as equal.
_ROUNDING = 1e-12


def bootstrap(
    scores: Sequence[Score],
    rows: pd.DataFrame,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals ``{score: (low, high)}`` over clips of one system.

    The interval does not depend on the order of the rows, nor on the other scores. One clip does
    not show how much clips differ: with fewer than two the interval is ``(nan, nan)``. Raises
    ``ValueError`` as `Score` does, and for fewer than one resample.
    """
    _check(resamples, level)
    intervals = {}
    for group in _same_clips([ClipSums.of(score, rows) for score in scores]):
        sums = _side_by_side(group)
        drawn = [_values(group, c @ sums) for c in _draws(len(sums), resamples, seed)]
        bounds = _percentiles(np.concatenate(drawn, axis=1), len(sums), level)
        intervals.update(zip((own.score.name for own in group), bounds))
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

    The p value is two-sided, from a paired permutation test: were the systems alike, swapping their
    outputs for a clip would change nothing. For a mean over clips this is the sign-flip test, for a
    score of the whole corpus it is approximate randomization. All swaps are tried if there are no
    more of them than ``resamples``. Otherwise ``resamples`` random ones are drawn, and the p value
    is at least 1 / (resamples + 1). It is NaN without clips in common.
    """
    _check(resamples, level)
    sides = {}
    for score in scores:
        a = ClipSums.of(score, rows_a)
        b = ClipSums.of(score, rows_b)
        keys = a.keys.intersection(b.keys).sort_values()
        sides[score.name] = (a.averaged(keys), b.averaged(keys))
    results = {}
    for group in _same_clips([a for a, _ in sides.values()]):
        others = [sides[own.score.name][1] for own in group]
        for pair in _compare(group, others, resamples, seed, level):
            results[pair.name] = pair
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


def _compare(
    a: Sequence[ClipSums], b: Sequence[ClipSums], resamples: int, seed: int, level: float
) -> Iterator[PairedDifference]:
    """Compare scores of the same clips in two systems."""
    sums_a = _side_by_side(a)
    sums_b = _side_by_side(b)
    clips = len(sums_a)
    total_a = sums_a.sum(axis=0)
    total_b = sums_b.sum(axis=0)

    def differences(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        return np.concatenate([_difference(_values(a, x), _values(b, y)) for x, y in pairs], axis=1)

    drawn = differences((c @ sums_a, c @ sums_b) for c in _draws(clips, resamples, seed))
    # Where a clip is swapped, its change goes from b to a.
    changes = (swaps @ (sums_b - sums_a) for swaps in _swaps(clips, resamples, seed))
    null = differences((total_a + change, total_b - change) for change in changes)
    bounds = _percentiles(drawn, clips, level)
    values_a = _values(a, total_a).tolist()
    values_b = _values(b, total_b).tolist()
    for i, own in enumerate(a):
        p_value = _p_value(values_a[i], values_b[i], null[i], exhaustive=2**clips <= resamples)
        yield PairedDifference(own.score.name, clips, values_a[i], values_b[i], *bounds[i], p_value)


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``b - a``, 0 where they agree up to rounding."""
    rounding = _ROUNDING * np.maximum(np.abs(a), np.abs(b))
    return np.where(np.abs(b - a) <= rounding, 0.0, b - a)


def _p_value(a: float, b: float, null: np.ndarray, exhaustive: bool) -> float:
    """Share of the differences ``null`` that are as large as ``b - a``."""
    null = null[~np.isnan(null)]
    observed = abs(float(_difference(np.float64(a), np.float64(b))))
    if math.isnan(observed) or not len(null):
        return math.nan
    extreme = int((np.abs(null) >= observed - _ROUNDING * max(abs(a), abs(b))).sum())
    # Among random swaps the observed outcome counts as one of them.
    return extreme / len(null) if exhaustive else (extreme + 1) / (len(null) + 1)


def _percentiles(estimates: np.ndarray, clips: int, level: float) -> list[tuple[float, float]]:
    """Intervals of estimates ``[N, resamples]``."""
    intervals = []
    for row in estimates:
        row = row[~np.isnan(row)]
        if clips < 2 or not len(row):
            intervals.append((math.nan, math.nan))
            continue
        low, high = np.quantile(row, [(1 - level) / 2, (1 + level) / 2])
        intervals.append((float(low), float(high)))
    return intervals


def _same_clips(items: Sequence[ClipSums]) -> Iterator[list[ClipSums]]:
    """Items of the same clips together: they share their resamples."""
    waiting = list(items)
    while waiting:
        keys = waiting[0].keys
        yield [item for item in waiting if item.keys.equals(keys)]
        waiting = [item for item in waiting if not item.keys.equals(keys)]


def _side_by_side(group: Sequence[ClipSums]) -> np.ndarray:
    """Sums and numbers of rows ``[n, K]`` of scores of the same n clips."""
    return np.column_stack([np.column_stack((own.sums, own.rows)) for own in group])


def _values(group: Sequence[ClipSums], sums: np.ndarray) -> np.ndarray:
    """Scores ``[N, ...]`` from sums ``[..., K]`` over clips."""
    ends = np.cumsum([own.sums.shape[1] + 1 for own in group])[:-1]
    blocks = np.split(sums, ends, axis=-1)
    return np.stack([own.score.of_sums(x[..., :-1], x[..., -1]) for own, x in zip(group, blocks)])


def _draws(clips: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each clip is drawn with replacement, ``[B, n]``, block by block."""
    rng = np.random.default_rng(seed)
    for count in _blocks(clips, resamples):
        drawn = rng.integers(max(clips, 1), size=(count, clips))
        drawn += clips * np.arange(count)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=drawn.size)
        yield counts.reshape(drawn.shape).astype(float)


def _swaps(clips: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Which clips change sides, ``[B, n]``: every choice, or random ones if there are too many."""
    if 2**clips <= resamples:
        yield (np.arange(2**clips)[:, None] >> np.arange(clips) & 1).astype(float)
        return
    rng = np.random.default_rng(seed)
    for count in _blocks(clips, resamples):
        yield rng.integers(2, size=(count, clips)).astype(float)


def _blocks(clips: int, resamples: int) -> Iterator[int]:
    """Sizes of blocks of resamples that fit into memory."""
    size = max(_BLOCK // max(clips, 1), 1)
    for first in range(0, resamples, size):
        yield min(size, resamples - first)


def _check(resamples: int, level: float) -> None:
    check_level(level)
    if resamples < 1:
        raise ValueError(f"expected 1 resample or more, got {resamples}")
