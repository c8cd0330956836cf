"""Figures of the texts and of their words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, PercentFormatter, StrMethodFormatter

from soke.cli.describe.charts import (
    BAR_HEIGHT,
    BINS,
    DASHES,
    HEADLINE,
    bars,
    color,
    counted,
    headline,
    of_all,
    statement,
)
from soke.cli.describe.counting import Row, characters, unit, words
from soke.cli.describe.description import Description
from soke.cli.describe.tables import percent


def language_color(description: Description, language: str) -> str:
    """The colour of a language's first data set."""
    return color(description, description.sets_of(language)[0])


def draw_texts(figure: Figure, description: Description) -> None:
    languages, rows = list(description.words), description.rows["texts"]
    figure.set_figheight(HEADLINE + max(2 * len(languages), 2 * BAR_HEIGHT * len(rows)))
    left, right = figure.subfigures(1, 2, width_ratios=(2, 3))
    axes = left.subplots()
    names = [f"{row['data_set']} ({row['language']})\n{row['split']}" for row in rows]
    notes = [f"{row['texts']:,} ({distinct(row)})" for row in rows]
    colors = [color(description, row["data_set"]) for row in rows]
    bars(axes, names, [row["texts"] for row in rows], colors, notes)
    axes.set_xlim(0, 1.75 * max(row["texts"] for row in rows))
    axes.set_title("Number of texts")
    axes.set_xlabel("texts")
    counted(axes.xaxis, 4)
    grid = right.subplots(len(languages), 2, squeeze=False)
    for language, (by_words, by_characters) in zip(languages, grid):
        if unit(language) == "word":
            histogram(by_words, description, language, lambda t, lang=language: len(words(t, lang)))
            by_words.set_title(f"{language}: length in words")
        else:
            statement(
                by_words, f"{language} is written without spaces; its characters are counted", 30
            )
        histogram(by_characters, description, language, characters)
        by_characters.set_title(f"{language}: length in characters")
    grid[-1, 0].set_xlabel("words")
    grid[-1, 1].set_xlabel("characters (letters and digits)")
    headline(figure, f"Texts: {of_all(description)}")


def distinct(row: Row) -> str:
    return "all distinct" if row["texts"] == row["distinct"] else f"{row['distinct']:,} distinct"


def histogram(
    axes: Axes, description: Description, language: str, measure: Callable[[str], int]
) -> None:
    """Lengths of the texts of a language; those of several data sets stand on each other."""
    sets = description.sets_of(language)
    sizes = [
        [measure(t) for s in description.sections if s.corpus.name == name for t in s.texts]
        for name in sets
    ]
    least = min([1, *(min(some, default=1) for some in sizes)])
    greatest = max([8, *(max(some, default=1) for some in sizes)])
    step = -(-greatest // BINS)  # bins of whole numbers
    edges = np.arange(least, greatest + step + 1, step) - 0.5
    colors = [color(description, name) for name in sets]
    axes.hist(sizes, edges, stacked=True, color=colors, rwidth=0.9, label=sets)
    axes.set_ylabel("texts")
    if len(sets) > 1:
        axes.legend()
    counted(axes.xaxis, 8)
    counted(axes.yaxis, 4)


def draw_vocabulary(figure: Figure, description: Description) -> None:
    left, right = figure.subfigures(1, 2, width_ratios=(3, 2))
    draw_zipf(left.subplots(), description)
    training, rows = description.training, description.rows["vocabulary"]
    panels = {
        f"Types that occur once in {training}": [
            (row["language"], row["language"], row["hapax"]) for row in rows
        ],
        f"Running words (characters) unseen in {training}": [
            (row["language"], f"{row['language']} {other['split']}", other["unseen_tokens"])
            for row in rows
            for other in row["held_out"]
        ],
        "Pieces unknown to the generator": [
            (row["language"], f"{row['language']} {row['split']}", row["unknown"])
            for row in description.rows["pieces"]
        ],
    }
    panels = {title: panel for title, panel in panels.items() if panel}
    heights = [BAR_HEIGHT * len(panel) + 0.6 for panel in panels.values()]
    height = max(sum(heights), 4)
    figure.set_figheight(HEADLINE + height)
    grid = right.subplots(
        len(panels) + 1, 1, height_ratios=[*heights, height - sum(heights) + 0.01]
    )
    grid[-1].set_axis_off()  # what the bars leave free
    for axes, (title, panel) in zip(grid, panels.items()):
        languages, names, shares = zip(*panel)
        colors = [language_color(description, language) for language in languages]
        notes = [percent(share) for share in shares]
        bars(axes, names, [share or 0.0 for share in shares], colors, notes, whole=1)
        axes.set_title(title)
        axes.set_xlim(0, 1.25)
        axes.set_xticks([0, 0.5, 1])
        axes.xaxis.set_major_formatter(PercentFormatter(1))
    headline(figure, f"Vocabulary: {of_all(description)}")


def draw_zipf(axes: Axes, description: Description) -> None:
    """Frequency over rank of the training words."""
    if not any(row["types"] for row in description.rows["vocabulary"]):
        return statement(axes, f"The texts of {description.training} have no words.")
    for row, dashes in zip(description.rows["vocabulary"], 2 * DASHES):
        language = row["language"]
        counts = description.words[language][description.training].values()
        ranked = np.sort(np.fromiter(counts, float))[::-1]
        label = f"{language}: {row['types']:,} types, {row['tokens']:,} {row['unit']}s"
        tint = language_color(description, language)
        axes.plot(
            np.arange(1, len(ranked) + 1), ranked, color=tint, linestyle=dashes, linewidth=2,
            label=label,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(0.8, 1.3 * max(10, axes.dataLim.ymax))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_title(f"Frequency over rank in {description.training}")
    axes.set_xlabel("rank")
    axes.set_ylabel("occurrences")
    axes.legend()
