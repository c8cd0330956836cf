"""A score is a function of sums over clips: its value, its interval, its difference to another's.

Whatever is computed from sums does not care in which process a clip was measured, and resampled
tables of clips (bootstrap, permutation) are matrix products.

Tables of clips have columns ``corpus`` and ``name``, and one row per clip; where a clip has several
(runs with other seeds), its rows stay together in every resample, since they are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

#: What tells one clip from another; one name may occur in two corpora.
CLIP_KEYS = ("corpus", "name")

#: Sums ``[..., C]`` over clips and the numbers of clips ``[...]`` to scores ``[...]``.
Combine = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Score:
    """One number for a table of clips.

    Args:
        name: such as ``DTW_JPE_body`` or ``R@1``.
        columns: C columns of the table that it is computed from.
        combine: what becomes of their sums ``[..., C]`` and of the number of rows ``[...]``.
        unit: "m", "%", or nothing.
        lower_is_better: None where neither is (a ratio that should be 1).
        per_clip: turns the columns ``[n, C]`` of n rows into what is summed, ``[n, C']``.

    A row with NaN in one of the columns does not count.
    """

    name: str
    columns: tuple[str, ...]
    combine: Combine
    unit: str = ""
    lower_is_better: bool | None = True
    per_clip: Callable[[np.ndarray], np.ndarray] | None = None

    def __call__(self, rows: pd.DataFrame) -> float:
        """The score of a table; NaN where no row counts.

        Raises ``ValueError`` for a table that lacks a column.
        """
        values = self.values(rows)
        values = values[~np.isnan(values).any(axis=1)]
        # Sums that are rounded once are the same in any order of rows.
        sums = np.array([math.fsum(column) for column in values.T])
        return float(self.of_sums(sums, np.float64(len(values))))

    def values(self, rows: pd.DataFrame) -> np.ndarray:
        """What is summed, ``[n, C']``, with NaN in rows that do not count."""
        missing = [column for column in self.columns if column not in rows]
        if missing:
            raise ValueError(f"{self.name} needs the columns {missing}; there are {[*rows]}")
        values = rows[list(self.columns)].to_numpy(dtype=np.float64)
        if self.per_clip is None:
            return values
        counted = ~np.isnan(values).any(axis=1)
        changed = np.asarray(self.per_clip(values), dtype=np.float64)
        changed[~counted] = np.nan
        return changed

    def of_sums(self, sums: np.ndarray, clips: np.ndarray) -> np.ndarray:
        """`combine`, and NaN where there are no clips."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(clips > 0, self.combine(sums, clips), np.nan)


def mean_score(
    name: str, column: str | None = None, *, unit: str = "", lower_is_better: bool | None = True
) -> Score:
    """The mean over clips of a column, by default the one of the score's name."""
    return Score(name, (column or name,), _mean, unit, lower_is_better)


def ratio_score(
    name: str, above: str, below: str, *, unit: str = "", lower_is_better: bool | None = True
) -> Score:
    """The sum of one column over the sum of another, such as edits over letters."""
    return Score(name, (above, below), _ratio, unit, lower_is_better)


def share_score(
    name: str,
    column: str,
    holds: Callable[[np.ndarray], np.ndarray],
    *,
    lower_is_better: bool | None = False,
) -> Score:
    """The share of the clips, 0 to 1, in which ``holds`` is true of a column."""
    return Score(name, (column,), _mean, lower_is_better=lower_is_better, per_clip=holds)


def _mean(sums: np.ndarray, clips: np.ndarray) -> np.ndarray:
    return sums[..., 0] / clips


def _ratio(sums: np.ndarray, clips: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def interval_over_runs(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean of the scores of several runs and the interval of that mean by Student's t.

    The interval is NaN for a single run. Raises ``ValueError`` without any.
    """
    check_level(level)
    runs = np.asarray(values, dtype=np.float64)
    if runs.ndim != 1 or not len(runs):
        raise ValueError(f"expected the scores of at least one run, got {values!r}")
    mean = float(runs.mean())
    if len(runs) < 2:
        return mean, math.nan, math.nan
    half = student_t.ppf((1 + level) / 2, len(runs) - 1) * runs.std(ddof=1) / math.sqrt(len(runs))
    return mean, mean - float(half), mean + float(half)


@dataclass(frozen=True)
class ClipSums:
    """What a score sums, clip by clip in the order of the keys; clips that do not count are out."""

    score: Score
    keys: pd.MultiIndex  # n
    sums: np.ndarray  # [n, C']
    rows: np.ndarray  # [n], how many rows of the clip count

    @classmethod
    def of(cls, score: Score, rows: pd.DataFrame) -> ClipSums:
        """Raises ``ValueError`` for a table that lacks the corpus or name of a row."""
        missing = [key for key in CLIP_KEYS if key not in rows or rows[key].isna().any()]
        if missing:
            raise ValueError(f"every row of a table of clips needs {missing} to resample clips")
        values = score.values(rows)
        counted = ~np.isnan(values).any(axis=1)
        values = values[counted]
        keys = rows.loc[counted, list(CLIP_KEYS)]
        index = pd.MultiIndex.from_frame(keys.astype(str))
        clips = index.unique().sort_values()
        places = clips.get_indexer(index)
        order = np.lexsort((*values.T, places))  # rows of one clip are added in one order
        sums = np.zeros((len(clips), values.shape[1]))
        np.add.at(sums, places[order], values[order])
        return cls(score, clips, sums, np.bincount(places, minlength=len(clips)).astype(float))

    def averaged(self, keys: pd.MultiIndex) -> ClipSums:
        """These clips alone, each counted once, as the mean of its rows."""
        chosen = self.keys.get_indexer(keys)
        sums = self.sums[chosen] / self.rows[chosen, None]
        return ClipSums(self.score, keys, sums, np.ones(len(keys)))


def check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"the level of an interval lies between 0 and 1, got {level}")
