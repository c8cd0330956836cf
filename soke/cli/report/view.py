"""Results as the rows and cells that the page shows."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from soke.cli.report.published_scores import CORPUS_TITLES, PUBLISHED
from soke.cli.run_results import Results
from soke.metrics.aggregate import TOTAL

#: Sections of the table of scores: the first pattern that fits a score's name decides.
_GROUPS = (
    (re.compile(r"DTW_.*(?<!_per_step)$"), "Signing error, summed along the warping path"),
    (re.compile(r"DTW_"), "Signing error, per step of the warping path"),
    (re.compile(r"(PA_)?MP[JV]PE_"), "Reconstruction error"),
    (re.compile(r"R@|sign_error|exactly_read"), "Found and read back"),
    (re.compile(r"SiBLEU|token_BLEU"), "Tokens"),
    (re.compile(r"BLEU|chrF|ROUGE"), "Translated back to text"),
    (re.compile(r".*_ratio|diversity"), "Motion beside the reference (a ratio should be 1)"),
)
_OTHER = "Other"
#: Not scores but what they are of.
_COUNTS = ("clips",)
#: Columns of the table of clips that are named otherwise than the score made of them.
_COLUMNS = {"text_rouge_l": "ROUGE-L"}


@dataclass(frozen=True)
class Cell:
    """A score: its value, and what the value may be off by."""

    value: str
    interval: str = ""


@dataclass(frozen=True)
class Row:
    label: str
    unit: str
    direction: str  # an arrow to where better scores lie, or nothing
    cells: tuple[Cell, ...]  # a cell a system


@dataclass(frozen=True)
class Table:
    """All scores of a data set."""

    title: str
    clips: int | None
    systems: tuple[str, ...]
    groups: dict[str, list[Row]]  # by the group's title


@dataclass(frozen=True)
class PublishedRow:
    label: str
    pairs: tuple[tuple[Cell, str], ...]  # ours and theirs, a data set each


def corpora(results: Results) -> list[str]:
    return [corpus for corpus in results.about["scores"] if corpus != TOTAL]


def title(corpus: str) -> str:
    return "All data sets" if corpus == TOTAL else CORPUS_TITLES.get(corpus, corpus)


def tables(results: Results) -> list[Table]:
    """A table a data set, in the order of the results; that of all only if there are several."""
    chosen = corpora(results)
    if len(chosen) > 1 and TOTAL in results.about["scores"]:
        chosen = [TOTAL, *chosen]
    return [_table(results, corpus) for corpus in chosen]


def _table(results: Results, corpus: str) -> Table:
    about, known = results.about, results.scores()
    baselines = about.get("baselines") or {}
    systems = {results.system: (about["scores"], about.get("intervals"))}
    bounds = about.get("baseline_intervals") or {}
    systems |= {name: (scores, bounds.get(name)) for name, scores in baselines.items()}
    groups: dict[str, list[Row]] = {}
    for name in about["scores"][corpus]:
        if name in _COUNTS:
            continue
        cells = tuple(cell(of, intervals, corpus, name) for of, intervals in systems.values())
        better = known[name].lower_is_better if name in known else None
        arrow = {True: "↓", False: "↑", None: ""}[better]
        unit = (about.get("units") or {}).get(name, "")
        groups.setdefault(_group(name), []).append(Row(label(name), unit, arrow, cells))
    order = [group for _, group in _GROUPS] + [_OTHER]
    ordered = {group: groups[group] for group in order if group in groups}
    clips = about["scores"][corpus].get("clips")
    return Table(title(corpus), clips, tuple(map(readable, systems)), ordered)


def published_rows(results: Results) -> tuple[list[str], list[PublishedRow]]:
    """The data sets that both have, and a row a published score; empty where there are none."""
    about = results.about
    shown = [corpus for corpus in corpora(results) if corpus in CORPUS_TITLES]
    rows = []
    for name, theirs in PUBLISHED.items():
        if any(name in about["scores"][corpus] for corpus in shown):
            pairs = tuple(
                (
                    cell(about["scores"], about.get("intervals"), corpus, name),
                    f"{theirs[corpus]:.2f}",
                )
                for corpus in shown
            )
            rows.append(PublishedRow(label(name), pairs))
    return ([title(corpus) for corpus in shown], rows) if rows else ([], [])


def over_runs(results: Results) -> list[tuple[str, str, Cell]]:
    """Data set, score and its mean over runs with the interval, where there were several runs."""
    found: Mapping[str, Mapping[str, Sequence[float]]] = results.about.get("run_intervals") or {}
    if len(results.about.get("runs") or ()) < 2:
        return []
    return [
        (title(corpus), label(name), Cell(number(mean), interval((low, high))))
        for corpus, values in found.items()
        for name, (mean, low, high) in values.items()
    ]


def cell(
    scores: Mapping[str, Mapping[str, float]],
    intervals: Mapping[str, Mapping[str, Sequence[float]]] | None,
    corpus: str,
    name: str,
) -> Cell:
    value = scores.get(corpus, {}).get(name)
    return Cell(number(value), interval((intervals or {}).get(corpus, {}).get(name)))


def number(value: float | None) -> str:
    """A value in as many digits as a table needs."""
    if value is None or math.isnan(value):
        return "–"
    size = abs(value)
    return f"{value:.0f}" if size >= 1000 else f"{value:.1f}" if size >= 100 else f"{value:.3f}"


def interval(bounds: Sequence[float] | None) -> str:
    if bounds is None or any(bound is None or math.isnan(bound) for bound in bounds):
        return ""
    return f"{number(bounds[0])} to {number(bounds[1])}"


def label(name: str) -> str:
    """A score's name to read: ``DTW_PA_JPE_body`` is DTW-PA-JPE body."""
    if name in _COLUMNS:
        return _COLUMNS[name]
    for kind in ("DTW_PA_JPE", "DTW_JPE", "PA_MPJPE", "PA_MPVPE"):
        if name.startswith(f"{kind}_"):
            return f"{kind.replace('_', '-')} {readable(name.removeprefix(f'{kind}_'))}"
    return readable(name)


def readable(name: str) -> str:
    return name.replace("_per_step", ", per step").replace("_", " ")


def _group(name: str) -> str:
    return next((group for pattern, group in _GROUPS if pattern.match(name)), _OTHER)
