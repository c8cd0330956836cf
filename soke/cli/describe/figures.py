"""The numbers of a description as figures. A data set has the same color in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from soke.cli.charts import (
    COLORS,
    DASHES,
    INK,
    PALE_INK,
    count_ticks,
    headline,
    logarithmic,
    write_figure,
)
from soke.cli.describe.counting import Row, Section, unit, words
from soke.cli.describe.description import Description

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 2.2  # inches: the height of a row of plots
HEAD = 0.5  # inches: the height of the title
BINS = 50  # of a histogram, at most


def draw_all(description: Description, folder: Path) -> list[Path]:
    """Write every figure below ``folder``. Returns their paths.

    A figure without numbers is not drawn, and one of an earlier call is removed.
    """
    paths = []
    for name, (subject, draw) in FIGURES.items():
        path = folder / f"{name}.png"
        if subject in description.notes:
            path.unlink(missing_ok=True)
            continue
        write_figure(path, partial(draw, description=description))
        paths.append(path)
    return paths


def _color(description: Description, data_set: str) -> str:
    return COLORS[description.known.index(data_set) % len(COLORS)]


def _title(subject: str, description: Description) -> str:
    return f"{subject}: {', '.join(description.data_sets)}  ({', '.join(description.splits)})"


def draw_lengths(figure: Figure, description: Description) -> None:
    """Histograms of clip lengths: one row per data set, one column per split."""
    sets = description.data_sets
    splits = description.splits
    figure.set_figheight(HEAD + ROW * len(sets))
    headline(figure, _title("Clip lengths", description))
    grid = figure.subplots(len(sets), len(splits), sharex=True, squeeze=False)
    known = [s.lengths.max() for s in description.sections if s.lengths is not None and s.clips]
    longest = int(max([description.limits.maximum, *known]))
    for section, row in zip(description.sections, description.rows["lengths"]):
        axes = grid[sets.index(row["data_set"]), splits.index(row["split"])]
        outside = ", ".join(
            f"{key} ?" if row[key] is None else f"{key} {row[key]:.1%}"
            for key in ("stretched", "squeezed")
        )
        name = f"{row['data_set']} {row['split']}"
        axes.set_title(f"{name}: {row['clips']:,} clips, {row['fps']:g} frames/s\n{outside}")
        _draw_clips(axes, section, description, longest)
    grid[0, 0].set_xlim(0, 1.05 * longest / min(row["fps"] for row in description.rows["lengths"]))
    for axes in grid[-1]:
        axes.set_xlabel("seconds")
    for axes in grid[:, 0]:
        axes.set_ylabel("clips")


def _draw_clips(axes: Axes, section: Section, description: Description, longest: int) -> None:
    if section.lengths is None:
        axes.text(0.5, 0.5, "lengths were not read", ha="center", transform=axes.transAxes)
        axes.set_yticks([])
        return
    fps = section.corpus.fps
    limits = description.limits
    for limit, side, offset in ((limits.minimum, "left", 4), (limits.maximum, "right", -4)):
        axes.axvline(limit / fps, color=INK, linestyle="--", linewidth=1)
        axes.annotate(
            f"{limit} frames",
            (limit / fps, 1),
            xytext=(offset, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha=side,
            va="top",
            fontsize=8,
            color=PALE_INK,
        )
    color = _color(description, section.corpus.name)
    axes.hist(section.lengths / fps, list(_whole_bins(0, longest) / fps), color=color)
    axes.margins(y=0.2)  # room for the limits' labels
    count_ticks(axes.yaxis, 4)


def _whole_bins(least: int, greatest: int) -> np.ndarray:
    """The edges of up to `BINS` bins, each of the same number of whole numbers."""
    step = -(-greatest // BINS)
    return np.arange(least, greatest + step + 1, step) - 0.5


def draw_texts(figure: Figure, description: Description) -> None:
    """One row per language: lengths of its texts, and how often its training words occur."""
    rows = description.rows["vocabulary"]
    figure.set_figheight(HEAD + ROW * len(rows))
    headline(figure, _title("Texts", description))
    grid = figure.subplots(len(rows), 2, squeeze=False)
    for (lengths, frequencies), row in zip(grid, rows):
        _draw_text_lengths(lengths, description, row["language"])
        _draw_ranks(frequencies, description, row)
    grid[-1, 1].set_xlabel("rank")


def _draw_text_lengths(axes: Axes, description: Description, language: str) -> None:
    """A histogram in which several data sets are stacked."""
    sizes: dict[str, list[int]] = {}
    for section in description.sections:
        if section.corpus.language == language:
            counts = [len(words(text, language)) for text in section.texts]
            sizes.setdefault(section.corpus.name, []).extend(counts)
    everything = [size for some in sizes.values() for size in some]
    edges = _whole_bins(min([1, *everything]), max([8, *everything]))
    colors = [_color(description, name) for name in sizes]
    labels = [f"{name}: {len(some):,} texts" for name, some in sizes.items()]
    axes.hist(
        list(sizes.values()), list(edges), stacked=True, color=colors, rwidth=0.9, label=labels
    )
    axes.set_title(f"{language}: length in {unit(language)}s")
    axes.set_ylabel("texts")
    axes.legend()
    count_ticks(axes.xaxis, 8)
    count_ticks(axes.yaxis, 4)


def _draw_ranks(axes: Axes, description: Description, row: Row) -> None:
    language = row["language"]
    counts = description.words[language][description.training].values()
    ranked = sorted(counts, reverse=True)
    first = next(s.corpus.name for s in description.sections if s.corpus.language == language)
    axes.plot(range(1, len(ranked) + 1), ranked, color=_color(description, first), linewidth=2)
    name = unit(language)
    axes.set_title(
        f"{language} {description.training}: {row['types']:,} different {name}s, "
        f"{row['tokens']:,} running {name}s"
    )
    axes.set_ylabel("occurrences")
    logarithmic(axes, "x", "{x:,g}")
    logarithmic(axes, "y", "{x:,g}")
    axes.set_ylim(0.8, 1.3 * max([10, *ranked[:1]]))


def draw_tokens(figure: Figure, description: Description) -> None:
    """Sorted frequencies of the codes: one plot per part, one line per data set."""
    rows = description.rows["tokens"]
    parts = list(dict.fromkeys(row["part"] for row in rows))
    with_tokens = dict.fromkeys(row["data_set"] for row in rows)
    absent = [name for name in description.data_sets if name not in with_tokens]
    title = _title("Token usage", description)
    headline(figure, f"{title}; no token files: {', '.join(absent)}" if absent else title)
    figure.set_figheight(HEAD + 3.6)
    grid = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    for axes, part in zip(grid, parts):
        own = [row for row in rows if row["part"] == part]
        draw_frequencies(axes, own, [_color(description, row["data_set"]) for row in own])
    grid[0].set_ylabel("share of steps")


def draw_frequencies(axes: Axes, rows: Sequence[Row], colors: Sequence[str]) -> None:
    """The frequencies of a part's codes; unused codes have none."""
    size = rows[0]["codes"]
    for row, color, dashes in zip(rows, colors, 2 * DASHES):
        counts = np.sort([count for count in row["counts"] if count])[::-1]
        ranks = np.arange(1, len(counts) + 1)
        share = row["in_use"] / size
        use = f"{row['in_use']} in use ({share:.0%}), perplexity {row['perplexity']:.1f}"
        label = f"{row['data_set']}:\n{use}"
        shares = counts / counts.sum()
        axes.plot(ranks, shares, color=color, linestyle=dashes, linewidth=2, label=label)
    axes.axhline(1 / size, color=INK, linewidth=0.8, label="all codes alike")
    logarithmic(axes, "y", "{x:g}")
    axes.set_xlim(0, size)
    axes.set_title(f"{rows[0]['part']}: {size} codes")
    axes.set_xlabel("codes by falling frequency")
    axes.legend(loc="upper right", fontsize=8)


#: By file: the subject of its numbers, and what draws it.
FIGURES = {
    "clip_lengths": ("lengths", draw_lengths),
    "texts": ("texts", draw_texts),
    "token_usage": ("tokens", draw_tokens),
}
