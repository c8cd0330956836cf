"""Reading annotation files: tables, pickled and JSON lists, entry by entry.

A file that cannot be understood as a whole raises ``ValueError``; one entry of it that cannot be
used is a `DataFault` in the entry's place.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from soke.unpickling import safe_load_pickle


@dataclass(frozen=True)
class Row:
    """What one line of an annotation file says."""

    name: str
    text: str
    fps: float | None = None
    seconds: float = 0.0
    split: str | None = None  # where one file holds all splits
    language: str | None = None  # where one file may hold several languages


#: Why an entry of an annotation file cannot be used (keys of the counters).
BROKEN, NO_TEXT = "broken annotation entry", "no text"


class DataFault(ValueError):
    """One entry or clip that cannot be used while the others can; ``reason`` is what is counted.

    ``row`` is the entry, where that much of it is understood.
    """

    def __init__(self, message: str, reason: str = BROKEN, row: Row | None = None) -> None:
        super().__init__(message)
        self.reason, self.row = reason, row


Entries = list[Row | DataFault]
SPLITS = ("train", "val", "test")
_HOW2SIGN_COLUMNS = ("SENTENCE_NAME", "SENTENCE", "START_REALIGNED", "END_REALIGNED", "fps")
#: What `surrogateescape` makes of bytes that are no UTF-8.
_UNDECODED = re.compile("[\ud800-\udfff]")
_LINE_BREAK = re.compile("\r\n|\r|\n")
_TABLE_COLUMNS = ("name", "text", "language", "split", "fps")


def read_csv_rows(path: Path) -> Entries:
    """Entries of a How2Sign CSV. Raises ``ValueError`` for missing columns."""
    return _read_table(path, _HOW2SIGN_COLUMNS, _how2sign_row)


def read_table_rows(path: Path) -> Entries:
    """Entries of the neutral table: name, text, language, split, fps (may be empty).

    Raises ``ValueError`` for missing columns.
    """
    return _read_table(path, _TABLE_COLUMNS, _table_row)


def _read_table(
    path: Path, columns: Sequence[str], read: Callable[[Mapping[str, str | None], str], Row]
) -> Entries:
    """Rows of a CSV, separated by tabs or commas (UTF-8, with or without a mark)."""
    # Bytes that are no UTF-8 become surrogates: they spoil their own line only.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        delimiter = "\t" if "\t" in file.readline() else ","
        file.seek(0)
        reader, entries, last = csv.DictReader(file, delimiter=delimiter), [], 1
        try:
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(
                    f"{path} has no column {', '.join(missing)}; it has {reader.fieldnames}"
                )
            for record in reader:
                # Blank lines are passed over; fields may go over several lines.
                first, last = max(last + 1, reader.line_num - _breaks(record)), reader.line_num
                lines = f"line {last}" if first == last else f"lines {first} to {last}"
                entries.append(_checked(partial(_whole, read), record, f"{path}, {lines}"))
        except csv.Error as error:
            raise ValueError(
                f"{path}, line {reader.reader.line_num}: it cannot be read as a CSV file in UTF-8 "
                f"({error}); is a quotation mark before it not closed?"
            ) from None
        return entries


def _breaks(record: Mapping[str | None, object]) -> int:
    """How many line breaks the fields of a CSV's record hold."""
    values = (*record.values(), *(record.get(None) or ()))
    return sum(len(_LINE_BREAK.findall(value)) for value in values if isinstance(value, str))


def _whole(
    read: Callable[[Mapping[str, str | None], str], Row],
    record: Mapping[str | None, str | list[str] | None],
    where: str,
) -> Row:
    """The row of a CSV's record, unless its fields cannot be what their writer meant."""
    # A quotation mark that opens a field and is not closed swallows lines up to the next mark.
    if _breaks(record):
        raise DataFault(
            f"{where}: a field goes over several lines; close its quotation mark, or double one "
            "that belongs to the text, or write the text in one line"
        )
    if any(record.get(None) or ()):
        raise DataFault(
            f"{where}: the line has more fields than there are columns; put a text that holds the "
            "separator into quotation marks"
        )
    return read(record, where)


def _checked(
    read: Callable[[Mapping[str, str | None], str], Row], record: Mapping[str, object], where: str
) -> Row | DataFault:
    """The row of a record, or what is wrong with it."""
    try:
        row = read(record, where)
        if not row.text:
            raise DataFault(f"{where}: {row.name!r} has no text", NO_TEXT, row)
        if _UNDECODED.search(row.name + row.text):
            message = f"{where}: the name or the text holds bytes that are no UTF-8"
            raise DataFault(message, row=row)
        return row
    except DataFault as fault:
        return fault


def _how2sign_row(record: Mapping[str, str | None], where: str) -> Row:
    name, text = record["SENTENCE_NAME"], record["SENTENCE"]
    if name is None or text is None:
        raise DataFault(f"{where}: the line ends before the name or the sentence")
    start = _number(record, "START_REALIGNED", where)
    end = _number(record, "END_REALIGNED", where)
    return Row(checked_name(name, where), text.strip(), _rate(record, where), end - start)


def _table_row(record: Mapping[str, str | None], where: str) -> Row:
    values = [record[column] for column in _TABLE_COLUMNS]
    if None in values:
        raise DataFault(f"{where}: the line ends before its last column")
    name, text, language, split, fps = (value.strip() for value in values)
    if split not in SPLITS:
        raise DataFault(f"{where}: split has to be one of {list(SPLITS)}, found {split!r}")
    rate = _rate(record, where) if fps else None
    return Row(checked_name(name, where), text, rate, split=split, language=language)


def read_pickle_rows(path: Path) -> Entries:
    """Entries of a CSL-Daily or Phoenix-2014T file: a pickled list of dicts with name and text."""

    def row(record: Mapping[str, object], where: str) -> Row:
        check_fields(record, {"name": str, "text": str}, where)
        return Row(checked_name(record["name"], where), record["text"].strip())

    return [_checked(row, record, where) for where, record in read_records(path)]


def read_records(path: Path) -> list[tuple[str, object]]:
    """Read a list, JSON (by suffix) or pickled, as pairs (where, record).

    Raises ``ValueError`` where the file cannot be read or holds no list.
    """
    if path.suffix == ".json":
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise ValueError(f"{path} cannot be read as JSON in UTF-8: {error}") from None
    else:
        content = safe_load_pickle(path)
    if not isinstance(content, list | tuple):
        raise ValueError(f"{path}: expected a list of dicts, found {type(content).__name__}")
    return [(f"{path}, entry {i}", record) for i, record in enumerate(content)]


def check_fields(record: object, fields: Mapping[str, type], where: str) -> None:
    """Raise a `DataFault` unless ``record`` is a dict that holds ``fields`` of the given types."""
    if not isinstance(record, dict):
        raise DataFault(f"{where}: expected a dict, found {type(record).__name__}")
    for field, kind in fields.items():
        value = record.get(field)
        if not isinstance(value, kind):
            found = type(value).__name__ if field in record else "nothing"
            raise DataFault(f"{where}: {field!r} has to be {kind.__name__}, found {found}")
        if isinstance(value, str) and _UNDECODED.search(value):
            raise DataFault(f"{where}: {field!r} holds bytes that are no UTF-8")


def checked_name(name: str, where: str) -> str:
    """Return a clip name, which becomes part of paths, if it stays inside the data set."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name.startswith("/") or "\\" in name or "\0" in name:
        raise DataFault(f"{where}: {name!r} is no clip name")
    return name


def _rate(record: Mapping[str, str | None], where: str) -> float:
    fps = _number(record, "fps", where)
    if fps <= 0:
        raise DataFault(f"{where}: fps has to be above 0, found {record['fps']!r}")
    return fps


def _number(record: Mapping[str, str | None], column: str, where: str) -> float:
    try:
        number = float(record[column])
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise DataFault(f"{where}: {column} has to be a number, found {record[column]!r}")
    return number
