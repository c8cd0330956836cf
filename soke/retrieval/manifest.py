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
    other = _other_origin(dictionary, manifest, tokenizer, parts)
    if other is not None:
        raise ValueError(
            f"{other}. Name the dictionary of this tokenizer with CORPORA.<name>.dictionary=..., "
            "or make it with `python -m prepare.build_dictionary --cfg ...` "
            "(--replace_dictionary writes over this one)"
        )
    return True


def _other_origin(
    dictionary: str | Path, manifest: Mapping[str, object], tokenizer: str, parts: PartTable
) -> str | None:
    """How the origin of a dictionary differs from a tokenizer; None where it is that one."""
    if not _table(dictionary, manifest).same_codes(parts):
        return f"{dictionary} is a dictionary of another part table: {manifest['parts']}"
    if manifest["tokenizer"] != tokenizer:
        return (
            f"{dictionary} is a dictionary of another tokenizer (checksum "
            f"{manifest['tokenizer'][:12]}, not {tokenizer[:12]})"
        )
    return None


def _table(dictionary: str | Path, manifest: Mapping[str, object]) -> PartTable:
    try:
        return PartTable.from_rows(manifest["parts"])
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{manifest_path(dictionary)}: parts: {error}") from None


def check_replaceable(dictionary: str | Path, tokenizer: str, parts: PartTable) -> None:
    """Raises ``ValueError`` where a dictionary is there that this tokenizer did not make.

    Whoever uses it could not do without it. That of a trial run may always be replaced.
    """
    if not Path(dictionary).exists():
        return
    manifest = read_manifest(dictionary)
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
    about: Mapping[str, object] | None = None,
    replace: bool = False,
) -> None:
    """Write a dictionary and its manifest: the tokenizer's checksum, its parts, counts, ``about``.

    Raises ``ValueError`` where a file of another origin is there, unless ``replace``.
    """
    if not replace:
        check_replaceable(path, tokenizer, parts)
    entries.save(path, parts)
    manifest = {
        "dictionary": checksum(path), "tokenizer": tokenizer, "parts": parts.to_rows(),
        "entries": len(entries), **(about or {}),
    }  # fmt: skip
    with atomic_path(manifest_path(path)) as temporary:
        content = json.dumps(manifest, indent=1, ensure_ascii=False)
        temporary.write_text(content, encoding="utf-8")
