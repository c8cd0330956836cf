"""How two test runs differ, clip by clip: paired differences, their intervals and p values."""

from __future__ import annotations

import difflib
import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.table import Table

from soke.cli.comparison_plot import draw
from soke.cli.run_results import Results, read_results
from soke.cli.tables import new_table, show
from soke.metrics.aggregate import TOTAL
from soke.metrics.scores import CLIP_KEYS, PairedDifference, Score, paired_differences

log = logging.getLogger(__name__)

#: The p value below which a difference is significant.
SIGNIFICANCE = 0.05
#: Left out unless --all or --metric asks for them.
_DETAIL = re.compile(
    r".*_per_step|(speed|deviation)_ratio_.*|BLEU-[123]|R@10|exactly_read|diversity"
)
#: Scores closer than this are equal: their last bits depend on how clips were batched.
_ROUNDING = 1e-6
#: Must be the same in both runs, or their numbers cannot be compared.
_ALIKE = {
    "system": "different systems",
    "split": "different splits",
    "body": "different body models",
}


@dataclass(frozen=True)
class Comparison:
    """Differences by corpus (and in total) and score."""

    a: str
    b: str
    scores: Mapping[str, Score]
    differences: Mapping[str, Mapping[str, PairedDifference]]

    def verdict(self, pair: PairedDifference) -> str:
        """Which run is better, if the difference is significant."""
        is_rounding = math.isclose(pair.a, pair.b, rel_tol=_ROUNDING)
        if is_rounding or not pair.p_value < SIGNIFICANCE:
            return ""
        lower_is_better = self.scores[pair.name].lower_is_better
        if lower_is_better is None:
            return "differs"
        return "B better" if (pair.difference < 0) == lower_is_better else "A better"


def compare(a: Results, b: Results, metrics: Sequence[str] = (), every: bool = False) -> Comparison:
    """Compare the tested systems of two runs.

    ``metrics`` names scores; without it the main ones, or all with ``every``. Raises ``ValueError``
    for an unknown score, for runs without a clip or score in common, and for runs of different
    systems, splits or body models.
    """
    _check(a, b)
    known = a.scores()
    others = b.scores()
    common = {name: score for name, score in known.items() if name in others}
    chosen = _chosen(common, metrics, every, a, b)
    rows = _common(a.rows(), b.rows(), f"{a.folder} and {b.folder}")
    names = (a.folder.name, b.folder.name)
    if names[0] == names[1]:
        names = str(a.folder), str(b.folder)
    differences = {}
    for corpus in [*rows[0]["corpus"].unique(), TOTAL]:
        own = [side if corpus == TOTAL else side[side["corpus"] == corpus] for side in rows]
        found = paired_differences(list(chosen.values()), *own)
        differences[corpus] = {name: pair for name, pair in found.items() if pair.clips}
    return Comparison(*names, chosen, differences)


def _check(a: Results, b: Results) -> None:
    for key, what in _ALIKE.items():
        if a.about[key] != b.about[key]:
            raise ValueError(
                f"{a.folder} and {b.folder} are of {what} ({a.about[key]!r} and {b.about[key]!r}) "
                "and cannot be compared: run `python -m test` for both with the same one"
            )
    ours = a.setting("METRIC")
    theirs = b.setting("METRIC")
    if ours != theirs:
        log.warning("the settings of METRIC differ: %s and %s", ours, theirs)


def _chosen(
    common: Mapping[str, Score], metrics: Sequence[str], every: bool, a: Results, b: Results
) -> dict[str, Score]:
    if not common:
        raise ValueError(f"{a.folder} and {b.folder} have no score of clips in common")
    for name in metrics:
        if name not in common:
            near = difflib.get_close_matches(name, common, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"--metric {name!r} is not one of {', '.join(common)}{hint}")
    if metrics:
        return {name: common[name] for name in dict.fromkeys(metrics)}
    main = {name: score for name, score in common.items() if not _DETAIL.fullmatch(name)}
    return dict(common) if every or not main else main


def _common(a: pd.DataFrame, b: pd.DataFrame, folders: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the clips that both have; warns if either has others."""
    keys = [pd.MultiIndex.from_frame(side[list(CLIP_KEYS)]) for side in (a, b)]
    both = keys[0].intersection(keys[1]).unique()
    if not len(both):
        raise ValueError(f"{folders} have no clip in common: were they tested on the same data?")
    alone = [len(key.unique()) - len(both) for key in keys]
    if any(alone):
        log.warning(
            "only the %d clips that both have are compared; %d are in A alone, %d in B alone",
            len(both),
            *alone,
        )
    return a[keys[0].isin(both)], b[keys[1].isin(both)]


def tables(comparison: Comparison) -> list[Table]:
    """One table per data set, and one of all clips."""
    return [_table(comparison, corpus, pairs) for corpus, pairs in comparison.differences.items()]


def _table(comparison: Comparison, corpus: str, pairs: Mapping[str, PairedDifference]) -> Table:
    clips = max((pair.clips for pair in pairs.values()), default=0)
    values = ("A", "B", "B - A", "95 % interval", "p")
    table = new_table(f"{corpus}: {clips} clips", ("score",), values, ("",))
    for name, pair in pairs.items():
        unit = comparison.scores[name].unit
        of_fewer = f" ({pair.clips} clips)" if pair.clips < clips else ""
        interval = "" if math.isnan(pair.low) else f"{signed(pair.low)} to {signed(pair.high)}"
        table.add_row(
            f"{name} [{unit}]{of_fewer}" if unit else f"{name}{of_fewer}",
            f"{pair.a:.3f}",
            f"{pair.b:.3f}",
            signed(pair.difference),
            interval,
            probability(pair.p_value),
            comparison.verdict(pair),
        )
    return table


def signed(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"  # without -0.000


def probability(p_value: float) -> str:
    return "" if math.isnan(p_value) else "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def compare_runs(
    one: Path, other: Path, metrics: Sequence[str], every: bool, out: Path | None
) -> None:
    """Print and draw how the run in folder ``other`` differs from the one in ``one``."""
    a = read_results(one)
    b = read_results(other)
    comparison = compare(a, b, metrics, every)
    heading = f"A: {one}\nB: {other}\nsplit {a.about['split']}, {a.about['body']}\n"
    warning = (
        f'"better" where p < {SIGNIFICANCE}. p values are not corrected for the number of scores:\n'
        "of twenty scores that do not differ, one looks as if it did."
    )
    show([heading, *tables(comparison), warning])
    path = out or b.folder / f"compare-{a.folder.resolve().name}.png"
    draw(comparison, path)
    log.info("wrote %s", path)
