"""Differences of two runs as a picture: one small plot per score, one row per data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from soke.cli.charts import COLORS, INK, PALE_INK, headline, small_plots, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from soke.cli.comparison import Comparison

#: By verdict: color and words.
_LEGEND = {
    "B better": (COLORS[0], "B is better (p < 0.05)"),
    "A better": (COLORS[1], "A is better (p < 0.05)"),
    "differs": (COLORS[3], "they differ (p < 0.05)"),
    "": (PALE_INK, "could be chance"),
}
_DIRECTIONS = {True: "lower is better", False: "higher is better", None: ""}


def draw(comparison: Comparison, path: Path) -> None:
    """Write the picture as PNG."""
    write_figure(path, lambda figure: _draw(figure, comparison))


def _draw(figure: Figure, comparison: Comparison) -> None:
    from matplotlib.lines import Line2D

    headline(figure, f"B - A, with 95 % intervals     A: {comparison.a}     B: {comparison.b}")
    row = 0.75 + 0.24 * len(comparison.differences)
    plots = small_plots(figure, len(comparison.scores), row, head=1.1, share_y=True)
    verdicts = set()
    for axes, name in zip(plots, comparison.scores):
        verdicts |= _plot(axes, comparison, name)
    shown = [legend for verdict, legend in _LEGEND.items() if verdict in verdicts]
    figure.legend(
        [Line2D([], [], color=color, marker="o") for color, _ in shown],
        [meaning for _, meaning in shown],
        loc="outside lower left",
        ncols=4,
    )


def _plot(axes: Axes, comparison: Comparison, name: str) -> set[str]:
    """Draw one score. Returns the verdicts that it shows."""
    score = comparison.scores[name]
    verdicts = set()
    for place, pairs in enumerate(comparison.differences.values()):
        if name not in pairs:
            continue
        pair = pairs[name]
        verdict = comparison.verdict(pair)
        verdicts.add(verdict)
        color, _ = _LEGEND[verdict]
        axes.plot([pair.low, pair.high], [place, place], color=color, linewidth=2)
        axes.plot(pair.difference, place, "o", color=color, markersize=5)
    axes.set_title(f"{name} [{score.unit}]" if score.unit else name, fontweight="bold", fontsize=9)
    axes.axvline(0, color=INK, linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(comparison.differences)), comparison.differences)
    axes.set_ylim(len(comparison.differences) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)
    limit = max(map(abs, axes.get_xlim()))
    axes.set_xlim(-limit, limit)
    axes.set_xlabel(_DIRECTIONS[score.lower_is_better], fontsize=8, color=PALE_INK)
    return verdicts
