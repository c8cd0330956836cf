"""A full mBART in small, made of the libraries' own classes: the pieces, the weights, the files."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path

import safetensors.torch
import sentencepiece
import tokenizers
import torch
from sentencepiece import sentencepiece_model_pb2
from tokenizers import models, normalizers, pre_tokenizers
from transformers import MBartForConditionalGeneration
from transformers.models.mbart import tokenization_mbart
from transformers.models.mbart50 import tokenization_mbart50

from tests.helpers import small_config

CODES = {
    "cc25": tokenization_mbart.FAIRSEQ_LANGUAGE_CODES,
    "mbart50": tokenization_mbart50.FAIRSEQ_LANGUAGE_CODES,
}
TEXTS = [
    "the quick brown fox jumps over the lazy dog",
    "she sells sea shells by the sea shore",
    "office flights find fine coffee",
    "please show me the way to the next station",
    "schöne grüße aus köln",
    "am freitag scheint die sonne im süden",
    "in der nacht regnet es an der küste kräftig",
    "morgen wird es wärmer und trockener",
    "今天天气很好",
    "我们明天去北京",
    "他昨天在学校学习中文",
    "你好，请问这是什么？",
    "sign this sentence: Key word 1, 2, 3,",
    "Schlüsselwort 1, 2, 3,",
    "关键词 1, 2, 3,",
]


@cache
def pieces_model() -> bytes:
    """A unigram model with SentencePiece's default normalisation (NFKC), as mBART's."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 4),
        model_writer=model,
        model_type="unigram",
        vocab_size=240,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
    )
    return model.getvalue()


def processor() -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=pieces_model())


def mbart_ids(text: str) -> list[int]:
    """What the mBART ids of a text are, by SentencePiece and mBART's definition."""
    return [{0: 3}.get(i, i + 1) for i in processor().encode(text)]


def tokenizer_json(kind: str = "cc25") -> str:
    """``tokenizer.json`` as it is published beside mBART: all ids by name, NFKC, Metaspace."""
    proto = sentencepiece_model_pb2.ModelProto.FromString(pieces_model())
    names = [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")]
    names += [(piece.piece, piece.score) for piece in proto.pieces[3:]]
    names += [(code, 0.0) for code in (*CODES[kind], "<mask>")]
    tokenizer = tokenizers.Tokenizer(models.Unigram(names, unk_id=3))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap),
            normalizers.Replace(tokenizers.Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", *CODES[kind], "<mask>"])
    return tokenizer.to_str()


def full_mbart(
    folder: Path, kind: str = "cc25", weights: str = "safetensors", tied: bool = True
) -> MBartForConditionalGeneration:
    """Write a folder as it is published, and give the model back."""
    torch.manual_seed(3)
    config = small_config(len(processor()) + 1 + len(CODES[kind]) + 1)
    config.tie_word_embeddings = tied
    model = MBartForConditionalGeneration(config).eval()
    model.final_logits_bias.normal_()
    model.model.shared.weight.data[4:] += 0.1 * torch.randn(config.d_model)
    folder.mkdir(parents=True)
    (folder / "sentencepiece.bpe.model").write_bytes(pieces_model())
    state = {key: value.clone() for key, value in model.state_dict().items()}
    if weights == "bin":
        torch.save(state, folder / "pytorch_model.bin")
        config.save_pretrained(folder)
    else:
        size = "10KB" if weights == "shards" else "1GB"
        model.save_pretrained(folder, max_shard_size=size)
        assert (folder / "model.safetensors.index.json").exists() == (weights == "shards")
    (folder / "generation_config.json").unlink(missing_ok=True)
    return model


def settings(folder: Path, **changes: object) -> None:
    """Change ``config.json``."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def save(folder: Path, state: dict[str, torch.Tensor]) -> None:
    safetensors.torch.save_file({k: v.clone() for k, v in state.items()}, folder)
