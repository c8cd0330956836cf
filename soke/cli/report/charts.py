"""Distributions of scores over clips as SVG: a histogram a system, all along one axis.

Colours are the page's, through classes of its style sheet, so that charts follow light and dark.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np
from matplotlib.ticker import MaxNLocator

BINS = 40
WIDTH, LEFT, ROW, FOOT = 440, 104, 40, 26
#: Share of all values that the axis reaches; larger ones are counted in the last bar.
REACH = 0.98


def distributions(values: Mapping[str, np.ndarray], title: str) -> str:
    """An ``<svg>`` of values by system, the first of which is the one that was tested.

    Returns "" where no system has a finite value.
    """
    finite = {system: found[np.isfinite(found)] for system, found in values.items()}
    finite = {system: found for system, found in finite.items() if len(found)}
    if not finite:
        return ""
    low, high = _range(np.concatenate(list(finite.values())))
    bottom = ROW * len(finite)
    rows = [
        _row(system, found, low, high, i * ROW, "tested" if i == 0 else "baseline")
        for i, (system, found) in enumerate(finite.items())
    ]
    medians = ", ".join(f"{name} {np.median(found):.3g}" for name, found in finite.items())
    words = escape(f"{title}. Medians: {medians}", quote=True)
    return (
        f'<svg viewBox="0 0 {WIDTH} {bottom + FOOT}" role="img" aria-label="{words}">'
        f"{''.join(rows)}{_axis(low, high, bottom)}</svg>"
    )


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(min(values.min(), 0)), float(np.quantile(values, REACH))
    return low, high if high > low else low + 1


def _x(value: float, low: float, high: float) -> float:
    return LEFT + (WIDTH - LEFT - 12) * min(max((value - low) / (high - low), 0), 1)


def _row(system: str, values: np.ndarray, low: float, high: float, top: int, kind: str) -> str:
    counts, edges = np.histogram(values.clip(low, high), BINS, (low, high))
    base, tallest = top + ROW - 4, ROW - 12
    bars = []
    for count, left, right in zip(counts, edges, edges[1:]):
        if count:
            x, width = _x(left, low, high), _x(right, low, high) - _x(left, low, high)
            height = max(tallest * count / counts.max(), 1)
            bars.append(
                f'<rect x="{x:.1f}" y="{base - height:.1f}" width="{max(width - 0.6, 0.6):.1f}" '
                f'height="{height:.1f}"/>'
            )
    median = _x(float(np.median(values)), low, high)
    name = escape(system.replace("_", " "))
    return (
        f'<g class="{kind}"><text class="name" x="{LEFT - 8}" y="{base - 4}">{name}</text>'
        f'<line class="base" x1="{LEFT}" x2="{WIDTH - 12}" y1="{base}" y2="{base}"/>'
        f'{"".join(bars)}<line class="median" x1="{median:.1f}" x2="{median:.1f}" '
        f'y1="{top + 4}" y2="{base + 3}"/></g>'
    )


def _axis(low: float, high: float, top: int) -> str:
    ticks = [tick for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    labels = "".join(
        f'<text x="{_x(tick, low, high):.1f}" y="{top + 16}">{tick:g}</text>' for tick in ticks
    )
    return f'<g class="axis">{labels}</g>'
