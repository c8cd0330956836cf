"""The sign dictionary of one sign language, ``word2code.json``, and where it comes from.

``word2code.json`` keeps the published format, which says nothing of its tokenizer. That is in the
manifest beside it, ``word2code.manifest.json``. The manifest holds the checksum of its dictionary,
so that it cannot vouch for another file that was put in its place.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from soke.files import atomic_path, checksum, require
from soke.parts import PartTable
from soke.retrieval.words import clean, cut

log = logging.getLogger(__name__)

#: What to do when a dictionary and the part table do not fit together.
_REMEDY = (
    "If another part table made it, correct PARTS, name the right dictionary with "
    "CORPORA.<name>.dictionary=... or make one with `soke dictionary --cfg ...`"
)


class SignDictionary:
    """Words and the motion tokens of their signs, ``{entry: [n, P]}``.

    ``entries`` holds all of them as written, in the order of the file. `find` compares folded
    words, so that "Straße", "STRAẞE" and "straße" are one. Of entries that differ in nothing else
    the first is found, and a warning names both (``where`` is the file). ``by_words`` holds those
    that can be found, by their folded words.
    """

    def __init__(self, entries: Mapping[str, np.ndarray], where: str = "the dictionary") -> None:
        self.entries = dict(entries)
        self.by_words: dict[tuple[str, ...], str] = {}
        for entry in self.entries:
            words = entry_words(entry)
            if not words:
                log.warning("%s: entry %r has no letter or digit: no text finds it", where, entry)
                continue
            first = self.by_words.setdefault(words, entry)
            if first != entry:
                log.warning(
                    "%s: %r is %r in another case or spelling and is not used", where, entry, first
                )

    @classmethod
    def load(cls, path: str | Path, parts: PartTable) -> SignDictionary:
        """Read ``entry -> {part name: [tokens]}``.

        Raises `soke.files.MissingAssetError` if there is no such file, and ``ValueError`` that
        names the file and the entry at fault: not JSON, an empty or repeated name, parts that are
        missing or not in the table, lists of unequal or no length, and tokens that are not whole
        numbers of the part's codebook.
        """
        path = require(
            path,
            "The sign dictionary",
            "`soke dictionary --cfg ...` makes it from isolated signs; "
            "RETRIEVAL.MAX_KEYWORDS=0 does without",
        )
        content = read_json_object(path, "sign dictionary")
        if any(not entry.strip() for entry in content):
            raise ValueError(f"{path} has an entry without a name")
        try:
            entries = {
                entry: _tokens(f"{path}: entry {entry!r}", codes, parts)
                for entry, codes in content.items()
            }
        except ValueError as error:
            raise ValueError(f"{error}. {_REMEDY}") from None
        return cls(entries, str(path))

    def save(self, path: str | Path, parts: PartTable) -> None:
        """Write the format that `load` reads, sorted."""
        content = {
            entry: {name: tokens[:, p].tolist() for p, name in enumerate(parts.names)}
            for entry, tokens in sorted(self.entries.items())
        }
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    def merged(self, other: SignDictionary) -> SignDictionary:
        """This dictionary and those entries of another (of the same tokenizer) that it lacks."""
        added = {
            entry: tokens for entry, tokens in other.entries.items() if self.find(entry) is None
        }
        return SignDictionary({**self.entries, **added})

    def find(self, word: str) -> str | None:
        """The entry that means ``word``, as it is written in the file; None if there is none."""
        return word if word in self.entries else self.by_words.get(entry_words(word))

    def __contains__(self, word: str) -> bool:
        return self.find(word) is not None

    def __len__(self) -> int:
        return len(self.entries)

    def lookup(self, entry: str, max_tokens: int) -> np.ndarray:
        """The sign's tokens [n, P], thinned evenly to at most ``max_tokens`` steps."""
        tokens = self.entries[entry]
        if len(tokens) > max_tokens:
            tokens = tokens[np.linspace(0, len(tokens) - 1, max_tokens, dtype=int)]
        return tokens


def entry_words(entry: str) -> tuple[str, ...]:
    """The folded words of an entry; the search cannot tell entries with the same ones apart."""
    return tuple(word.key for word in cut(clean(entry)))


def read_json_object(path: Path, what: str) -> dict[str, object]:
    """Read a JSON file that holds an object. Raises ``ValueError`` that names file and fault."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as a {what}: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is no {what}: it holds a {type(content).__name__}, not an object")
    return content


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} is there twice")
        found[name] = value
    return found


def _tokens(where: str, codes: object, parts: PartTable) -> np.ndarray:
    """One entry of the file as an array [n, P]."""
    if not isinstance(codes, dict):
        raise ValueError(f"{where} has to be an object with a list for each part")
    missing = [name for name in parts.names if name not in codes]
    if missing:
        raise ValueError(f"{where} has no tokens for the parts {missing}")
    unknown = [name for name in codes if name not in parts.names]
    if unknown:
        raise ValueError(f"{where} has tokens for {unknown}; the part table has {parts.names}")
    for name, column in codes.items():
        if not isinstance(column, list) or any(type(code) is not int for code in column):
            raise ValueError(f"{where}: part {name!r} has to be a list of whole numbers")
    lengths = {name: len(codes[name]) for name in parts.names}
    if len(set(lengths.values())) != 1 or not min(lengths.values()):
        raise ValueError(f"{where} needs lists of one length above 0, it has {lengths}")
    for part in parts:
        wrong = [code for code in codes[part.name] if not 0 <= code < part.codebook_size]
        if wrong:
            raise ValueError(
                f"{where} has codes {wrong[:5]} of part {part.name!r}, whose codebook has "
                f"{part.codebook_size}"
            )
    return np.stack([np.asarray(codes[name], dtype=np.int64) for name in parts.names], axis=1)


def manifest_path(dictionary: str | Path) -> Path:
    """The manifest of a dictionary file."""
    return Path(dictionary).with_suffix(".manifest.json")


def read_manifest(dictionary: str | Path) -> dict[str, Any] | None:
    """What is known of a dictionary file; None if nothing is, as of a published one.

    Raises ``ValueError`` for a manifest that cannot be understood.
    """
    path = manifest_path(dictionary)
    if not path.exists():
        return None
    manifest = read_json_object(path, "manifest of a dictionary")
    wrong = [key for key in ("dictionary", "tokenizer") if not isinstance(manifest.get(key), str)]
    if wrong or not isinstance(manifest.get("parts"), list):
        raise ValueError(f"{path} lacks {wrong or 'parts'}: remove it, or make both files again")
    return manifest if manifest["dictionary"] == checksum(dictionary) else None


def check_origin(dictionary: str | Path, tokenizer: str, parts: PartTable) -> bool:
    """Whether a dictionary is known to come from the tokenizer with this checksum.

    False if its origin is unknown. Raises ``ValueError`` if it comes from another tokenizer or part
    table: its tokens would stand for other motions.
    """
    manifest = read_manifest(dictionary)
    if manifest is None:
        return False
    other = _other_origin(dictionary, manifest, tokenizer, parts)
    if other is not None:
        raise ValueError(
            f"{other}. Name the dictionary of this tokenizer with CORPORA.<name>.dictionary=..., "
            "or make it with `soke dictionary --cfg ...` "
            "(--replace_dictionary writes over this one)"
        )
    return True


def _other_origin(
    dictionary: str | Path, manifest: Mapping[str, Any], tokenizer: str, parts: PartTable
) -> str | None:
    """How the origin of a dictionary differs from this tokenizer; None if it does not."""
    if not _table(dictionary, manifest).same_codes(parts):
        return f"{dictionary} is a dictionary of another part table: {manifest['parts']}"
    if manifest["tokenizer"] != tokenizer:
        return (
            f"{dictionary} is a dictionary of another tokenizer (checksum "
            f"{manifest['tokenizer'][:12]}, not {tokenizer[:12]})"
        )
    return None


def _table(dictionary: str | Path, manifest: Mapping[str, Any]) -> PartTable:
    try:
        return PartTable.from_rows(manifest["parts"])
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{manifest_path(dictionary)}: parts: {error}") from None


def check_replaceable(dictionary: str | Path, tokenizer: str, parts: PartTable) -> None:
    """Raise ``ValueError`` if a dictionary is there that this tokenizer did not make.

    Whoever uses it would lose it. The dictionary of a trial run may always be replaced.
    """
    if not Path(dictionary).exists():
        return
    manifest = read_manifest(dictionary)
    other: str | None
    if manifest is None:
        other = f"{dictionary} was not made here (no {manifest_path(dictionary).name} describes it)"
    elif manifest.get("debug"):
        return
    else:
        other = _other_origin(dictionary, manifest, tokenizer, parts)
    if other is not None:
        raise ValueError(
            f"{other}, so it is kept. Write another file with CORPORA.<name>.dictionary=..., "
            f"remove {dictionary}, or write over it with --replace_dictionary"
        )


def write_dictionary(
    path: str | Path,
    entries: SignDictionary,
    parts: PartTable,
    tokenizer: str,
    metadata: Mapping[str, object] | None = None,
    replace: bool = False,
) -> None:
    """Write a dictionary and its manifest: tokenizer, parts, number of entries, ``metadata``.

    ``tokenizer`` is the checksum of its file. Raises ``ValueError`` if a file of another origin is
    there, unless ``replace``.
    """
    if not replace:
        check_replaceable(path, tokenizer, parts)
    entries.save(path, parts)
    manifest = {
        "dictionary": checksum(path),
        "tokenizer": tokenizer,
        "parts": parts.to_rows(),
        "entries": len(entries),
        **(metadata or {}),
    }
    with atomic_path(manifest_path(path)) as temporary:
        content = json.dumps(manifest, indent=1, ensure_ascii=False)
        temporary.write_text(content, encoding="utf-8")
