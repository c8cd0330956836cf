"""The numbers of a description as tables of text."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from soke.cli.describe.counting import Row
from soke.cli.describe.description import Description

#: Letters of a printed line.
WIDTH = 100


def all_tables(description: Description) -> list[Table]:
    """Every table that has rows."""
    makers = (lengths, entries, frames, texts, annotations, vocabulary, unseen, pieces, tokens)
    tables = [make(description) for make in makers]
    return [table for table in tables if table.row_count]


def whole(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f}"


def decimal(value: float | None) -> str:
    return "?" if value is None else f"{value:,.1f}"


def percent(value: float | None) -> str:
    return "?" if value is None else f"{value:.1%}"


def new_table(title: str, names: Sequence[str], values: Sequence[str]) -> Table:
    """An empty table with columns of words on the left and of numbers on the right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.padding, table.pad_edge = (0, 1), False
    for name in names:
        table.add_column(name)
    for value in values:
        table.add_column(value, justify="right")
    return table


def spread_cells(row: Row) -> list[str]:
    return [whole(row[key]) for key in ("least", "median", "mean", "p95", "greatest")]


def lengths(description: Description) -> Table:
    limits = description.limits
    table = new_table(
        f"Clip lengths in frames; stretched to {limits.minimum}, squeezed to {limits.maximum}",
        ("data set", "split"),
        ("clips", "hours", "least", "median", "mean", "95 %", "greatest", "stretched", "squeezed"),
    )
    for row in description.rows["lengths"]:
        hours = "?" if row["seconds"] is None else f"{row['seconds'] / 3600:.2f}"
        outside = percent(row["stretched"]), percent(row["squeezed"])
        cells = [row["data_set"], row["split"], whole(row["clips"]), hours]
        table.add_row(*cells, *spread_cells(row), *outside)
    return table


def entries(description: Description) -> Table:
    table = new_table(
        "Entries of the annotations", ("data set", "split", "poses from"), ("entries", "kept")
    )
    table.add_column("left out")
    for row in description.rows["entries"]:
        reasons = sorted(row["dropped"].items(), key=lambda pair: -pair[1])
        left_out = "; ".join(f"{reason}: {count:,}" for reason, count in reasons) or "none"
        counts = whole(row["entries"]), whole(row["kept"])
        table.add_row(row["data_set"], row["split"], row["poses_from"], *counts, left_out)
    return table


def frames(description: Description) -> Table:
    keys = ("native", "frame_rate", "cut", "squeezed", "repeated", "used", "missing")
    keys += ("clips_with_gaps",)
    table = new_table(
        "Frames of the clips that are kept: on disk - thinned - cut - squeezed + repeated = used",
        ("data set", "split"),
        ("on disk", "thinned", "cut", "squeezed", "repeated", "used", "missing", "clips with gaps"),
    )
    for row in description.rows["frames"]:
        table.add_row(row["data_set"], row["split"], *(whole(row[key]) for key in keys))
    return table


def texts(description: Description) -> Table:
    table = new_table(
        "Texts and their lengths",
        ("data set", "split", "language", "unit"),
        ("texts", "distinct", "median", "mean", "greatest", "characters (mean)"),
    )
    for row in description.rows["texts"]:
        length = row["length"]
        table.add_row(
            row["data_set"], row["split"], row["language"], row["unit"], whole(row["texts"]),
            whole(row["distinct"]), whole(length["median"]), decimal(length["mean"]),
            whole(length["greatest"]), decimal(row["characters"]["mean"]),
        )  # fmt: skip
    return table


def annotations(description: Description) -> Table:
    """What annotations say beside the texts, for the data sets that have any of it."""
    table = new_table(
        "Glosses, signers and frames, by the annotations",
        ("data set", "split"),
        ("clips with gloss", "different glosses", "signers", "frames (mean)"),
    )
    for row in description.rows["texts"]:
        mean = row["annotated_frames"]["mean"]
        if row["with_gloss"] or row["signers"] or mean is not None:
            counts = (whole(row[key]) for key in ("with_gloss", "gloss_types", "signers"))
            table.add_row(row["data_set"], row["split"], *counts, decimal(mean))
    return table


def vocabulary(description: Description) -> Table:
    table = new_table(
        f"Vocabulary of the split {description.training!r}",
        ("language", "unit"),
        ("types", "tokens", "types that occur once"),
    )
    for row in description.rows["vocabulary"]:
        cells = whole(row["types"]), whole(row["tokens"]), percent(row["hapax"])
        table.add_row(row["language"], row["unit"], *cells)
    return table


def unseen(description: Description) -> Table:
    table = new_table(
        f"What the split {description.training!r} lacks",
        ("language", "split", "unit"),
        ("types", "unseen", "tokens", "unseen"),
    )
    for row in description.rows["vocabulary"]:
        for other in row["held_out"]:
            kinds = whole(other["types"]), percent(other["unseen_types"])
            running = whole(other["tokens"]), percent(other["unseen_tokens"])
            table.add_row(row["language"], other["split"], row["unit"], *kinds, *running)
    return table


def pieces(description: Description) -> Table:
    table = new_table(
        "Texts in pieces of the generator",
        ("language", "split"),
        ("texts", "pieces", "unknown", "texts with unknown", "longest text"),
    )
    for row in description.rows["pieces"]:
        table.add_row(
            row["language"], row["split"], whole(row["texts"]), whole(row["pieces"]),
            percent(row["unknown"]), percent(row["texts_with_unknown"]), whole(row["longest"]),
        )  # fmt: skip
    return table


def tokens(description: Description) -> Table:
    table = new_table(
        "Token usage",
        ("data set", "part"),
        ("clips with tokens", "steps", "codes", "in use", "share", "perplexity"),
    )
    for row in description.rows["tokens"]:
        table.add_row(
            row["data_set"], row["part"], f"{row['with_tokens']:,} of {row['clips']:,}",
            whole(row["steps"]), whole(row["codes"]), whole(row["in_use"]),
            percent(row["in_use"] / row["codes"]), decimal(row["perplexity"]),
        )  # fmt: skip
    return table
