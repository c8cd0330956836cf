"""Text pieces, language tokens and motion tokens as rows of one embedding table.

Rows are numbered: first the text rows of the mBART folder (whose ``map_ids.pkl`` maps an mBART id
to a row), then one row a sign language, then, part by part, codebook size + 3 rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sentencepiece
import torch
from torch import Tensor

from soke.files import require
from soke.parts import PartTable
from soke.unpickling import safe_load_pickle

#: Ids of mBART's special pieces, before and after trimming.
BOS, PAD, EOS, UNK = range(4)
#: Language codes of mbart-large-cc25, in id order behind the SentencePiece pieces.
MBART_LANGUAGES = (
    "ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT "
    "lv_LV my_MM ne_NP nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN"
).split()
#: Rows that every part has behind its codes.
EXTRA_ROWS = 3
_REMEDY = (
    "Put the trimmed mBART there (config.json, weights, sentencepiece.bpe.model, map_ids.pkl), or "
    "make a small one for the demo data with `python -m prepare.small_mbart`"
)


class Vocabulary:
    """Reads a trimmed mBART folder and numbers everything that has an embedding.

    Raises `soke.files.MissingAssetError` for a missing folder or file and ``ValueError`` for a
    language that the folder does not know.
    """

    def __init__(
        self,
        folder: str | Path,
        parts: PartTable,
        text_languages: Sequence[str],
        sign_languages: Sequence[str],
    ) -> None:
        folder = require(folder, "The mBART folder", _REMEDY)
        model = require(folder / "sentencepiece.bpe.model", "The SentencePiece model", _REMEDY)
        mapping = require(folder / "map_ids.pkl", "The table of kept pieces", _REMEDY)
        self.parts = parts
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(model))
        self.rows = {int(k): int(v) for k, v in safe_load_pickle(mapping).items()}
        self.text_size = max(self.rows.values()) + 1
        # mBART shifts SentencePiece ids by one; language codes and <mask> follow the pieces.
        first_code = len(self.pieces) + 1
        codes = {code: first_code + i for i, code in enumerate(MBART_LANGUAGES)}
        self.mask_row = self.rows.get(first_code + len(MBART_LANGUAGES))
        self.text_languages = {
            code: self._language_row(code, codes, folder) for code in text_languages
        }
        self.sign_languages = {
            token: self.text_size + i for i, token in enumerate(dict.fromkeys(sign_languages))
        }
        self.part_offsets = []
        row = self.text_size + len(self.sign_languages)
        for part in parts:
            self.part_offsets.append(row)
            row += part.codebook_size + EXTRA_ROWS
        self.size = row

    def _language_row(self, code: str, codes: dict[str, int], folder: Path) -> int:
        if codes.get(code) not in self.rows:
            known = sorted(known for known, i in codes.items() if i in self.rows)
            raise ValueError(
                f"{folder} has no language token {code!r}; it has {known}. A small vocabulary made "
                "before the data set was there has to be removed and made again"
            )
        return self.rows[codes[code]]

    def encode_text(self, text: str) -> list[int]:
        """Embedding rows of a text, without special tokens; unknown pieces become ``UNK``."""
        # SentencePiece id 0 is its own <unk>; mBART puts it at 3.
        ids = [piece + 1 if piece else UNK for piece in self.pieces.encode(text)]
        return [self.rows.get(i, UNK) for i in ids]

    def motion_rows(self, tokens: Tensor) -> Tensor:
        """Embedding rows of tokenizer tokens ``[..., P]``."""
        return tokens + torch.tensor(self.part_offsets, device=tokens.device)

    def shared_head_rows(self) -> list[int]:
        """The rows that every head sees besides its own codes: 0..3, <mask>, languages."""
        mask = [] if self.mask_row is None else [self.mask_row]
        return [BOS, PAD, EOS, UNK, *mask, *self.text_languages.values(),
                *self.sign_languages.values()]  # fmt: skip

    def head_rows(self) -> list[Tensor]:
        """For each part the rows that its head sees: its codes in order, then the shared ones."""
        shared = self.shared_head_rows()
        return [
            torch.tensor([*range(offset, offset + part.codebook_size), *shared])
            for part, offset in zip(self.parts, self.part_offsets)
        ]
