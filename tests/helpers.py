"""Small models and data for the tests."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import torch
from transformers import MBartConfig

from soke.assemble.new_mbart import kept_ids, train_pieces
from soke.data.corpora import Corpus
from soke.generator import GENERATORS, Generator, PromptBuilder, Vocabulary
from soke.parts import PartTable
from soke.retrieval import KeywordSearch, SignDictionary
from soke.structures import TokenSample
from soke.tokenizer import PartTokenizer

THREE_PARTS = [
    {
        "name": "body",
        "columns": [[0, 30], [120, 133]],
        "codebook_size": 16,
        "fusion_weight": 0.2,
        "token_prefix": "motion_id",
    },
    {
        "name": "lhand",
        "columns": [[30, 75]],
        "codebook_size": 8,
        "fusion_weight": 0.4,
        "token_prefix": "hand_id",
    },
    {
        "name": "rhand",
        "columns": [[75, 120]],
        "codebook_size": 12,
        "fusion_weight": 0.4,
        "token_prefix": "rhand_id",
    },
]

CORPORA = {
    "how2sign": Corpus("how2sign", "how2sign", "", "en_XX", "en_ASL", " Key word {i}, ", "en"),
    "phoenix": Corpus("phoenix", "phoenix", "", "de_DE", "de_DGS", " Schlüsselwort {i}, ", "de"),
    "csl": Corpus("csl", "csl", "", "zh_CN", "zh_CSL", " 关键词 {i}, ", "zh"),
}


def small_tokenizer(rows=THREE_PARTS, train=False) -> PartTokenizer:
    torch.manual_seed(0)
    mean, std = torch.randn(133), torch.rand(133) + 0.5
    tokenizer = PartTokenizer(PartTable.from_rows(rows), 16, 8, 0.99, mean, std)
    if train:
        return tokenizer.train()
    for network in tokenizer.networks:
        # Encoder outputs are small at first: spread the codes over them so that all get used.
        network.quantizer.codebook.normal_(std=0.05)
    return tokenizer.eval()


def mbart_folder(folder: Path) -> Path:
    """A trimmed mBART folder with three languages, without weights."""
    texts = ["the quick brown fox jumps", "schöne grüße aus köln", "今天天气很好", "1, 2, 3,"]
    model = train_pieces(texts * 5, ["Key word", "Schlüsselwort", "关键词"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sentencepiece.bpe.model").write_bytes(model)
    import sentencepiece

    pieces = len(sentencepiece.SentencePieceProcessor(model_proto=model))
    rows = kept_ids(pieces, ["en_XX", "de_DE", "zh_CN"])
    (folder / "map_ids.pkl").write_bytes(pickle.dumps(rows))
    small_config(len(rows)).to_json_file(folder / "config.json")
    return folder


def small_config(rows: int) -> MBartConfig:
    return MBartConfig(
        vocab_size=rows,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        max_position_embeddings=512,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        scale_embedding=True,
    )


def part_rows(count: int) -> list[dict[str, object]]:
    """A table of so many parts of unlike sizes."""
    edges = [round(133 * i / count) for i in range(count + 1)]
    return [
        {
            "name": f"part{p}",
            "columns": [[edges[p], edges[p + 1]]],
            "codebook_size": 9 + 5 * p,
            "fusion_weight": 2 * (p + 1) / (count * (count + 1)),
            "token_prefix": f"part{p}_id",
        }
        for p in range(count)
    ]


def small_generator(
    folder: Path, decoder: str = "multi_head", rows: list[dict] = THREE_PARTS, **options: object
) -> tuple[Generator, PromptBuilder]:
    parts = PartTable.from_rows(rows)
    vocabulary = Vocabulary(
        mbart_folder(folder),
        parts,
        ["en_XX", "de_DE", "zh_CN"],
        ["en_ASL", "zh_CSL", "de_DGS"],
        part_languages=decoder == "part",
    )
    dictionary = SignDictionary({"fox": np.ones((14, len(parts)), dtype=np.int64)})
    prompts = PromptBuilder(vocabulary, CORPORA, KeywordSearch({"how2sign": dictionary}))
    torch.manual_seed(1)
    model = GENERATORS[decoder](vocabulary, small_config(vocabulary.text_size), **options)
    for parameter in model.parameters():  # far from the near-uniform start, so that choices differ
        if parameter.requires_grad and parameter.ndim > 1:
            parameter.data.mul_(4)
    return model.eval(), prompts


def token_samples(count: int = 5, rows: list[dict] = THREE_PARTS) -> list[TokenSample]:
    """Clips of unlike lengths in three languages."""
    draw = np.random.default_rng(0)
    texts = ["the quick fox", "schöne grüße", "jumps", "今天天气很好", "the brown fox jumps"]
    corpora = ["how2sign", "phoenix", "how2sign", "csl", "how2sign"]
    sizes = [row["codebook_size"] for row in rows]
    return [
        TokenSample(
            f"c{i}",
            corpora[i % 5],
            texts[i % 5],
            np.stack([draw.integers(0, s, 4 + 3 * i) for s in sizes], axis=1),
        )
        for i in range(count)
    ]
