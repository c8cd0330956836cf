"""The numbers of a description as tables of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from typing import Any

from rich.table import Table

from soke.cli.describe.counting import Row
from soke.cli.describe.description import Description
from soke.cli.tables import decimal, new_table, percent, whole

#: A column: where its value is in a row ("" is the row itself), its heading, its format.
Column = tuple[str, str, Callable[[Any], str]]


@dataclass(frozen=True)
class Layout:
    title: str
    names: tuple[str, ...]  # keys of the columns of words, which come first
    values: tuple[Column, ...]
    notes: tuple[Column, ...] = ()  # columns of words that come last


def all_tables(description: Description) -> list[Table]:
    """Every table that has rows."""
    rows = dict(description.rows)
    rows["annotations"] = [row for row in rows["texts"] if _is_annotated(row)]
    rows["unseen"] = [row | other for row in rows["vocabulary"] for other in row["held_out"]]
    tables = []
    for subject, layout in TABLES.items():
        columns = (*layout.values, *layout.notes)
        title = layout.title.format(limits=description.limits, training=description.training)
        headings = [
            tuple(heading for _, heading, _ in part) for part in (layout.values, layout.notes)
        ]
        table = new_table(title, [name.replace("_", " ") for name in layout.names], *headings)
        for row in rows[subject]:
            names = [row[name] for name in layout.names]
            table.add_row(*names, *(format(_value(row, key)) for key, _, format in columns))
        if rows[subject]:
            tables.append(table)
    return tables


def _value(row: Row, key: str) -> Any:
    return reduce(getitem, key.split("."), row) if key else row


def _is_annotated(row: Row) -> bool:
    return bool(row["with_gloss"] or row["signers"] or row["annotated_frames"]["mean"] is not None)


def _hours(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds / 3600:.2f}"


def _reasons(dropped: Mapping[str, int]) -> str:
    ordered = sorted(dropped.items(), key=lambda pair: -pair[1])
    return "; ".join(f"{reason}: {count:,}" for reason, count in ordered) or "none"


def _coverage(row: Row) -> str:
    return f"{row['with_tokens']:,} of {row['clips']:,}"


def _share_in_use(row: Row) -> str:
    return percent(row["in_use"] / row["codes"])


TABLES = {
    "lengths": Layout(
        "Clip lengths in frames; stretched to {limits.minimum}, squeezed to {limits.maximum}",
        ("data_set", "split"),
        (
            ("clips", "clips", whole),
            ("seconds", "hours", _hours),
            ("least", "least", whole),
            ("median", "median", whole),
            ("mean", "mean", whole),
            ("p95", "95 %", whole),
            ("greatest", "greatest", whole),
            ("stretched", "stretched", percent),
            ("squeezed", "squeezed", percent),
        ),
    ),
    "entries": Layout(
        "Entries of the annotations",
        ("data_set", "split", "poses_from"),
        (("entries", "entries", whole), ("kept", "kept", whole)),
        (("dropped", "left out", _reasons),),
    ),
    "frames": Layout(
        "Frames of the clips that are kept: on disk - thinned - cut - squeezed + repeated = used",
        ("data_set", "split"),
        (
            ("native", "on disk", whole),
            ("frame_rate", "thinned", whole),
            ("cut", "cut", whole),
            ("squeezed", "squeezed", whole),
            ("repeated", "repeated", whole),
            ("used", "used", whole),
            ("missing", "missing", whole),
            ("clips_with_gaps", "clips with gaps", whole),
        ),
    ),
    "texts": Layout(
        "Texts and their lengths",
        ("data_set", "split", "language", "unit"),
        (
            ("texts", "texts", whole),
            ("distinct", "distinct", whole),
            ("length.median", "median", whole),
            ("length.mean", "mean", decimal),
            ("length.greatest", "greatest", whole),
            ("characters.mean", "characters (mean)", decimal),
        ),
    ),
    "annotations": Layout(
        "Glosses, signers and frames, by the annotations",
        ("data_set", "split"),
        (
            ("with_gloss", "clips with gloss", whole),
            ("gloss_types", "different glosses", whole),
            ("signers", "signers", whole),
            ("annotated_frames.mean", "frames (mean)", decimal),
        ),
    ),
    "vocabulary": Layout(
        "Vocabulary of the split {training!r}",
        ("language", "unit"),
        (
            ("types", "types", whole),
            ("tokens", "tokens", whole),
            ("hapax", "types that occur once", percent),
        ),
    ),
    "unseen": Layout(
        "What the split {training!r} lacks",
        ("language", "split", "unit"),
        (
            ("types", "types", whole),
            ("unseen_types", "unseen", percent),
            ("tokens", "tokens", whole),
            ("unseen_tokens", "unseen", percent),
        ),
    ),
    "pieces": Layout(
        "Texts in pieces of the generator",
        ("language", "split"),
        (
            ("texts", "texts", whole),
            ("pieces", "pieces", whole),
            ("unknown", "unknown", percent),
            ("texts_with_unknown", "texts with unknown", percent),
            ("longest", "longest text", whole),
        ),
    ),
    "tokens": Layout(
        "Token usage",
        ("data_set", "part"),
        (
            ("", "clips with tokens", _coverage),
            ("steps", "steps", whole),
            ("codes", "codes", whole),
            ("in_use", "in use", whole),
            ("", "share", _share_in_use),
            ("perplexity", "perplexity", decimal),
        ),
    ),
}
