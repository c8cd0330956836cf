"""Which clips are shown: the best, the median and the worst of every data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from soke.cli.run_results import Results

#: Clips are ordered by the first of these that the table has. An error summed along the path grows
#: with the clip, so that the worst clip would always be the longest.
ORDER = (
    "DTW_JPE_hands_per_step",
    "DTW_JPE_hands",
    "DTW_JPE_body_per_step",
    "DTW_JPE_body",
    "text_rouge_l",
)


@dataclass(frozen=True)
class ShownClip:
    kind: str  # best, median, worst
    corpus: str
    name: str
    row: dict[str, object]  # of the table of clips


def order_of(results: Results, wanted: str | None) -> str | None:
    """The column that clips are ordered by, None where the table has none of the usual ones.

    Raises ``ValueError`` if ``wanted`` is not a column of numbers.
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
        ranked = own.sort_values([order, "name"], ascending=[not falling, True]).to_dict("records")
        for kind, places in _places(len(ranked), count).items():
            for row in (ranked[place] for place in places):
                shown.append(ShownClip(kind, str(corpus), str(row["name"]), row))
    return shown


def _places(clips: int, count: int) -> dict[str, Sequence[int]]:
    """The ranks of the clips of each kind; each clip is shown once."""
    best = range(min(count, clips))
    worst = range(max(clips - count, len(best)), clips)
    between = range(len(best), clips - len(worst))
    start = max(len(between) - count, 0) // 2
    return {"best": best, "median": between[start:][:count], "worst": worst}
