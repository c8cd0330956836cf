"""Text as mBART ids, and where mBART keeps its language codes and ``<mask>``.

mBART numbers ``<s> <pad> </s> <unk>`` 0 to 3, then the SentencePiece pieces (one higher than
SentencePiece numbers them), then the language codes, then ``<mask>``.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Protocol

import sentencepiece
import tokenizers

from soke.files import MissingAssetError

log = logging.getLogger(__name__)

#: Ids of mBART's special pieces, before and after trimming.
BOS, PAD, EOS, UNK = range(4)
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
MASK = "<mask>"
#: How pieces write a space.
SPACE = "▁"
#: Language codes of mbart-large-cc25, in id order.
MBART_LANGUAGES = (
    "ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT "
    "lv_LV my_MM ne_NP nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN"
).split()
#: Language codes of mBART-50: those of cc25, then 27 more, so that ``<mask>`` comes later.
MBART50_LANGUAGES = (
    *MBART_LANGUAGES,
    *(
        "af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN pl_PL ps_AF "
        "pt_XX sv_SE sw_KE ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI"
    ).split(),
)
#: No text has these: the first marks names that no text may match, the second replaces it.
_NEVER = "\U0010ffff"
_NEITHER = "\U0010fffe"
SENTENCEPIECE = "sentencepiece.bpe.model"
TOKENIZER = "tokenizer.json"


class TextPieces(Protocol):
    """What both kinds of files offer.

    ``languages`` are the ids of the language codes, ``mask`` the id of ``<mask>`` or None, ``size``
    is one more than the largest id.
    """

    languages: dict[str, int]
    mask: int | None
    size: int

    def encode(self, text: str) -> list[int]:
        """mBART ids of a text, without special tokens and languages."""
        ...

    def piece(self, index: int) -> str:
        """How the piece with an mBART id is written; ``▁`` stands for a space."""
        ...


def open_pieces(folder: str | Path, largest: int) -> TextPieces:
    """The pieces of an mBART folder: of its SentencePiece model, else of its ``tokenizer.json``.

    ``tokenizer.json`` names every id. A SentencePiece model says nothing of language codes: they
    are those of mBART-50 when ``tokenizer_class`` (in ``tokenizer_config.json`` or ``config.json``)
    says so or when ``largest``, the largest id in use, lies beyond ``<mask>`` of cc25, and else
    those of cc25. The 25 that both have carry the same ids in both. (So what would go unnoticed is
    a folder cut from mBART-50 that says nothing of its class, has neither ``<mask>`` nor any of the
    last 26 languages, but has ``af_ZA``.)

    Raises `soke.files.MissingAssetError` when neither file is there and ``ValueError`` when the one
    that is cannot be read or has fewer ids than ``largest``.
    """
    folder = Path(folder)
    if (folder / SENTENCEPIECE).exists():
        pieces = _SentencePieces(folder, largest)
    elif (folder / TOKENIZER).exists():
        pieces = _JsonPieces(folder / TOKENIZER)
    else:
        raise MissingAssetError(
            "The text pieces",
            f"{folder / SENTENCEPIECE} or {TOKENIZER}",
            "Copy the file from the mBART that the folder was cut from, or make the folder again "
            "with `soke vocabulary` or `soke small-mbart`",
        )
    if largest >= pieces.size:
        raise ValueError(
            f"{folder}: the id {largest} is in use, but its text pieces, languages and {MASK} have "
            f"ids up to {pieces.size - 1}; the files are not of the same mBART"
        )
    return pieces


class _SentencePieces:
    def __init__(self, folder: Path, largest: int) -> None:
        try:
            self._model = sentencepiece.SentencePieceProcessor(
                model_file=str(folder / SENTENCEPIECE)
            )
        except (RuntimeError, OSError, ValueError) as error:
            raise ValueError(f"{folder / SENTENCEPIECE} cannot be read: {error}") from None
        first = len(self._model) + 1
        later = largest > first + len(MBART_LANGUAGES)
        codes = MBART50_LANGUAGES if later or _says_mbart50(folder) else MBART_LANGUAGES
        self.languages = {code: first + i for i, code in enumerate(codes)}
        self.mask = first + len(codes)
        self.size = self.mask + 1

    def encode(self, text: str) -> list[int]:
        # SentencePiece id 0 is its own <unk>; mBART puts it at 3.
        return [index + 1 if index else UNK for index in self._model.encode(valid_text(text))]

    def piece(self, index: int) -> str:
        if index < len(SPECIALS):
            return SPECIALS[index]
        if index <= len(self._model):
            return self._model.id_to_piece(index - 1)
        return next((code for code, i in self.languages.items() if i == index), MASK)


class _JsonPieces:
    def __init__(self, path: Path) -> None:
        content = read_json(path)
        try:
            vocabulary = content["model"]["vocab"]
            added = content.get("added_tokens") or []
            self._names = [name for name, _ in vocabulary]
            ids = {name: index for index, name in enumerate(self._names)}
            ids |= {token["content"]: token["id"] for token in added}
            # A name such as "</s>" in a text is four letters, not a token.
            for name in {
                *SPECIALS,
                MASK,
                *MBART50_LANGUAGES,
                *(token["content"] for token in added),
            }:
                if ids.get(name, len(vocabulary)) < len(vocabulary):
                    vocabulary[ids[name]] = [f"{_NEVER}{ids[name]}", vocabulary[ids[name]][1]]
            plain = {**content, "added_tokens": [], "post_processor": None, "padding": None}
            self._model = tokenizers.Tokenizer.from_str(json.dumps({**plain, "truncation": None}))
        except Exception as error:  # the library raises nothing more specific
            raise ValueError(
                f"{path} cannot be read by the tokenizers library as the Unigram pieces of an "
                f"mBART ({type(error).__name__}: {error})"
            ) from None
        numbers = [ids.get(name) for name in SPECIALS]
        if numbers != [BOS, PAD, EOS, UNK]:
            raise ValueError(
                f"{path} is not of an mBART: {' '.join(SPECIALS)} have the ids {numbers}"
            )
        if self._model.normalizer is None:
            log.warning(
                "%s does not normalise text (ligatures, full-width letters): such characters "
                "become unknown. Put %s of the same mBART beside it",
                path,
                SENTENCEPIECE,
            )
        self.languages = {code: ids[code] for code in MBART50_LANGUAGES if code in ids}
        self.mask = ids.get(MASK)
        self.size = 1 + max(ids.values())

    def encode(self, text: str) -> list[int]:
        # SentencePiece drops spaces at the ends and doubled ones; not every file says so.
        text = valid_text(text).replace(_NEVER, _NEITHER)
        return self._model.encode(" ".join(text.split()), add_special_tokens=False).ids

    def piece(self, index: int) -> str:
        return self._names[index] if index < len(self._names) else MASK


def valid_text(text: str) -> str:
    """With question marks for halves of surrogate pairs, which the libraries would refuse."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def read_json(path: Path) -> dict[str, object]:
    """The JSON object of a file. Raises ``ValueError`` for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no settings but a {type(content).__name__}")
    return content


def _says_mbart50(folder: Path) -> bool:
    for name in ("tokenizer_config.json", "config.json"):
        path = folder / name
        kind = read_json(path).get("tokenizer_class") if path.exists() else None
        if kind:
            return str(kind).startswith("MBart50")
    return False
