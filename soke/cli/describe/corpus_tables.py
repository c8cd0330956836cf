"""The numbers of a description as tables of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from soke.cli.describe.counting import Row, ratio
from soke.cli.describe.description import Description
from soke.cli.tables import new_table


@dataclass(frozen=True)
class Layout:
    """What a table shows of its rows.

    ``names`` and ``notes`` are the columns of words, first and last; ``values`` those of numbers,
    each "key" or "key:format". A key "length.median" leads into a row within the row.
    """

    title: str
    names: str
    values: str
    notes: str = ""


WHOLE = ",.0f"
TABLES = {
    "lengths": Layout(
        "Clip lengths in frames; stretched to {limits.minimum}, squeezed to {limits.maximum}",
        "data_set split",
        "clips hours:.2f least median mean p95 greatest stretched:.1% squeezed:.1%",
    ),
    "entries": Layout(
        "Entries of the annotations", "data_set split poses_from", "entries kept", "left_out"
    ),
    "frames": Layout(
        "Frames of the clips that are kept: on disk - thinned - cut - squeezed + repeated = used",
        "data_set split",
        "native frame_rate cut squeezed repeated used missing clips_with_gaps",
    ),
    "texts": Layout(
        "Texts and their lengths",
        "data_set split language unit",
        "texts distinct length.median length.mean:,.1f length.greatest characters.mean:,.1f",
    ),
    "annotations": Layout(
        "Glosses, signers and frames, by the annotations",
        "data_set split",
        "with_gloss gloss_types signers annotated_frames.mean:,.1f",
    ),
    "vocabulary": Layout(
        "Vocabulary of the split {training!r}", "language unit", "types tokens hapax:.1%"
    ),
    "unseen": Layout(
        "What the split {training!r} lacks",
        "language split unit",
        "types unseen_types:.1% tokens unseen_tokens:.1%",
    ),
    "pieces": Layout(
        "Texts in pieces of the generator",
        "language split",
        "texts pieces unknown:.1% texts_with_unknown:.1% longest",
    ),
    "tokens": Layout(
        "Token usage",
        "data_set part",
        "clips_with_tokens:s steps codes in_use share:.1% perplexity:,.1f",
    ),
}
#: Headings of columns that are not named like their key.
HEADINGS = {
    "p95": "95 %",
    "native": "on disk",
    "frame_rate": "thinned",
    "length.median": "median",
    "length.mean": "mean",
    "length.greatest": "greatest",
    "characters.mean": "characters (mean)",
    "with_gloss": "clips with gloss",
    "gloss_types": "different glosses",
    "annotated_frames.mean": "frames (mean)",
    "hapax": "types that occur once",
    "unseen_types": "unseen",
    "unseen_tokens": "unseen",
    "longest": "longest text",
}


def all_tables(description: Description) -> list[Table]:
    """Every table that has rows."""
    rows = _with_derived(description.rows)
    return [
        _table(layout, rows[subject], description)
        for subject, layout in TABLES.items()
        if rows[subject]
    ]


def _with_derived(rows: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """The rows, with the values and tables that are worked out from others."""
    rows = {subject: [dict(row) for row in some] for subject, some in rows.items()}
    for row in rows["lengths"]:
        row["hours"] = None if row["seconds"] is None else row["seconds"] / 3600
    for row in rows["entries"]:
        dropped = sorted(row["dropped"].items(), key=lambda pair: -pair[1])
        row["left_out"] = "; ".join(f"{reason}: {count:,}" for reason, count in dropped) or "none"
    for row in rows["tokens"]:
        row["clips_with_tokens"] = f"{row['with_tokens']:,} of {row['clips']:,}"
        row["share"] = ratio(row["in_use"], row["codes"])
    rows["annotations"] = [
        row
        for row in rows["texts"]
        if row["with_gloss"] or row["signers"] or row["annotated_frames"]["mean"] is not None
    ]
    rows["unseen"] = [row | other for row in rows["vocabulary"] for other in row["held_out"]]
    return rows


def _table(layout: Layout, rows: Sequence[Row], description: Description) -> Table:
    names = layout.names.split()
    notes = layout.notes.split()
    values = [column.partition(":") for column in layout.values.split()]
    title = layout.title.format(limits=description.limits, training=description.training)
    keys = [key for key, _, _ in values]
    table = new_table(title, *(map(_heading, some) for some in (names, keys, notes)))
    for row in rows:
        numbers = [_number(row, key, form or WHOLE) for key, _, form in values]
        table.add_row(*(row[key] for key in names), *numbers, *(row[key] for key in notes))
    return table


def _heading(key: str) -> str:
    return HEADINGS.get(key, key.replace("_", " "))


def _number(row: Row, key: str, form: str) -> str:
    value = row
    for step in key.split("."):
        value = value[step]
    return "?" if value is None else format(value, form)
