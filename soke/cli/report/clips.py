"""Which clips are shown: the best, the median and the worst of every data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from soke.cli.report.view import label, number, title
from soke.cli.run_results import Results

#: What clips are ordered by: the first of them that the table has. An error summed along the path
#: grows with the clip, so that the worst clip would always be the longest.
ORDER = (
    "DTW_JPE_hands_per_step",
    "DTW_JPE_hands",
    "DTW_JPE_body_per_step",
    "DTW_JPE_body",
    "text_rouge_l",
)
#: Columns of the table that a clip's card shows where they are there.
FIGURES = ("DTW_JPE_body", "DTW_JPE_hands", "DTW_PA_JPE_body", "DTW_PA_JPE_hands", "length_ratio")
#: Texts that were made of a clip's motion.
READINGS = {"translation": "translated back", "read": "signs read back"}


@dataclass(frozen=True)
class ShownClip:
    kind: str  # best, median, worst
    corpus: str
    corpus_title: str
    name: str
    text: str
    keywords: str | None  # retrieved words, None where the table does not say
    readings: tuple[tuple[str, str], ...]  # what, and the text
    figures: tuple[tuple[str, str], ...]  # score and value


def order_of(results: Results, wanted: str | None) -> str | None:
    """The column that clips are ordered by, None where the table has none of the usual ones.

    Raises ``ValueError`` for a wanted one that is no number of the clips.
    """
    rows = results.rows()
    numbers = [name for name in rows.select_dtypes("number") if rows[name].notna().any()]
    if wanted is None:
        return next((name for name in ORDER if name in numbers), None)
    if wanted not in numbers:
        raise ValueError(f"--order_by is {wanted!r}; the clips have {', '.join(numbers)}")
    return wanted


def chosen_clips(results: Results, order: str, count: int) -> list[ShownClip]:
    """``count`` clips of each kind from every data set, of the first run."""
    rows = results.rows()
    rows = rows[(rows["run"] == rows["run"].min()) & rows[order].notna()]
    scores = {score.columns[0]: score for score in results.scores().values()}
    falling = order in scores and scores[order].lower_is_better is False
    shown = []
    for corpus, own in rows.groupby("corpus", sort=False):
        ranked = own.sort_values([order, "name"], ascending=[not falling, True])
        for kind, places in _places(len(ranked), count).items():
            shown += [_clip(kind, str(corpus), ranked.iloc[place]) for place in places]
    return shown


def _places(clips: int, count: int) -> dict[str, Sequence[int]]:
    """Where the clips of each kind stand; each clip is shown once."""
    best = range(min(count, clips))
    worst = range(max(clips - count, len(best)), clips)
    between = range(len(best), clips - len(worst))
    start = len(best) + max(len(between) - count, 0) // 2
    return {"best": best, "median": between[start - len(best) :][:count], "worst": worst}


def _clip(kind: str, corpus: str, row: pd.Series) -> ShownClip:
    def text(column: str) -> str:
        value = row.get(column)
        return value if isinstance(value, str) else ""

    return ShownClip(
        kind, corpus, title(corpus), str(row["name"]), text("text"),
        text("keywords") if "keywords" in row else None,
        tuple((what, text(column)) for column, what in READINGS.items() if text(column)),
        tuple((label(name), number(row[name])) for name in FIGURES if name in row),
    )  # fmt: skip
