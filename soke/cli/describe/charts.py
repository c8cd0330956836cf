"""What all figures share: size, style, colours, titles, bars.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart. Labels are ASCII, so
that no font has to be looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from soke.cli.describe.counting import Row
from soke.cli.describe.description import Description
from soke.files import atomic_path

#: Inches and dots an inch: 1200 pixels wide. The height follows what is shown, lest a few bars
#: become blocks; for three data sets it is about 800 pixels.
WIDTH, DPI = 10, 120
HEADLINE, BAR_HEIGHT = 0.5, 0.22  # inches: the title, the distance between bars
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
#: Lines that may run on top of each other are told apart by these as well.
DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 1, 1, 1)), (0, (8, 4)), (0, (2, 4)))
BINS = 50  # of a histogram, at most
INK, PALE_INK, TRACK = "#262626", "#6B6B6B", "#EBEBEB"
STYLE = {
    "font.family": ["DejaVu Sans"], "font.size": 10, "axes.titlesize": 10,
    "axes.titlelocation": "left", "axes.labelsize": 10, "xtick.labelsize": 9, "ytick.labelsize": 9,
    "figure.titlesize": 13, "legend.frameon": False, "legend.fontsize": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": PALE_INK,
    "axes.labelcolor": INK, "text.color": INK, "xtick.color": PALE_INK, "ytick.color": PALE_INK,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK, "figure.constrained_layout.h_pad": 0.06,
}  # fmt: skip


def write_figure(path: Path, draw: Callable[[Figure], None]) -> None:
    """Let ``draw`` fill a figure and set its height, and write it as PNG, atomically."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, WIDTH), dpi=DPI, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        draw(figure)
        with atomic_path(path) as temporary:
            figure.savefig(temporary)


def color(description: Description, data_set: str) -> str:
    return COLORS[description.known.index(data_set) % len(COLORS)]


def of_all(description: Description) -> str:
    """Which data sets and splits are shown."""
    return f"{', '.join(description.data_sets)}  ({', '.join(description.splits)})"


def place(row: Row) -> str:
    return f"{row['data_set']} {row['split']}"


def headline(figure: FigureBase, text: str) -> None:
    figure.suptitle(text, x=0.01, ha="left")


def subtitle(figure: FigureBase, text: str) -> None:
    figure.suptitle(text, x=0.01, ha="left", fontsize=11)


def statement(axes: Axes, text: str, width: int = 100) -> None:
    """Words in place of a plot that would be empty."""
    axes.set_axis_off()
    axes.text(0, 0.5, fill(text, width), va="center", transform=axes.transAxes)


def bars(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[float],
    colors: Sequence[str],
    notes: Sequence[str],
    whole: float | None = None,
) -> None:
    """Horizontal bars from the top down, each with a note at its end.

    With ``whole`` each runs along a pale track of that length, and the notes stand behind it.
    """
    places = range(len(names))
    drawn = axes.barh(places, values, color=colors, height=0.7)
    if whole is not None:
        drawn = axes.barh(places, [whole] * len(names), color=TRACK, height=0.7, zorder=0)
    axes.bar_label(drawn, notes, padding=3, fontsize=9)
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


def counted(axis: Axis, ticks: int = 5) -> None:
    """Ticks at whole numbers, thousands with commas."""
    axis.set_major_locator(MaxNLocator(ticks, integer=True))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def shared(axis: Axis, ticks: int = 3) -> None:
    """Ticks at shares, as per cent."""
    axis.set_major_locator(MaxNLocator(ticks))
    axis.set_major_formatter(PercentFormatter(1))
