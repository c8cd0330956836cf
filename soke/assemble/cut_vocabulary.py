"""Cut a full mBART to the text pieces that a configuration's data sets use.

    soke vocabulary --cfg configs/soke.yaml --source downloads/mbart-large-cc25 \\
        --texts more.txt

``--source`` is a folder with an mbart-large-cc25 or an mBART-50: config.json, weights (.safetensors
or .bin, whole or in shards) and sentencepiece.bpe.model or tokenizer.json. What is written to
``model.generator.folder`` is an mBART too, with fewer rows, and map_ids.pkl, which says which piece
each row is. Kept are the special pieces, every piece that occurs in the training texts of the
configuration's data sets, in its prompts and in the files of ``--texts`` (one text a line), the
single letters of these pieces, the language codes of its data sets, and <mask>.

With ``--minimum_count N`` a rarer piece is left out and written with shorter ones.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import MBartConfig

from soke.assemble import corpus_texts
from soke.assemble.run import Run
from soke.files import require
from soke.generator.mbart import folder as folders
from soke.generator.mbart.text_tokenizer import (
    EOS,
    MBART_LANGUAGES,
    SPECIALS,
    UNK,
    TextPieces,
    open_pieces,
)
from soke.generator.mbart.weights import Weights
from soke.generator.prompts import TEXT_SLOT

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """What is kept of a full mBART: the ids in row order, and how the texts fare with them.

    ``tokens`` are all tokens of the texts, ``whole`` those whose piece is kept; the others are
    written with shorter pieces, but for ``unknown``, which the full mBART does not know either.
    """

    ids: tuple[int, ...]
    pieces: int
    tokens: int
    whole: int
    unknown: int

    @property
    def rows(self) -> dict[int, int]:
        return {index: row for row, index in enumerate(self.ids)}


def count_pieces(
    pieces: TextPieces, texts: Iterable[str], templates: Sequence[str] = (TEXT_SLOT,)
) -> Counter[int]:
    """How often each mBART id occurs in the texts, in the template where it is most frequent."""
    repeats = Counter(texts)
    counts: Counter[int] = Counter()
    for template in templates:
        found: Counter[int] = Counter()
        for text, times in repeats.items():
            for index in pieces.encode(template.replace(TEXT_SLOT, text)):
                found[index] += times
        counts |= found
    return counts


def choose(
    pieces: TextPieces, counts: Mapping[int, int], languages: Sequence[str], minimum: int = 1
) -> Kept:
    """Which ids to keep for texts with these ``counts``.

    Raises ``ValueError`` for a language code that the mBART does not have.
    """
    unknown = [code for code in languages if code not in pieces.languages]
    if unknown:
        raise ValueError(
            f"the mBART has no language code {unknown[0]!r}; it has {sorted(pieces.languages)}"
        )
    codes = {*pieces.languages.values(), pieces.mask}
    text = [i for i in range(len(SPECIALS), pieces.size) if i not in codes]
    ids = {pieces.piece(i): i for i in text}
    occurring = {i for i in counts if i > UNK and i not in codes}
    letters = {letter for i in occurring for letter in pieces.piece(i)}
    kept = {ids[letter] for letter in letters if letter in ids}
    # A rare piece that cannot be written with its letters stays.
    kept |= {i for i in occurring if counts[i] >= minimum or set(pieces.piece(i)) - set(ids)}
    known = {i: n for i, n in counts.items() if i != UNK}
    order = [*range(len(SPECIALS)), *sorted(kept), *sorted(pieces.languages[c] for c in languages)]
    return Kept(
        tuple(order if pieces.mask is None else [*order, pieces.mask]),
        len(kept),
        sum(counts.values()),
        sum(n for i, n in known.items() if i in kept),
        counts.get(UNK, 0),
    )


def cut_config(config: MBartConfig, rows: Mapping[int, int], languages: int) -> MBartConfig:
    """The configuration with the ids that it names as rows."""
    settings = config.to_dict()
    for key, value in settings.items():
        if key.endswith("_token_id") and isinstance(value, int):
            settings[key] = rows.get(value)
    mbart50 = languages > len(MBART_LANGUAGES)
    settings["tokenizer_class"] = "MBart50Tokenizer" if mbart50 else "MBartTokenizer"
    settings["eos_token_id"] = EOS
    return MBartConfig.from_dict(settings)


def trim(
    source: str | Path,
    out: str | Path,
    texts: Sequence[str],
    languages: Sequence[str],
    templates: Sequence[str] = (TEXT_SLOT,),
    minimum: int = 1,
) -> Kept:
    """Write the mBART of ``source``, cut to ``texts`` and ``languages``, to the new folder ``out``.

    Raises `soke.files.MissingAssetError` for files that ``source`` lacks, and ``ValueError`` when
    ``out`` exists, when ``source`` is cut already or its files do not fit each other, and without
    texts.
    """
    folders.check_new(out)
    source = require(source, "The full mBART", "Correct --source")
    if (source / folders.MAPPING).exists():
        raise ValueError(f"{source} has a {folders.MAPPING}: it is cut already; name a full mBART")
    if not any(text.strip() for text in texts):
        raise ValueError(
            "there are no texts to cut the vocabulary to: the configuration's data sets are not "
            "there. Prepare them, or name text files with --texts"
        )
    with folders.new_folder(out) as folder:
        config = folders.read_config(source)
        pieces = open_pieces(source, config.vocab_size - 1)
        kept = choose(pieces, count_pieces(pieces, texts, templates), languages, minimum)
        weights = Weights.from_state(folders.read_weights(source), source)
        if len(weights.table) != config.vocab_size:
            raise ValueError(
                f"{source}: the embedding has {len(weights.table)} rows but {folders.CONFIG} says "
                f"vocab_size {config.vocab_size}"
            )
        if kept.ids[-1] >= config.vocab_size:
            raise ValueError(
                f"{source}: the embedding has {config.vocab_size} rows but {pieces.size} ids are "
                "in use; the text pieces are of another mBART"
            )
        index = torch.tensor(kept.ids)
        cut = weights.change_tables(lambda table: table[index], lambda bias: bias[index])
        config = cut_config(config, kept.rows, len(pieces.languages))
        folders.write_weights(folder, cut, config)
        folders.write_map_ids(folder, kept.rows)
        folders.copy_pieces(source, folder)
    report(kept, pieces, out)
    return kept


def report(kept: Kept, pieces: TextPieces, out: object) -> None:
    log.info(
        "%s: kept %d of %d pieces, with specials, languages and <mask> %d of %d rows",
        out,
        kept.pieces,
        pieces.size - len(SPECIALS) - len(pieces.languages) - 1,
        len(kept.ids),
        pieces.size,
    )
    known = kept.tokens - kept.unknown
    log.info(
        "%d tokens in the texts: %.2f %% are kept pieces, %.2f %% are written with shorter ones; "
        "%d more the full mBART does not know either",
        known,
        100 * kept.whole / max(known, 1),
        100 - 100 * kept.whole / max(known, 1),
        kept.unknown,
    )


def read_texts(paths: Iterable[str | Path]) -> list[str]:
    """The lines of UTF-8 text files. Raises ``ValueError`` for a file in another encoding."""
    texts = []
    for path in paths:
        path = require(path, "The text file", "Correct --texts")
        try:
            texts += path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 text ({error}); convert it") from None
    return texts


def trim_for(run: Run, source: str, texts: Sequence[str], minimum: int) -> Kept:
    """Write ``model.generator.folder``: the mBART of ``source``, cut to the configured data sets.

    ``texts`` are files with more texts.
    """
    found = corpus_texts.training_texts(run) + read_texts(texts)
    if any(found):
        found += corpus_texts.keyword_phrases(run)
    languages = corpus_texts.text_languages(run)
    templates = corpus_texts.templates(run)
    return trim(source, run.model.generator.folder, found, languages, templates, minimum)
