"""From rows of clips to scores, their intervals, and a table."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from soke.body.points import COMBINED, POINT_SETS
from soke.metrics.aggregate import TOTAL
from soke.metrics.scores import (
    Score,
    bootstrap,
    interval_over_runs,
    mean_score,
    ratio_score,
    share_score,
)
from soke.metrics.text_scores import translation_scores
from soke.metrics.token_scores import token_scores

#: R@k of the clip's own reference among the references of the gallery.
RANKS = (1, 5, 10)
#: Not a score, but the number of clips.
CLIPS = "clips"
_SETS = (*POINT_SETS, *COMBINED)
_ERRORS = [
    f"DTW_{aligned}JPE_{name}{ending}"
    for ending in ("", "_per_step")
    for aligned in ("", "PA_")
    for name in _SETS
]
_RATIOS = [
    "length_ratio",
    *(f"{what}_ratio_{name}" for what in ("speed", "deviation") for name in _SETS),
]
_SURFACE_COLUMN = re.compile(r"(PA_)?MP[JV]PE_\w+")
_TOKEN_COLUMN = re.compile(r"tokens_(.+)_matches_1")
Scores = dict[str, dict[str, float]]
Intervals = dict[str, dict[str, tuple[float, float]]]


def score_list(columns: Iterable[str], parts: Sequence[str] | None = None) -> list[Score]:
    """All scores that can be computed from these columns of clips, in the order of tables.

    ``parts`` are those whose tokens are scored; by default all that have columns.
    """
    columns = list(columns)
    present = set(columns)
    if parts is None:
        parts = [found[1] for found in map(_TOKEN_COLUMN.fullmatch, columns) if found]
    known = [
        *(mean_score(name, unit="m") for name in _ERRORS),
        *(share_score(f"R@{k}", "rank", partial(np.greater_equal, k)) for k in RANKS),
        ratio_score("sign_error_rate", "edits", "letters"),
        share_score("exactly_read", "edits", partial(np.equal, 0)),
        *token_scores(parts),
        *translation_scores(),
        mean_score("diversity", unit="m", lower_is_better=None),
        *(mean_score(name, lower_is_better=None) for name in _RATIOS),
        *(_over_frames(name) for name in columns if _SURFACE_COLUMN.fullmatch(name)),
    ]
    return [score for score in known if present.issuperset(score.columns)]


def _over_frames(name: str) -> Score:
    """The mean over frames, in millimetres, of a column that holds the means of clips."""

    def weighted(values: np.ndarray) -> np.ndarray:
        return np.stack([values[:, 0] * values[:, 1], values[:, 1]], axis=1)

    def ratio(sums: np.ndarray, _: np.ndarray) -> np.ndarray:
        return sums[..., 0] / sums[..., 1]

    return Score(name, (name, "frames"), ratio, unit="mm", per_clip=weighted)


def groups(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of every corpus, and all of them as "total"."""
    return {**dict(iter(rows.groupby("corpus", sort=False))), TOTAL: rows}


def summarize(rows: pd.DataFrame, scores: Sequence[Score]) -> Scores:
    """``{corpus or "total": {score: value}}``; a score that no clip counts for is left out."""
    summary = {}
    for corpus, group in groups(rows).items():
        values = {score.name: score(group) for score in scores}
        clips = len(group[["corpus", "name"]].drop_duplicates())
        kept = {name: value for name, value in values.items() if not math.isnan(value)}
        summary[corpus] = {**kept, CLIPS: clips}
    return summary


def intervals(rows: pd.DataFrame, scores: Sequence[Score]) -> Intervals:
    """95 % bootstrap intervals over clips, ``{corpus or "total": {score: (low, high)}}``."""
    return {
        corpus: {
            name: bounds
            for name, bounds in bootstrap(scores, group).items()
            if not math.isnan(bounds[0])
        }
        for corpus, group in groups(rows).items()
    }


def over_runs(runs: Sequence[Scores]) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Mean and 95 % interval (Student's t) of the scores of runs with other seeds."""
    return {
        corpus: {
            name: interval_over_runs([run[corpus][name] for run in runs])
            for name in names
            if name != CLIPS and all(name in run[corpus] for run in runs)
        }
        for corpus, names in runs[0].items()
    }


def named(scores: Scores) -> dict[str, float]:
    """Scores under the names of the evaluation protocol, such as ``how2sign_DTW_JPE_body``."""
    return {
        f"{corpus}_{name}": value
        for corpus, values in scores.items()
        if corpus != TOTAL
        for name, value in values.items()
        if name != CLIPS
    }


def results_table(
    metadata: Mapping[str, object],
    scores: Scores,
    baselines: Mapping[str, Scores],
    bounds: Intervals | None = None,
) -> str:
    """All scores as text: one block per corpus, one row per metric, one column per system."""
    systems = {str(metadata.get("system", "generated")): scores, **baselines}
    blocks = [f"{metadata['name']}, body: {metadata['body']}"]
    for corpus in scores:
        columns = {name: system[corpus] for name, system in systems.items() if corpus in system}
        frame = pd.DataFrame(columns)
        clips = frame.index == CLIPS
        frame = frame.map(_number)
        frame[clips] = pd.DataFrame(columns)[clips].map("{:.0f}".format)
        if bounds:
            found = bounds.get(corpus, {})
            frame.insert(1, "95 %", [_interval(found.get(name)) for name in frame.index])
        blocks.append(f"{corpus}\n{frame.to_string()}")
    if "codebooks" in metadata:
        frame = pd.DataFrame(metadata["codebooks"])
        blocks.append(f"codebooks\n{frame.to_string(float_format=_number)}")
    return "\n\n".join(blocks) + "\n"


def _number(value: float) -> str:
    """Three places, or two digits of what is smaller."""
    if math.isnan(value):
        return ""
    if 0 < abs(value) < 0.01:
        return f"{value:.2g}" if abs(value) > 1e-5 else "0.000"
    return f"{value:.3f}"


def _interval(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f"{_number(bounds[0])} - {_number(bounds[1])}"
