"""The sign dictionary of one sign language: ``word2code.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from soke.files import atomic_path, require
from soke.parts import PartTable


class SignDictionary:
    """Words and the motion tokens of their signs, ``{word: [n, P]}``."""

    def __init__(self, entries: Mapping[str, np.ndarray]) -> None:
        self.entries = dict(entries)

    @classmethod
    def load(cls, path: str | Path, parts: PartTable) -> SignDictionary:
        """Read ``word -> {part name: [tokens]}``.

        Raises `soke.files.MissingAssetError` when there is no such file, and ``ValueError`` that
        names the entry for missing parts, lists of unequal length or unknown codes.
        """
        path = require(
            path,
            "The sign dictionary",
            "`python -m get_motion_code --cfg ... --nodebug` makes it from isolated signs; "
            "RETRIEVAL.MAX_KEYWORDS=0 does without",
        )
        entries = {}
        for word, codes in json.loads(path.read_text(encoding="utf-8")).items():
            entries[word] = cls._entry(f"{path}: entry {word!r}", codes, parts)
        return cls(entries)

    @staticmethod
    def _entry(where: str, codes: Mapping[str, list[int]], parts: PartTable) -> np.ndarray:
        missing = [name for name in parts.names if name not in codes]
        if missing:
            raise ValueError(f"{where} has no tokens for the parts {missing}")
        lengths = {name: len(codes[name]) for name in parts.names}
        if len(set(lengths.values())) != 1 or not min(lengths.values()):
            raise ValueError(f"{where} needs lists of one length above 0, it has {lengths}")
        for part in parts:
            wrong = [code for code in codes[part.name] if not 0 <= code < part.codebook_size]
            if wrong:
                raise ValueError(
                    f"{where} has codes {wrong} of part {part.name!r}, whose codebook has "
                    f"{part.codebook_size}"
                )
        return np.stack([np.asarray(codes[name], dtype=np.int64) for name in parts.names], axis=1)

    def save(self, path: str | Path, parts: PartTable) -> None:
        """Write the format that `load` reads."""
        content = {
            word: {name: tokens[:, p].tolist() for p, name in enumerate(parts.names)}
            for word, tokens in sorted(self.entries.items())
        }
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    def __contains__(self, word: str) -> bool:
        return word in self.entries

    def __len__(self) -> int:
        return len(self.entries)

    def lookup(self, word: str, max_tokens: int) -> np.ndarray:
        """The sign's tokens [n, P], thinned evenly to at most ``max_tokens`` steps."""
        tokens = self.entries[word]
        if len(tokens) > max_tokens:
            tokens = tokens[np.linspace(0, len(tokens) - 1, max_tokens, dtype=int)]
        return tokens
