"""The numbers of a description as figures. A data set has the same colour in all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import FuncFormatter, NullFormatter

from soke.cli.describe.charts import (
    BAR_HEIGHT,
    BINS,
    DASHES,
    HEADLINE,
    INK,
    PALE_INK,
    bars,
    color,
    counted,
    headline,
    of_all,
    place,
    shared,
    subtitle,
    write_figure,
)
from soke.cli.describe.counting import Row, Section
from soke.cli.describe.description import Description
from soke.cli.describe.tables import percent
from soke.cli.describe.text_figures import draw_texts, draw_vocabulary


def draw_all(description: Description, folder: Path) -> list[Path]:
    """Write every figure below ``folder``; the paths of the files.

    What there are no numbers of is not drawn, and a picture of an earlier call is removed.
    """
    paths = []
    for name, (subject, draw) in FIGURES.items():
        path = folder / f"{name}.png"
        if subject in description.notes:
            path.unlink(missing_ok=True)
            continue
        write_figure(path, lambda figure, draw=draw: draw(figure, description))
        paths.append(path)
    return paths


# --- clip lengths


def draw_lengths(figure: Figure, description: Description) -> None:
    sets, splits = description.data_sets, description.splits
    figure.set_figheight(HEADLINE + 2 * len(sets))
    grid = figure.subplots(len(sets), len(splits), sharex=True, squeeze=False)
    rows = {place(row): row for row in description.rows["lengths"]}
    end = 0.0
    for section in description.sections:
        name, row = section.corpus.name, rows[f"{section.corpus.name} {section.split}"]
        axes = grid[sets.index(name), splits.index(section.split)]
        outside = f"stretched {percent(row['stretched'])}, squeezed {percent(row['squeezed'])}"
        axes.set_title(f"{place(row)}: {row['clips']:,} clips, {row['fps']:g} frames/s\n{outside}")
        longest = draw_clips(axes, section, description, color(description, name))
        end = max(end, 1.05 * longest / section.corpus.fps)
    grid[0, 0].set_xlim(0, end)
    for axes in grid[-1]:
        axes.set_xlabel("seconds")
    for axes in grid[:, 0]:
        axes.set_ylabel("clips")
    headline(figure, f"Clip lengths: {of_all(description)}")


def draw_clips(axes: Axes, section: Section, description: Description, tint: str) -> int:
    """One histogram with the limits of the length rule; the greatest number of frames shown."""
    limits, fps = description.limits, section.corpus.fps
    known = [s.lengths for s in description.sections if s.lengths is not None and s.lengths.size]
    longest = max([limits.maximum, *(int(some.max()) for some in known)])
    if section.lengths is None:
        axes.text(0.5, 0.5, "lengths were not read", ha="center", transform=axes.transAxes)
        axes.set_yticks([])
        return longest
    for limit, side in ((limits.minimum, "left"), (limits.maximum, "right")):
        axes.axvline(limit / fps, color=INK, linestyle="--", linewidth=1)
        axes.annotate(
            f"{limit} frames", (limit / fps, 1), xytext=(4 if side == "left" else -4, 0),
            xycoords=("data", "axes fraction"), textcoords="offset points", ha=side, va="top",
            fontsize=8, color=PALE_INK,
        )  # fmt: skip
    step = -(-longest // BINS)  # bins of whole frames, alike in all panels
    axes.hist(
        section.lengths / fps, (np.arange(0, longest + step + 1, step) - 0.5) / fps, color=tint
    )
    axes.margins(y=0.2)  # room for the limits' labels
    counted(axes.yaxis, 4)
    return longest


# --- what was left out

FRAME_LOSSES = {
    "frame_rate": "thinned to the frame rate",
    "cut": "cut to whole tokens",
    "squeezed": "squeezed out of long clips",
    "repeated": "repeated in short clips",
    "missing": "missing in the numbering",
}


def draw_left_out(figure: Figure, description: Description) -> None:
    entries = description.rows["entries"]
    frames = [row for row in description.rows["frames"] if row["native"] is not None]
    by_reason = {
        reason: [(row["dropped"].get(reason, 0), row["entries"]) for row in entries]
        for reason in dict.fromkeys(reason for row in entries for reason in row["dropped"])
    }
    by_loss = {
        title: [(row[key] or 0, row["native"]) for row in frames]
        for key, title in FRAME_LOSSES.items()
    }
    absent = [title for title, pairs in by_loss.items() if not any(n for n, _ in pairs)]
    by_loss = {title: pairs for title, pairs in by_loss.items() if title not in absent}
    heights = [
        BAR_HEIGHT * len(entries) + 1.2 if columns else 0.4 for columns in (by_reason, by_loss)
    ]
    figure.set_figheight(HEADLINE + sum(heights))
    above, below = figure.subfigures(2, 1, height_ratios=heights)
    if by_reason:
        bar_columns(above, description, entries, by_reason, "share of entries")
        subtitle(above, "Entries that are left out")
    else:
        total = sum(row["entries"] for row in entries)
        subtitle(above, f"No entry is left out: all {total:,} are used.")
    if not frames:
        subtitle(below, "Frames are not counted, since poses were not read.")
    elif not by_loss:
        subtitle(below, "All frames are used as they are; none is missing.")
    else:
        none = f"; none {' or '.join(title.split()[0] for title in absent)}" if absent else ""
        bar_columns(below, description, frames, by_loss, "share of frames")
        subtitle(below, f"Frames of the entries that are kept{none}")
    headline(figure, f"Entries and frames left out: {of_all(description)}")


def bar_columns(
    figure: FigureBase,
    description: Description,
    rows: Sequence[Row],
    columns: dict[str, list[tuple[int, int]]],
    label: str,
) -> None:
    """A column of bars for each title; ``columns`` hold (count, of how many) for every row."""
    grid = figure.subplots(1, len(columns), sharex=True, sharey=True, squeeze=False)[0]
    names, colors = [place(row) for row in rows], [color(description, r["data_set"]) for r in rows]
    largest = 0.0
    for axes, (title, pairs) in zip(grid, columns.items()):
        shares = [n / total if total else 0.0 for n, total in pairs]
        largest = max(largest, *shares)
        bars(axes, names, shares, colors, [f"{n:,}" for n, _ in pairs])
        axes.set_title(fill(title, max(100 // len(columns), 12)))
        axes.set_xlabel(label)
        shared(axes.xaxis)
    grid[0].set_xlim(0, 1.5 * largest)


# --- tokens


def draw_tokens(figure: Figure, description: Description) -> None:
    """Needs the tokens of at least one data set."""
    rows = {(row["part"], row["data_set"]): row for row in description.rows["tokens"]}
    sets = list(dict.fromkeys(name for _, name in rows))
    parts = list(dict.fromkeys(part for part, _ in rows))
    heights = (3.2, 2 * BAR_HEIGHT * len(sets) + 0.7)
    figure.set_figheight(HEADLINE + sum(heights))
    grid = figure.subplots(2, len(parts), sharey="row", squeeze=False, height_ratios=heights)
    for part, (above, below) in zip(parts, grid.T):
        own = [rows[part, name] for name in sets]
        colors = [color(description, name) for name in sets]
        draw_frequencies(above, own, colors)
        bars(
            below,
            [name for row in own for name in (f"{row['data_set']}: in use", "perplexity")],
            [value for row in own for value in (row["in_use"], row["perplexity"])],
            [tint for tint in colors for _ in range(2)],
            [
                note
                for row in own
                for note in (
                    f"{row['in_use']} ({row['in_use'] / row['codes']:.0%})",
                    f"{row['perplexity']:.1f}",
                )
            ],
            whole=own[0]["codes"],
        )
        below.set_xlim(0, 1.45 * own[0]["codes"])
        below.set_xticks([0, own[0]["codes"] // 2, own[0]["codes"]])
        below.set_xlabel("codes")
    grid[0, 0].set_ylabel("share of steps")
    grid[0, 0].legend(loc="upper right")
    absent = [name for name in description.data_sets if name not in sets]
    without = f"; no token files: {', '.join(absent)}" if absent else ""
    splits = ", ".join(description.splits)
    headline(figure, f"Token usage: {', '.join(sets)}  ({splits}){without}")


def draw_frequencies(axes: Axes, rows: Sequence[Row], colors: Sequence[str]) -> None:
    """Sorted frequencies of the codes of a part, a line a data set; unused codes have none."""
    size = rows[0]["codes"]
    for row, tint, dashes in zip(rows, colors, 2 * DASHES):
        counts = np.sort([count for count in row["counts"] if count])[::-1]
        ranks = np.arange(1, len(counts) + 1)
        shares = counts / counts.sum()
        axes.plot(ranks, shares, color=tint, linestyle=dashes, linewidth=2, label=row["data_set"])
    axes.axhline(1 / size, color=INK, linewidth=0.8, label="all codes alike")
    axes.set_yscale("log")
    axes.set_xlim(0, size)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(f"{rows[0]['part']}: {size} codes")
    axes.set_xlabel("codes by falling frequency")


#: By file: the subject of its numbers, and what draws it.
FIGURES: dict[str, tuple[str, Callable[[Figure, Description], None]]] = {
    "clip_lengths": ("lengths", draw_lengths),
    "texts": ("texts", draw_texts),
    "left_out": ("entries", draw_left_out),
    "vocabulary": ("vocabulary", draw_vocabulary),
    "token_usage": ("tokens", draw_tokens),
}
