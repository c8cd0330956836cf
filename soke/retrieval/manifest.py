"""Where a dictionary comes from, in a file beside it: ``word2code.manifest.json``.

``word2code.json`` keeps the published format, which says nothing of its tokenizer. The manifest
holds the checksum of the dictionary that it speaks of, so that it cannot vouch for another file
that was put in its place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from soke.files import atomic_path, checksum
from soke.parts import PartTable
from soke.retrieval.dictionary import SignDictionary, read_json_object


def manifest_path(dictionary: str | Path) -> Path:
    return Path(dictionary).with_suffix(".manifest.json")


def read_manifest(dictionary: str | Path) -> dict[str, object] | None:
    """What is known of a dictionary file; None where nothing is, as of a published one.

    Raises ``ValueError`` where the manifest cannot be understood.
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

    False where nothing is known. Raises ``ValueError`` where it comes from another tokenizer or
    part table: its tokens would stand for other motions.
    """
    manifest = read_manifest(dictionary)
    if manifest is None:
        return False
    remedy = (
        "Make it again with `python -m prepare.build_dictionary --cfg ...`, or name another file "
        "in CORPORA"
    )
    if manifest["tokenizer"] != tokenizer:
        raise ValueError(
            f"{dictionary} is a dictionary of another tokenizer (checksum "
            f"{manifest['tokenizer'][:12]}, not {tokenizer[:12]}). {remedy}"
        )
    if not _table(dictionary, manifest).same_codes(parts):
        raise ValueError(
            f"{dictionary} is a dictionary of another part table: {manifest['parts']}. {remedy}"
        )
    return True


def _table(dictionary: str | Path, manifest: Mapping[str, object]) -> PartTable:
    try:
        return PartTable.from_rows(manifest["parts"])
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{manifest_path(dictionary)}: parts: {error}") from None


def check_replaceable(dictionary: str | Path) -> None:
    """Raises ``ValueError`` where a file is there that was not written by `write_dictionary`."""
    if Path(dictionary).exists() and read_manifest(dictionary) is None:
        raise ValueError(
            f"{dictionary} was not made here (no {manifest_path(dictionary).name} speaks of it), "
            "so it is left alone. Name another file in CORPORA, move it away, or write over it "
            "with --replace_dictionary"
        )


def write_dictionary(
    path: str | Path,
    entries: SignDictionary,
    parts: PartTable,
    tokenizer: str,
    about: Mapping[str, object] | None = None,
    replace: bool = False,
) -> None:
    """Write a dictionary and its manifest: the tokenizer's checksum, its parts, counts, ``about``.

    Raises ``ValueError`` where a file of another origin is there, unless ``replace``.
    """
    if not replace:
        check_replaceable(path)
    entries.save(path, parts)
    manifest = {
        "dictionary": checksum(path), "tokenizer": tokenizer, "parts": parts.to_rows(),
        "entries": len(entries), **(about or {}),
    }  # fmt: skip
    with atomic_path(manifest_path(path)) as temporary:
        content = json.dumps(manifest, indent=1, ensure_ascii=False)
        temporary.write_text(content, encoding="utf-8")
