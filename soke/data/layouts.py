"""The layouts of the three benchmarks on disk: a row of `LAYOUTS` each.

A row has file names as templates, a reader of annotation files and the rules of the data set. What
is done with it is the same for all of them: see `soke.data.annotations`.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from soke.files import safe_load_pickle

#: How2Sign clips whose pose fitting failed; each name goes on with ``-rgb_front``.
_BAD_HOW2SIGN = """
0DU7wWLK-QU_0-8 0ICZi26jdaQ_28-5 0vNfEYst_tQ_11-8 13X0vEMNm7M_8-5 14weIYQswlE_23-8
1B56XMJ-j1Q_13-8 1P0oKY4FNyI_0-8 1dpRaxOTfZs_0-8 1ei1kVTw23A_29-8 1spCnuBmWYk_0-8
2-vXO7MMLJc_0-5 21PbS6wnHtY_0-5 3tyfxL2wO-M_0-8 BpYDl3AO4B8_0-1 CH7AviIr0-0_14-8
CJ8RyW9pzKU_6-8 D0T7ho08Q3o_25-2 Db5SUQvNsHc_18-1 Eh697LCFjTw_0-3 F-p1IdedNbg_23-8
aUBQCNegrYc_13-1 cvn7htBA8Xc_9-8 czBrBQgZIuc_19-5 dbSAB8F8GYc_11-9 doMosV-zfCI_7-2
dvBdWGLzayI_10-8 eBrlZcccILg_26-3 39FN42e41r0_17-1 a4Nxq0QV_WA_9-3 fzrJBu2qsM8_11-8
g3Cc_1-V31U_12-3
"""


@dataclass(frozen=True)
class Row:
    """What one line of an annotation file says."""

    name: str
    text: str
    fps: float | None = None
    seconds: float = 0.0


def read_csv_rows(path: Path) -> list[Row]:
    """Rows of a How2Sign CSV, separated by tabs or commas (UTF-8, with or without a mark).

    Raises ``ValueError`` that names the file and the column, or the line, for missing columns and
    for values that cannot be understood.
    """
    columns = ("SENTENCE_NAME", "SENTENCE", "START_REALIGNED", "END_REALIGNED", "fps")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = "\t" if "\t" in file.readline() else ","
            file.seek(0)
            reader = csv.DictReader(file, delimiter=delimiter)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(
                    f"{path} has no column {', '.join(missing)}; it has {reader.fieldnames}"
                )
            return [_csv_row(record, f"{path}, line {reader.line_num}") for record in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as a CSV file in UTF-8: {error}") from None


def _csv_row(record: Mapping[str, str | None], where: str) -> Row:
    start = _number(record, "START_REALIGNED", where)
    end = _number(record, "END_REALIGNED", where)
    fps = _number(record, "fps", where)
    if fps <= 0:
        raise ValueError(f"{where}: fps has to be above 0, found {record['fps']!r}")
    name, text = record["SENTENCE_NAME"], record["SENTENCE"]
    if name is None or text is None:
        raise ValueError(f"{where}: the line ends before the name or the sentence")
    return Row(checked_name(name, where), text.strip(), fps, end - start)


def read_pickle_rows(path: Path) -> list[Row]:
    """Rows of a CSL-Daily or Phoenix-2014T file: a pickled list of dicts with name and text.

    Raises ``ValueError`` that names the file, the entry and the field.
    """
    return [
        Row(checked_name(record["name"], where), record["text"].strip())
        for where, record in read_records(path, {"name": str, "text": str})
    ]


@dataclass(frozen=True)
class Layout:
    """How a data set lies on disk, relative to its root. ``{split}`` is the split's name there."""

    title: str
    source: str
    annotation: str
    read_rows: Callable[[Path], list[Row]]
    frames: str  # release 1: folder of frame pickles
    clip_file: str  # release 2: clip pickle
    splits: Mapping[str, str]
    known_bad: frozenset[str] = frozenset()

    @property
    def remedy(self) -> str:
        return (
            f"{self.title} comes from {self.source} and needs the SMPL-X poses released with the "
            "method beside it; a demo corpus to start with is made by "
            "`python -m prepare.fingerspelling`"
        )


_SPLITS = {"train": "train", "val": "val", "test": "test"}

LAYOUTS: dict[str, Layout] = {
    "how2sign": Layout(
        title="How2Sign",
        source="https://how2sign.github.io",
        annotation="{split}/re_aligned/how2sign_realigned_{split}_preprocessed_fps.csv",
        read_rows=read_csv_rows,
        frames="{split}/poses/{name}",
        clip_file="poses_video_level/{split}/poses/{name}.pkl",
        splits=_SPLITS,
        known_bad=frozenset(f"{name}-rgb_front" for name in _BAD_HOW2SIGN.split()),
    ),
    "csl": Layout(
        title="CSL-Daily",
        source="http://home.ustc.edu.cn/~zhouh156/dataset/csl-daily/",
        annotation="csl_clean.{split}",
        read_rows=read_pickle_rows,
        frames="poses/{name}",
        clip_file="poses_video_level/{name}.pkl",
        splits=_SPLITS,
    ),
    "phoenix": Layout(
        title="Phoenix-2014T",
        source="https://www-i6.informatik.rwth-aachen.de/~koller/RWTH-PHOENIX-2014-T/",
        annotation="phoenix14t.{split}",
        read_rows=read_pickle_rows,
        frames="{name}",
        clip_file="poses_video_level/{name}.pkl",
        splits=_SPLITS | {"val": "dev"},
    ),
}


def layout_named(name: str) -> Layout:
    """The row called ``name``. Raises ``ValueError`` if there is none."""
    if name not in LAYOUTS:
        raise ValueError(f"the layout {name!r} is unknown; choose one of {sorted(LAYOUTS)}")
    return LAYOUTS[name]


def read_records(path: Path, fields: Mapping[str, type]) -> Iterator[tuple[str, dict[str, object]]]:
    """Read a list of dicts, JSON (by suffix) or pickled, as pairs (where, record).

    Raises ``ValueError`` that names the file, the entry and the field where a record lacks one of
    ``fields`` or holds another type.
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
    for i, record in enumerate(content):
        where = f"{path}, entry {i}"
        if not isinstance(record, dict):
            raise ValueError(f"{where}: expected a dict, found {type(record).__name__}")
        for field, kind in fields.items():
            if not isinstance(record.get(field), kind):
                found = type(record[field]).__name__ if field in record else "nothing"
                raise ValueError(f"{where}: {field!r} has to be {kind.__name__}, found {found}")
        yield where, record


def checked_name(name: str, where: str) -> str:
    """Return a clip name, which becomes part of paths, if it stays inside the data set."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name.startswith("/") or "\\" in name or "\0" in name:
        raise ValueError(f"{where}: {name!r} is no clip name")
    return name


def _number(record: Mapping[str, str | None], column: str, where: str) -> float:
    try:
        number = float(record[column])
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{where}: {column} has to be a number, found {record[column]!r}")
    return number
