"""Finding the annotation file of a split, and reading its entries."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, product
from pathlib import Path

from soke.data.layouts import Layout, layout_named
from soke.data.listing.entries import (
    DAMAGED,
    NO_TEXT,
    DataFault,
    Entries,
    Row,
    checked_name,
    read_entries,
)
from soke.data.lmdb_clips import LMDB_SUFFIX, list_records
from soke.files import require

#: A clip that is in two splits stays in the first of these that it is in.
_PRECEDENCE = ("test", "val", "train")


def annotation_path(layout: str, root: str | Path, split: str, template: str | None = None) -> Path:
    """The annotation file of a split: the first that exists, else the expected one.

    Raises ``ValueError`` for an unknown layout or split.
    """
    row = layout_named(layout)
    if split not in row.splits:
        raise ValueError(f"the split {split!r} is unknown; choose one of {sorted(row.splits)}")
    candidates = [
        Path(root) / file
        for pattern in ([template] if template else row.annotations)
        for file in _filled(pattern, _split_names(row, split))
    ]
    found = list(dict.fromkeys(match for path in candidates for match in _matches(path)))
    if "*" in candidates[0].name and len(found) > 1:
        names = ", ".join(match.name for match in found)
        raise ValueError(
            f"{found[0].parent} has several data sets ({names}); name one of them with "
            "CORPORA.<name>.annotation, such as 'lmdb/{split}/CSL-Daily*.lmdb'"
        )
    return next(iter(found), candidates[0])


def _split_names(row: Layout, split: str) -> list[str]:
    """What files may call a split, the layout's own name first."""
    names = [row.splits[split]]
    return names if split != "val" else [*names, *({"val", "dev"} - set(names))]


def _filled(pattern: str, names: Sequence[str]) -> list[str]:
    """The pattern with every name in each place of ``{split}``, one name in all places first."""
    first, *others = pattern.format(split="\0").split("\0")
    mixes = sorted(product(names, repeat=len(others)), key=lambda mix: len(set(mix)))
    return [first + "".join(chain(*zip(mix, others))) for mix in mixes]


def _matches(path: Path) -> list[Path]:
    """The path, if it exists, or what matches its name's pattern."""
    if "*" in path.name:
        return sorted(path.parent.glob(path.name))
    return [path] if path.exists() else []


def check_exists(row: Layout, path: Path, root: Path, split: str, corpus: str) -> None:
    """Raise `soke.files.MissingAssetError` that names files which could be the one looked for."""
    if path.exists():
        return
    remedy = row.remedy
    names = _split_names(row, split)
    near = [
        file
        for folder in dict.fromkeys((path.parent, root))
        if folder.is_dir()
        for file in sorted(folder.iterdir())
        if not file.name.startswith(".") and file.is_file() and _names_split(file.name, names)
    ]
    for file in near[:1]:
        inside = file.relative_to(root) if file.is_relative_to(root) else file
        words = rf"(?<![^./_-])({'|'.join(names)})(?![^./_-])"
        pattern = re.sub(words, "{split}", inside.as_posix())
        others = ", ".join(other.name for other in near[:3])
        remedy = f"Found {others}: set CORPORA.{corpus}.annotation='{pattern}' to read it. {remedy}"
    require(path, f"The {split} annotation of {row.title}", remedy)


def _names_split(file: str, names: Sequence[str]) -> bool:
    return any(name in re.split(r"[._-]", file) for name in names)


def stronger_splits(split: str) -> tuple[str, ...]:
    """The splits that a clip belongs to rather than to this one."""
    return _PRECEDENCE[: _PRECEDENCE.index(split)]


def entries_of(row: Layout, path: Path, split: str) -> Entries:
    if path.suffix == LMDB_SUFFIX:
        return [_lmdb_row(path, name, texts) for name, texts in list_records(path)]
    entries = read_entries(path, row.columns)
    if not row.split_in_names or path.suffix != ".csv":
        return entries
    # The release's own table has the names without the folder that the other forms begin with.
    prefix = f"{row.splits[split]}/"
    return [
        replace(entry, name=prefix + entry.name)
        if isinstance(entry, Row) and "/" not in entry.name
        else entry
        for entry in entries
    ]


def _lmdb_row(path: Path, name: str, texts: dict[str, str] | ValueError) -> Row | DataFault:
    where = f"{path}, clip {name!r}"
    if isinstance(texts, ValueError):
        return DataFault(str(texts), DAMAGED)
    try:
        checked_name(name, where)
    except DataFault as fault:
        return fault
    row = Row(name, texts.get("translation", "").strip(), gloss=texts.get("gloss", ""))
    return row if row.text else DataFault(f"{where} has no text", NO_TEXT, row)


def names_of_stronger_splits(layout: str, root: Path, split: str, template: str | None) -> set[str]:
    """Names in the splits that a clip belongs to rather than to this one."""
    names: set[str] = set()
    row = layout_named(layout)
    for other in stronger_splits(split):
        path = annotation_path(layout, root, other, template)
        if path.exists():
            rows = [e for e in entries_of(row, path, other) if isinstance(e, Row)]
            names |= {entry.name for entry in rows if entry.split in (None, other)}
    return names


def candidates(layout: Layout, root: Path, split: str, name: str) -> list[Path]:
    """Where the poses of a clip may lie, the preferred place first."""
    templates = [*layout.clip_files, *([layout.frames] if layout.frames else [])]
    # One letter with a mark has two spellings, and file systems differ in which they keep.
    spellings = dict.fromkeys([name, *(unicodedata.normalize(f, name) for f in ("NFC", "NFD"))])
    return [
        root / template.format(split=split, name=spelling)
        for spelling in spellings
        for template in templates
    ]
