"""Names and numbers as a reader sees them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from soke.cli.report.published_scores import CORPUS_TITLES
from soke.metrics.aggregate import TOTAL

#: Sections of the table of scores: the first pattern that matches a score's name decides.
_GROUPS = {
    r"DTW_.*(?<!_per_step)$": "Signing error, summed along the warping path",
    r"DTW_": "Signing error, per step of the warping path",
    r"(PA_)?MP[JV]PE_": "Reconstruction error",
    r"R@|sign_error|exactly_read": "Found and read back",
    r"SiBLEU|token_BLEU": "Tokens",
    r"BLEU|chrF|ROUGE": "Translated back to text",
    r".*_ratio|diversity": "Motion compared with the reference (a ratio should be 1)",
    r"": "Other",
}
#: Names with hyphens in place of underscores, and columns of clips named unlike their score.
_NAMES = {"text_rouge_l": "ROUGE-L"}
_NAMES |= {
    name: name.replace("_", "-") for name in ("DTW_PA_JPE", "DTW_JPE", "PA_MPJPE", "PA_MPVPE")
}
_NAME = re.compile("|".join(_NAMES))


def title(corpus: str) -> str:
    return "All data sets" if corpus == TOTAL else CORPUS_TITLES.get(corpus, corpus)


def readable(name: str) -> str:
    return name.replace("_per_step", ", per step").replace("_", " ")


def label(name: str) -> str:
    """A score's name for readers: ``DTW_PA_JPE_body`` is DTW-PA-JPE body."""
    return readable(_NAME.sub(lambda found: _NAMES[found[0]], name, count=1))


def number(value: float | None) -> str:
    """A value with as many digits as a table needs."""
    if value is None or math.isnan(value):
        return "–"
    size = abs(value)
    decimals = 0 if size >= 1000 else 1 if size >= 100 else 3
    return f"{value:.{decimals}f}"


def interval(bounds: Sequence[float | None] | None) -> str:
    """An interval (low, high); "" where it is not known."""
    if bounds is None or any(bound is None or math.isnan(bound) for bound in bounds):
        return ""
    return f"{number(bounds[0])} to {number(bounds[1])}"


def by_group(names: Iterable[str]) -> dict[str, list[str]]:
    """Names of scores by the title of their section, in the order of sections."""
    groups: dict[str, list[str]] = {group: [] for group in _GROUPS.values()}
    for name in names:
        group = next(group for pattern, group in _GROUPS.items() if re.match(pattern, name))
        groups[group].append(name)
    return {group: own for group, own in groups.items() if own}
