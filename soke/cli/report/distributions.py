"""Distributions of scores over clips: where the bars of histograms stand on the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

BINS = 40
#: Units of the picture. Names stand left of the bars, and every system has a row.
LEFT = 104
WIDTH = 440
RIGHT = WIDTH - 12
ROW = 40
TALLEST = ROW - 12
BAR = (RIGHT - LEFT) / BINS
#: Share of all values that the axis covers; larger ones are counted in the last bar.
REACH = 0.98


@dataclass(frozen=True)
class Histogram:
    system: str
    bars: list[tuple[float, float]]  # left edge and height
    median: float  # its place


@dataclass(frozen=True)
class Chart:
    """Histograms on one axis; the first system is the tested one."""

    title: str
    description: str
    rows: list[Histogram]
    ticks: list[tuple[float, str]]  # place and value


def make_chart(title: str, values: Mapping[str, np.ndarray]) -> Chart | None:
    """A chart of values [C] by system; None where no system has a finite value."""
    from matplotlib.ticker import MaxNLocator

    finite = {system: found[np.isfinite(found)] for system, found in values.items()}
    finite = {system: found for system, found in finite.items() if len(found)}
    if not finite:
        return None
    everything = np.concatenate(list(finite.values()))
    low = min(float(everything.min()), 0.0)
    high = float(np.quantile(everything, REACH))
    if high <= low:
        high = low + 1

    def place(value: float) -> float:
        share = np.clip((value - low) / (high - low), 0, 1)
        return round(LEFT + (RIGHT - LEFT) * float(share), 1)

    rows = []
    for system, found in finite.items():
        counts, _ = np.histogram(found.clip(low, high), BINS, (low, high))
        heights = np.maximum(TALLEST * counts / counts.max(), 1).round(1)
        bars = [(round(LEFT + BAR * int(i), 1), float(heights[i])) for i in np.flatnonzero(counts)]
        rows.append(Histogram(system, bars, place(np.median(found))))
    medians = ", ".join(f"{name} {np.median(found):.3g}" for name, found in finite.items())
    ticks = [tick for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    labels = [(place(tick), f"{tick:g}") for tick in ticks]
    return Chart(title, f"{title}. Medians: {medians}", rows, labels)
