"""What all figures share: size, style, colors, titles, axes.

The colors are those of Okabe and Ito, which color-blind readers can tell apart. Labels are ASCII,
which the font that comes with matplotlib can draw. Matplotlib is imported when a figure is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soke.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH = 10  # inches
DPI = 120
COLUMNS = 3  # of a grid of small plots
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
#: Tell lines apart that may run on top of each other.
DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 1, 1, 1)), (0, (8, 4)), (0, (2, 4)))
INK = "#262626"
PALE_INK = "#6B6B6B"
STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "figure.titlesize": 13,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": PALE_INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": PALE_INK,
    "ytick.color": PALE_INK,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.constrained_layout.h_pad": 0.06,
}


def write_figure(path: Path, draw: Callable[[Figure], None]) -> None:
    """Let ``draw`` fill a figure, 1200 pixels wide, and set its height; write it as PNG."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, WIDTH), dpi=DPI, layout="constrained", facecolor="white")
        draw(figure)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png")


def require_png(path: Path, option: str = "") -> None:
    """Raise ``ValueError``, which names ``option``, for a path that does not end in .png."""
    if path.suffix.lower() != ".png":
        raise ValueError(f"{option}{path} should end in .png")


def headline(figure: Figure, text: str) -> None:
    figure.suptitle(text, x=0.01, ha="left")


def small_plots(
    figure: Figure, count: int, row: float, head: float, share_y: bool = False
) -> list[Axes]:
    """``count`` plots in up to `COLUMNS` columns, row by row.

    A row is ``row`` inches high; ``head`` inches are for what surrounds the grid.
    """
    columns = min(COLUMNS, count)
    rows = math.ceil(count / columns)
    figure.set_size_inches(WIDTH, head + rows * row)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=share_y)
    for axes in grid.flat[count:]:
        axes.set_visible(False)
    return list(grid.flat[:count])


def count_ticks(axis: Axis, ticks: int = 5) -> None:
    """Place ticks at whole numbers, with commas between thousands."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axis.set_major_locator(MaxNLocator(ticks, integer=True))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def logarithmic(axes: Axes, letter: str, format: str) -> None:
    """Scale the axis "x" or "y" logarithmically; ``format`` writes a tick's value ``x``."""
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    axes.set(**{f"{letter}scale": "log"})
    axis = getattr(axes, f"{letter}axis")
    axis.set_major_formatter(StrMethodFormatter(format))
    axis.set_minor_formatter(NullFormatter())
