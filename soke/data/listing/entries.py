"""Reading annotation files in every form that people hold, entry by entry.

The form is told by the content, not by the file's name: a pickled or JSON list of dicts, a dict of
dicts, or a table with a header. `FIELDS` says what the forms call a field. A file that cannot be
understood as a whole raises ``ValueError``; one entry of it that cannot be used is a `DataFault` in
the entry's place. A field that nobody asks for never matters.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from soke.unpickling import Unread, safe_load_pickle


@dataclass(frozen=True)
class Row:
    """What one entry of an annotation file says."""

    name: str
    text: str
    fps: float | None = None
    seconds: float = 0.0
    split: str | None = None  # where one file holds all splits
    language: str | None = None  # where one file may hold several languages
    gloss: str = ""
    signer: str = ""
    num_frames: int | None = None
    recording: str = ""  # the video that the clip was cut from


#: Why an entry or its clip cannot be used (keys of the counters).
BROKEN = "broken annotation entry"
NO_TEXT = "no text"
DAMAGED = "damaged poses"


class DataFault(ValueError):
    """One entry or clip that cannot be used while the others can; ``reason`` is what is counted.

    ``row`` is the entry, where that much of it is understood.
    """

    def __init__(self, message: str, reason: str = BROKEN, row: Row | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.row = row


Entries = list[Row | DataFault]
#: Where a record of a file stands, for messages, and the record or what is wrong with it.
Record = tuple[str, object]
SPLITS = ("train", "val", "test")
#: What the released files call each field; the first name that a record has counts.
FIELDS: dict[str, tuple[str, ...]] = {
    "name": ("name", "SENTENCE_NAME"),
    "text": ("text", "SENTENCE", "translation"),
    "gloss": ("gloss", "orth"),
    "signer": ("signer", "speaker"),
    "num_frames": ("num_frames", "length"),
    "fps": ("fps",),
    "start": ("START_REALIGNED",),
    "end": ("END_REALIGNED",),
    "recording": ("VIDEO_NAME",),
    "split": ("split",),
    "language": ("language",),
}
_NAMES = {name for names in FIELDS.values() for name in names}
_DELIMITERS = "\t|;,"
#: What `surrogateescape` makes of invalid UTF-8.
_UNDECODED = re.compile("[\ud800-\udfff]")
_LINE_BREAK = re.compile("\r\n|\r|\n")
#: A field in quotation marks, those inside it doubled.
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
#: Frame rates that a recording can have; a duration of a frame is none of them.
MIN_RATE = 1.0
MAX_RATE = 1000.0
#: Tables of videos name a clip by its file.
_VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")


def read_entries(path: Path, columns: Sequence[str] = ("name", "text")) -> Entries:
    """The entries of an annotation file of any form.

    ``columns`` are the fields that a table must have. Raises ``ValueError`` for a file of no known
    form, and for a table without one of these columns.
    """
    if not path.is_file():
        raise ValueError(f"{path} is not a file: expected the annotation file of a data set")
    by_split = "split" in columns
    return [_row_or_fault(record, where, by_split) for where, record in _records(path, columns)]


def _records(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    with path.open("rb") as file:
        start = file.read(64)
    # A pickle begins with its protocol or, of the oldest ones, with a mark or an empty container.
    pickled = start[:1] in (b"\x80", b"(", b"}", b"]") or start[:2] == b"\x1f\x8b"
    if pickled or _is_json(start):
        return iter(read_records(path))
    return _read_table(path, columns)


def _is_json(start: bytes) -> bool:
    return start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{")


def read_records(path: Path) -> list[Record]:
    """Read a pickled or JSON list, or a dict of dicts by name, as pairs (where, record).

    Raises ``ValueError`` where the file cannot be read or holds neither.
    """
    with path.open("rb") as file:
        start = file.read(64)
    if _is_json(start):
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} cannot be read as JSON in UTF-8: {error}") from None
    else:
        content = safe_load_pickle(path)
    if isinstance(content, list | tuple):
        return [(f"{path}, entry {i}", record) for i, record in enumerate(content)]
    if isinstance(content, dict) and all(isinstance(v, dict) for v in content.values()):
        return [
            (f"{path}, entry {key!r}", {"name": key, **record}) for key, record in content.items()
        ]
    raise ValueError(
        f"{path}: expected a list of dicts or a dict of dicts, found {type(content).__name__}"
    )


def _read_table(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    """The lines of a table; a field may stand in quotation marks.

    Fields are separated by commas, semicolons, tabs or vertical bars, whichever gives the header
    the most known names. Where commas or semicolons separate, a text needs its quotation marks, and
    one that does not close swallows lines. Tabs and bars do not occur in texts, so there each line
    is read by itself, unless a text in quotation marks goes over several.
    """
    text = _decode(path)
    body = text.lstrip("\n")
    header, _, rest = body.partition("\n")
    skipped = text[: len(text) - len(body)].count("\n") + 1
    delimiter = max(_DELIMITERS, key=lambda mark: len(_NAMES & set(_split(header, mark))))
    names = [name.strip() for name in _split(header, delimiter)]
    _check_header(path, names, columns)
    read = _read_lines if delimiter in "\t|" else _read_quoted
    for first, last, record in read(path, rest, delimiter, names, skipped):
        lines = f"line {last}" if first == last else f"lines {first} to {last}"
        where = f"{path}, {lines}"
        yield where, _line_fault(record, where) or record


def _line_fault(record: Mapping[str | None, object], where: str) -> DataFault | None:
    """What is wrong with a line whose fields cannot be what its writer meant."""
    # A quotation mark that opens a field and is not closed swallows lines up to the next mark.
    if _breaks(record):
        return DataFault(
            f"{where}: a field goes over several lines; close its quotation mark, or double one "
            "that belongs to the text, or write the text in one line"
        )
    if any(record.get(None) or ()):
        return DataFault(
            f"{where}: the line has more fields than there are columns; put a text that holds the "
            "separator into quotation marks"
        )
    cut = [key for key, value in record.items() if value is None and key in _NAMES]
    return DataFault(f"{where}: the line ends before {cut[0]!r}") if cut else None


def _decode(path: Path) -> str:
    content = path.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = content.decode("utf-16", errors="replace")
    else:
        # Invalid UTF-8 becomes surrogates, which spoil their own line only.
        text = content.decode("utf-8-sig", errors="surrogateescape")
    return _LINE_BREAK.sub("\n", text)


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line[:10_000]], delimiter=delimiter), [])


def _check_header(path: Path, names: Sequence[str], columns: Sequence[str]) -> None:
    missing = [FIELDS[field][0] for field in columns if not set(FIELDS[field]) & set(names)]
    if missing and not _NAMES & set(names):
        start = ", ".join(names)[:60]
        raise ValueError(
            f"{path} has no column {', '.join(missing)}: it begins with {start!r}. Expected a "
            "table with a header, or a pickled or JSON list of dicts with a name and a text"
        )
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}; it has {list(names)}")
    doubled = [name for name, count in Counter(names).items() if count > 1 and name in _NAMES]
    if doubled:
        raise ValueError(f"{path} has the column {doubled[0]!r} twice; rename or remove one")


def _read_lines(
    path: Path, text: str, delimiter: str, names: Sequence[str], skipped: int
) -> Iterator[tuple[int, int, object]]:
    lines = text.split("\n")
    last = 0
    for i, line in enumerate(lines):
        if i < last or not line.strip():
            continue
        last = i + 1
        fields = line.split(delimiter)
        several = '"' in line and _over_lines(lines, i, delimiter, len(names))
        if several:
            fields, last = several
        elif len(fields) == len(names):
            # A mark at the beginning of a text need not be closed.
            fields = [_unquoted(field) for field in fields]
        else:
            fields = _split(line, delimiter)
        extra = {None: fields[len(names) :]} if len(fields) > len(names) else {}
        record = {**dict.fromkeys(names), **dict(zip(names, fields)), **extra}
        yield skipped + i + 1, skipped + last, record


def _over_lines(
    lines: Sequence[str], first: int, delimiter: str, columns: int
) -> tuple[list[str], int] | None:
    """The fields of a row that goes over several lines, and where it ends; None if none does."""
    rest = (lines[i] + "\n" for i in range(first, len(lines)))
    reader = csv.reader(rest, delimiter=delimiter, strict=True)
    try:
        fields = next(reader)
    except csv.Error:  # a mark that does not close
        return None
    last = first + reader.line_num
    short = [line.count(delimiter) + 1 < columns for line in lines[first:last]]
    # A mark in a whole row may belong to its text, and close by chance in another whole row.
    parted = len(short) > 1 and (all(short[1:]) or all(short[:-1]))
    return (fields, last) if parted and len(fields) == columns else None


def _unquoted(field: str) -> str:
    quoted = _QUOTED.fullmatch(field)
    return quoted[1].replace('""', '"') if quoted else field


def _read_quoted(
    path: Path, text: str, delimiter: str, names: Sequence[str], skipped: int
) -> Iterator[tuple[int, int, object]]:
    reader = csv.DictReader(io.StringIO(text), fieldnames=names, delimiter=delimiter)
    last = skipped
    try:
        for record in reader:
            # Blank lines are passed over; fields may go over several lines.
            end = skipped + reader.line_num
            first = max(last + 1, end - _breaks(record))
            last = end
            yield first, last, record
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {skipped + reader.reader.line_num}: it cannot be read as a CSV file in "
            f"UTF-8 ({error}); is a quotation mark before it not closed?"
        ) from None


def _breaks(record: Mapping[str | None, object]) -> int:
    """How many line breaks the fields of a table's record hold."""
    values = (*record.values(), *(record.get(None) or ()))
    return sum(len(_LINE_BREAK.findall(value)) for value in values if isinstance(value, str))


def _row_or_fault(record: object, where: str, by_split: bool) -> Row | DataFault:
    try:
        return _row(record, where, by_split)
    except DataFault as fault:
        return fault


def _row(record: object, where: str, by_split: bool) -> Row:
    """What a record says; ``by_split``: the file holds several splits, and a record says which.

    Raises `DataFault` where it cannot be what its writer meant.
    """
    if isinstance(record, DataFault):
        raise record
    if not isinstance(record, dict):
        raise DataFault(f"{where}: expected a dict, found {type(record).__name__}")
    split = _split_name(record, where) if by_split else None
    name = _text(record, "name", where)
    text = _text(record, "text", where)
    if name is None or text is None:
        lacking = "name" if name is None else "text"
        found = [key for key in record if isinstance(key, str)]
        raise DataFault(f"{where}: {lacking!r} has to be str, found nothing; there are {found}")
    row = Row(
        checked_name(_without_suffix(name.strip()), where),
        text.strip(),
        fps=_rate(record, where),
        seconds=_seconds(record, where),
        split=split,
        language=_plain(record, "language") or None,
        gloss=_UNDECODED.sub("\ufffd", _text(record, "gloss", where) or ""),
        signer=_plain(record, "signer"),
        num_frames=_count(record),
        recording=_plain(record, "recording"),
    )
    if not row.text:
        raise DataFault(f"{where}: {row.name!r} has no text", NO_TEXT, row)
    if _UNDECODED.search(row.name + row.text):
        raise DataFault(f"{where}: the name or the text is invalid UTF-8", row=row)
    return row


def _value(record: Mapping[object, object], field: str) -> object:
    return next((record[name] for name in FIELDS[field] if name in record), None)


def _text(record: Mapping[object, object], field: str, where: str) -> str | None:
    """A text; a list of words is joined. None where the record has none."""
    value = _value(record, field)
    if isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
        value = " ".join(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):  # a gap, in pandas
        return None
    if not isinstance(value, str):
        found = value.name if isinstance(value, Unread) else type(value).__name__
        name = next(name for name in FIELDS[field] if name in record)
        raise DataFault(f"{where}: {name!r} has to be str, found {found}")
    return value


def _plain(record: Mapping[object, object], field: str) -> str:
    """A label that does not have to be there: text or number, else nothing."""
    value = _value(record, field)
    is_label = isinstance(value, str | int | np.integer)
    return _UNDECODED.sub("\ufffd", str(value).strip()) if is_label else ""


def _count(record: Mapping[object, object]) -> int | None:
    value = _value(record, "num_frames")
    try:
        return int(value) if isinstance(value, str | int | np.integer) else None
    except ValueError:
        return None


def _split_name(record: Mapping[object, object], where: str) -> str | None:
    split = _text(record, "split", where)
    if split is not None and split.strip() not in SPLITS:
        raise DataFault(f"{where}: split has to be one of {list(SPLITS)}, found {split.strip()!r}")
    return None if split is None else split.strip()


def _without_suffix(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in _VIDEO_SUFFIXES else name


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
            raise DataFault(f"{where}: {field!r} is invalid UTF-8")


def checked_name(name: str, where: str) -> str:
    """A clip name, which becomes part of paths, if it stays inside the data set; ./b/ is b."""
    path = PurePosixPath(name)
    if not path.parts or ".." in path.parts or name.startswith("/") or "\\" in name or "\0" in name:
        raise DataFault(f"{where}: {name!r} is an invalid clip name")
    return str(path)


def _rate(record: Mapping[object, object], where: str) -> float | None:
    fps = _number(record, "fps", where)
    if fps is not None and fps <= 0:
        raise DataFault(f"{where}: fps has to be above 0, found {_value(record, 'fps')!r}")
    if fps is not None and not MIN_RATE <= fps <= MAX_RATE:
        raise DataFault(
            f"{where}: fps has to be frames per second, from {MIN_RATE:g} to {MAX_RATE:g}, found "
            f"{_value(record, 'fps')!r}"
        )
    return fps


def _seconds(record: Mapping[object, object], where: str) -> float:
    start = _number(record, "start", where)
    end = _number(record, "end", where)
    return 0.0 if start is None or end is None else end - start


def _number(record: Mapping[object, object], field: str, where: str) -> float | None:
    """A number, None where there is none; times must be there where their column is."""
    value = _value(record, field)
    if value is None or (field == "fps" and isinstance(value, str) and not value.strip()):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        name = next(name for name in FIELDS[field] if name in record)
        found = value.name if isinstance(value, Unread) else repr(value)
        raise DataFault(f"{where}: {name} has to be a number, found {found}")
    return number
