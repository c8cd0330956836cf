"""Text pieces, language tokens and motion tokens as rows of one embedding table.

Rows are numbered: first the text rows of the mBART folder (whose ``map_ids.pkl`` maps an mBART id
to a row), then one row a sign language, then, where parts have language tokens of their own, for
each part after the first one row a sign language, then, part by part, codebook size + 3 rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from soke.files import require
from soke.generator.mbart.folder import REMEDY, read_map_ids
from soke.generator.mbart.text_tokenizer import (
    BOS,
    EOS,
    MBART_LANGUAGES,
    PAD,
    SPACE,
    SPECIALS,
    UNK,
    TextPieces,
    open_pieces,
)
from soke.parts import PartTable

__all__ = ["BOS", "EOS", "EXTRA_ROWS", "MBART_LANGUAGES", "PAD", "UNK", "Vocabulary"]

#: Rows that every part has behind its codes.
EXTRA_ROWS = 3


class Vocabulary:
    """Reads a trimmed mBART folder and numbers everything that has an embedding.

    With ``part_languages`` every part after the first starts with its own language token,
    ``{sign_language}_{part.name}``; ``part_language_rows`` gives for a sign language the row of
    each part. ``rows`` is the folder's table from mBART ids to rows, ``pieces`` says how the rows
    that text is made of are written. Look-ups are tensors, made once a device.

    Raises `soke.files.MissingAssetError` for a missing folder or file and ``ValueError`` for a
    damaged one and for a language that the folder does not know.
    """

    def __init__(
        self,
        folder: str | Path,
        parts: PartTable,
        text_languages: Sequence[str],
        sign_languages: Sequence[str],
        part_languages: bool = False,
    ) -> None:
        folder = require(folder, "The mBART folder", REMEDY)
        rows = read_map_ids(folder)
        self.parts = parts
        self.text_size = len(rows)
        self._pieces = open_pieces(folder, max(rows))
        self.rows = rows
        # A list: for the few ids of one text it is faster than a tensor.
        self._row_of_id = [rows.get(index, -1) for index in range(self._pieces.size)]
        self.pieces = _text_pieces(self._pieces, rows)
        self._cut = _CutPieces(self._pieces, self.pieces)
        self.mask_row = rows.get(self._pieces.mask)
        self.text_languages = _language_rows(
            dict.fromkeys(text_languages), self._pieces.languages, rows, folder
        )
        self.sign_languages = {
            token: self.text_size + i for i, token in enumerate(dict.fromkeys(sign_languages))
        }
        self.part_language_rows = self._part_languages(part_languages)
        used = {row for rows in self.part_language_rows.values() for row in rows}
        self.part_offsets = []
        row = self.text_size + len(used)
        for part in parts:
            self.part_offsets.append(row)
            row += part.codebook_size + EXTRA_ROWS
        self.size = row
        self._tensors = _Tensors(
            text=torch.tensor([UNK if row < 0 else row for row in self._row_of_id]),
            offsets=torch.tensor(self.part_offsets),
            sizes=torch.tensor([part.codebook_size for part in parts]),
            languages=torch.tensor(
                list(self.part_language_rows.values()), dtype=torch.int64
            ).reshape(-1, len(parts)),
        )

    def _part_languages(self, own: bool) -> dict[str, list[int]]:
        count = len(self.sign_languages) if own else 0
        return {
            token: [row + p * count for p in range(len(self.parts))]
            for token, row in self.sign_languages.items()
        }

    def encode_text(self, text: str) -> list[int]:
        """Embedding rows of a text, without special tokens.

        A piece that was cut away with the vocabulary is written with the longest pieces that were
        kept; what has none becomes ``UNK``.
        """
        ids = self._pieces.encode(text)
        rows = [self._row_of_id[index] for index in ids]
        if -1 not in rows:
            return rows
        return [
            row
            for index, kept in zip(ids, rows)
            for row in (self._cut.rows(index) if kept < 0 else [kept])
        ]

    def decode_text(self, rows: Iterable[int]) -> str:
        """The text that rows stand for, without special pieces and languages.

        It inverts `encode_text` for what that can write, brought into SentencePiece's form: NFKC,
        single spaces, none at the ends.
        """
        text = "".join(self.pieces.get(row, "") for row in rows)
        return " ".join(text.replace(SPACE, " ").split())

    def text_rows(self, ids: Tensor) -> Tensor:
        """Embedding rows of mBART ids, of any shape; ``UNK`` for those that were not kept."""
        return self._tensors.on(ids.device)["text"][ids]

    def motion_rows(self, tokens: Tensor) -> Tensor:
        """Embedding rows of tokenizer tokens ``[..., P]``."""
        return tokens + self._tensors.on(tokens.device)["offsets"]

    def motion_tokens(self, rows: Tensor) -> Tensor:
        """The inverse of `motion_rows`, ``[..., P]``; -1 where a row is not a code of its part."""
        tables = self._tensors.on(rows.device)
        tokens = rows - tables["offsets"]
        return tokens.masked_fill((tokens < 0) | (tokens >= tables["sizes"]), -1)

    def language_rows(self, sign_language: Tensor) -> Tensor:
        """The rows [B, P] that the parts start with, from the rows [B] of the sign languages."""
        return self._tensors.on(sign_language.device)["languages"][sign_language - self.text_size]

    def shared_head_rows(self) -> list[int]:
        """The rows that every head sees besides its own codes: 0..3, <mask>, languages."""
        mask = [] if self.mask_row is None else [self.mask_row]
        languages = [*self.text_languages.values(), *self.sign_languages.values()]
        # Language tokens of parts lie behind those of the sign languages.
        own = sorted({row for rows in self.part_language_rows.values() for row in rows[1:]})
        return [BOS, PAD, EOS, UNK, *mask, *dict.fromkeys([*languages, *own])]

    def head_rows(self) -> list[Tensor]:
        """For each part the rows that its head sees: its codes in order, then the shared ones."""
        shared = self.shared_head_rows()
        return [
            torch.tensor([*range(offset, offset + part.codebook_size), *shared])
            for part, offset in zip(self.parts, self.part_offsets)
        ]

    def describe_rows(self) -> str:
        """How the rows come about, for messages: ``20 text + 3 language + 19 body + ...``."""
        counts = {"text": self.text_size, "language": self.part_offsets[0] - self.text_size}
        counts |= {part.name: part.codebook_size + EXTRA_ROWS for part in self.parts}
        return " + ".join(f"{count} {name}" for name, count in counts.items())

    def row_table(self) -> dict[str, object]:
        """What all rows are, as JSON can hold it; ``first`` and ``count`` are a part's codes."""
        return {
            "size": self.size,
            "text_rows": self.text_size,
            "sign_languages": self.part_language_rows,
            "parts": [
                {"name": part.name, "first": first, "count": part.codebook_size}
                for part, first in zip(self.parts, self.part_offsets)
            ],
        }


def _language_rows(
    wanted: Iterable[str], ids: Mapping[str, int], rows: Mapping[int, int], folder: Path
) -> dict[str, int]:
    for code in wanted:
        if ids.get(code) not in rows:
            known = sorted(known for known, index in ids.items() if index in rows)
            raise ValueError(
                f"{folder} has no language token {code!r}; it has {known}. A vocabulary made "
                "before the data set was there has to be removed and made again"
            )
    return {code: rows[ids[code]] for code in wanted}


def _text_pieces(pieces: TextPieces, rows: Mapping[int, int]) -> dict[int, str]:
    """How the rows that text is made of are written: no specials, languages, ``<mask>``."""
    other = {*range(len(SPECIALS)), *pieces.languages.values(), pieces.mask}
    return {row: pieces.piece(index) for index, row in rows.items() if index not in other}


class _CutPieces:
    """Writes pieces that were cut away with those that were kept; each once, then by table."""

    def __init__(self, pieces: TextPieces, kept: Mapping[int, str]) -> None:
        self._pieces = pieces
        self._written = kept
        self._known = {UNK: [UNK]}
        self._kept: dict[str, int] | None = None  # only needed for texts that nobody trimmed for

    def rows(self, index: int) -> list[int]:
        if index not in self._known:
            if self._kept is None:
                self._kept = {piece: row for row, piece in self._written.items()}
            self._known[index] = self._write(self._pieces.piece(index))
        return self._known[index]

    def _write(self, text: str) -> list[int]:
        written: list[int] = []
        while text:
            ends = range(len(text), 0, -1)
            end = next((end for end in ends if text[:end] in self._kept), None)
            row = UNK if end is None else self._kept[text[:end]]
            if row != UNK or written[-1:] != [UNK]:  # unknown letters in a row are one unknown
                written.append(row)
            text = text[end or 1 :]
        return written


class _Tensors:
    """Named tensors, copied to each device once."""

    def __init__(self, **tensors: Tensor) -> None:
        self._host = tensors
        self._copies: dict[torch.device, dict[str, Tensor]] = {}

    def on(self, device: torch.device) -> dict[str, Tensor]:
        if device not in self._copies:
            # Made under inference mode, they could not be used in training later.
            with torch.inference_mode(False):
                self._copies[device] = {k: t.to(device) for k, t in self._host.items()}
        return self._copies[device]

    def __getstate__(self) -> dict[str, object]:
        return {"_host": self._host, "_copies": {}}  # copies on a GPU cannot go to workers
