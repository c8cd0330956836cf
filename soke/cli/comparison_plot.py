"""Differences of two runs as a picture: a small plot a score, a row a data set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from soke.cli.describe.charts import COLORS, INK, PALE_INK, WIDTH, headline, write_figure
from soke.metrics.scores import PairedDifference

if TYPE_CHECKING:
    from soke.cli.compare import Comparison

COLUMNS = 3
_ROW, _FRAME, _HEAD = 0.24, 0.75, 1.1  # inches: a data set, what surrounds a plot, the title
_COLORS = {"B better": COLORS[0], "A better": COLORS[1], "differs": COLORS[3], "": PALE_INK}
_MEANINGS = {
    "B better": "B is better (p < 0.05)",
    "A better": "A is better (p < 0.05)",
    "differs": "they differ (p < 0.05)",
    "": "could be chance",
}


def draw(comparison: Comparison, path: Path) -> None:
    """Write the picture as PNG."""
    write_figure(path, lambda figure: _fill(figure, comparison))


def _fill(figure: Figure, comparison: Comparison) -> None:
    corpora, names = list(comparison.differences), list(comparison.scores)
    columns = min(COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure.set_size_inches(WIDTH, _HEAD + rows * (_FRAME + _ROW * len(corpora)))
    headline(figure, f"B - A, with 95 % intervals     A: {comparison.a}     B: {comparison.b}")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, name in zip(grid.flat, names):
        _plot(axes, comparison, name)
    for axes in list(grid.flat)[len(names) :]:
        axes.set_visible(False)
    shown = {
        comparison.verdict(pair)
        for pairs in comparison.differences.values()
        for pair in pairs.values()
    }
    figure.legend(
        [Line2D([], [], color=_COLORS[kind], marker="o") for kind in _COLORS if kind in shown],
        [_MEANINGS[kind] for kind in _COLORS if kind in shown],
        loc="outside lower left", ncols=4,
    )  # fmt: skip


def _plot(axes: Axes, comparison: Comparison, name: str) -> None:
    corpora, score = list(comparison.differences), comparison.scores[name]
    axes.set_title(f"{name} [{score.unit}]" if score.unit else name, fontweight="bold", fontsize=9)
    axes.axvline(0, color=INK, linewidth=0.8, zorder=0)
    for place, corpus in enumerate(corpora):
        found: Mapping[str, PairedDifference] = comparison.differences[corpus]
        if name not in found:
            continue
        pair = found[name]
        color = _COLORS[comparison.verdict(pair)]
        axes.plot([pair.low, pair.high], [place, place], color=color, linewidth=2)
        axes.plot(pair.difference, place, "o", color=color, markersize=5)
    axes.set_yticks(range(len(corpora)), corpora)
    axes.set_ylim(len(corpora) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)
    limit = max(map(abs, axes.get_xlim()))
    axes.set_xlim(-limit, limit)
    good = {True: "lower is better", False: "higher is better", None: ""}[score.lower_is_better]
    axes.set_xlabel(good, fontsize=8, color=PALE_INK)
