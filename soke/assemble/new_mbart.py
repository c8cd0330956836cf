"""Make a small mBART folder, to be trained from scratch, from the texts of a configuration.

    soke small-mbart --cfg configs/demo/soke.yaml

Writes what the published trimmed mBART folder has, except for weights: ``config.json``,
``sentencepiece.bpe.model`` (trained here on the training texts) and ``map_ids.pkl``.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import pickle
from pathlib import Path

import sentencepiece

from soke.assemble import corpus_texts
from soke.assemble.run import Run
from soke.files import atomic_path
from soke.generator.mbart.folder import CONFIG, MAPPING
from soke.generator.mbart.text_tokenizer import (
    BOS,
    EOS,
    MBART50_LANGUAGES,
    MBART_LANGUAGES,
    PAD,
    SENTENCEPIECE,
    UNK,
)

log = logging.getLogger(__name__)


def train_pieces(texts: list[str], phrases: list[str]) -> bytes:
    """A SentencePiece model of single characters, with ``phrases`` as pieces of their own.

    The demo's words are spelled, so every letter has to be visible to the model.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        model_type="char",
        vocab_size=8000,
        hard_vocab_limit=False,
        character_coverage=1.0,
        user_defined_symbols=[phrase.replace(" ", "▁") for phrase in phrases],
        minloglevel=2,
    )
    return model.getvalue()


def kept_ids(pieces: int, languages: list[str]) -> dict[int, int]:
    """mBART id -> embedding row: the specials, all pieces, the languages in use, <mask>.

    Numbered as in mbart-large-cc25, or in mBART-50 where cc25 lacks a language. Raises
    ``ValueError`` for a language that both lack.
    """
    codes = list(MBART_LANGUAGES if set(languages) <= set(MBART_LANGUAGES) else MBART50_LANGUAGES)
    unknown = [code for code in languages if code not in codes]
    if unknown:
        raise ValueError(f"mBART has no language code {unknown[0]!r}; it has {sorted(codes)}")
    first_code = pieces + 1
    ids = [BOS, PAD, EOS, UNK, *range(4, first_code)]
    ids += [first_code + codes.index(code) for code in languages]
    ids.append(first_code + len(codes))
    return {i: row for row, i in enumerate(ids)}


def make(run: Run, options: argparse.Namespace) -> None:
    """Write ``model.generator.folder``, of the sizes in ``options``, unless it is there."""
    folder = Path(run.model.generator.folder)
    if (folder / CONFIG).exists():
        log.info("%s is there already; remove it to make another", folder)
        return
    texts = corpus_texts.training_texts(run)
    # "Key word {i}, " and its like: the letters of a prompt are not letters to spell.
    corpora = run.all_corpora.values()
    phrases = [corpus.keyword_prompt.split("{i}")[0].strip() for corpus in corpora]
    model = train_pieces(texts + [str(i) + "," for i in range(10)], list(dict.fromkeys(phrases)))
    pieces = len(sentencepiece.SentencePieceProcessor(model_proto=model))
    languages = corpus_texts.text_languages(run)
    rows = kept_ids(pieces, languages)
    settings = {
        "model_type": "mbart",
        "vocab_size": len(rows),
        "d_model": options.d_model,
        "encoder_layers": options.layers,
        "decoder_layers": options.layers,
        "encoder_attention_heads": options.heads,
        "decoder_attention_heads": options.heads,
        "encoder_ffn_dim": options.ffn,
        "decoder_ffn_dim": options.ffn,
        "dropout": options.dropout,
        "attention_dropout": 0.0,
        "activation_function": "gelu",
        "max_position_embeddings": 512,
        "scale_embedding": True,
        "bos_token_id": BOS,
        "pad_token_id": PAD,
        "eos_token_id": EOS,
    }
    with atomic_path(folder / SENTENCEPIECE) as path:
        path.write_bytes(model)
    with atomic_path(folder / MAPPING) as path:
        path.write_bytes(pickle.dumps(rows, protocol=4))
    with atomic_path(folder / CONFIG) as path:
        path.write_text(json.dumps(settings, indent=1), encoding="utf-8")
    log.info("%d text rows for %s in %s", len(rows), ", ".join(languages), folder)
