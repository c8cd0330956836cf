"""The generator that is measured, made-up texts, and the plain way of using it.

The plain way has a head a part that projects onto the whole vocabulary and picks its own rows, in
training and in generating. It generates by reading the whole prefix through that network at every
step, with logits at every position, and always makes 100 steps.
"""

from __future__ import annotations

import io
import pickle
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import sentencepiece
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import MBartConfig

from soke.assemble.new_mbart import kept_ids
from soke.assemble.run import Run
from soke.config import load_config
from soke.generator import Generator, MultiHeadGenerator, Vocabulary
from soke.structures import TokenBatch

CONFIG = Path(__file__).parents[1] / "configs" / "soke.yaml"
LANGUAGES = (["en_XX", "de_DE", "zh_CN"], ["en_ASL", "de_DGS", "zh_CSL"])
LETTERS = 19994  # with which the vocabulary has the size of the published one
ROWS, SOURCE, STEPS = 20495, 40, 100
SIZES = {
    "d_model 256, 3+3 layers": {"d_model": 256, "layers": 3, "heads": 4, "ffn": 1024},
    "mbart-large": {"d_model": 1024, "layers": 12, "heads": 16, "ffn": 4096},
}
MEASURED = (1, 20, 40, 60, 80, 100)  # prefixes of the large model's plain way


def vocabulary() -> Vocabulary:
    """As many rows as the published one has; letters are Chinese characters."""
    letters = [chr(0x4E00 + i) for i in range(LETTERS)]
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=("".join(letters[i : i + 50]) for i in range(0, LETTERS, 50)),
        model_writer=trained,
        model_type="char",
        vocab_size=LETTERS + 4,
        character_coverage=1.0,
        minloglevel=2,
    )
    model = trained.getvalue()
    pieces = len(sentencepiece.SentencePieceProcessor(model_proto=model))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sentencepiece.bpe.model").write_bytes(model)
        (folder / "map_ids.pkl").write_bytes(pickle.dumps(kept_ids(pieces, LANGUAGES[0])))
        made = Vocabulary(folder, Run(load_config(CONFIG)).parts, *LANGUAGES)
    assert made.size == ROWS, made.size
    return made


def model(words: Vocabulary, size: str, kind: type[Generator] = MultiHeadGenerator) -> Generator:
    """Random weights, but not so small that all choices are nearly ties."""
    torch.manual_seed(0)
    of = SIZES[size]
    config = MBartConfig(
        vocab_size=words.text_size,
        d_model=of["d_model"],
        max_position_embeddings=1024,
        encoder_layers=of["layers"],
        decoder_layers=of["layers"],
        encoder_attention_heads=of["heads"],
        decoder_attention_heads=of["heads"],
        encoder_ffn_dim=of["ffn"],
        decoder_ffn_dim=of["ffn"],
        dropout=0.0,
        scale_embedding=True,
    )
    made = kind(words, config).eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if weight.ndim > 1 and "embed" not in name and "shared" not in name:
                weight.mul_(2)
    return made


def texts(words: Vocabulary, size: int, steps: int = 0) -> TokenBatch:
    """Made-up clips without padding."""
    draw = torch.Generator().manual_seed(1)
    names = tuple(f"clip-{i}" for i in range(size))
    sizes = [part.codebook_size for part in words.parts]
    tokens = [torch.randint(0, codes, (size, steps), generator=draw) for codes in sizes]
    language = words.sign_languages["zh_CSL"]
    return TokenBatch(
        names=names,
        corpora=("csl",) * size,
        texts=names,
        keywords=((),) * size,
        source=torch.randint(5, words.text_size, (size, SOURCE), generator=draw),
        source_mask=torch.ones(size, SOURCE, dtype=torch.bool),
        sign_language=torch.full((size,), language),
        tokens=torch.stack(tokens, dim=-1),
        token_mask=torch.ones(size, steps, dtype=torch.bool),
    )


# The plain way


class PlainDecoding:
    """The textbook loop. ``step`` is one round of it, after a prefix of rows [B, S, P]."""

    def __init__(self, network: Generator, batch: TokenBatch) -> None:
        self.network, self.batch = network, batch
        self.memory = network.encode(batch.source, batch.source_mask)
        offsets, parts = network.vocabulary.part_offsets, network.vocabulary.parts
        self.codes = [slice(o, o + part.codebook_size) for o, part in zip(offsets, parts)]

    def step(self, rows: Tensor) -> Tensor:
        network = self.network
        states = network.backbone.decoder(
            inputs_embeds=network.fuse(rows),
            encoder_hidden_states=self.memory,
            encoder_attention_mask=self.batch.source_mask,
            use_cache=False,
        ).last_hidden_state
        logits = [F.linear(states, network.table, network.bias) for _ in self.codes]
        said = [
            scores[:, -1, codes].argmax(dim=1) + codes.start
            for scores, codes in zip(logits, self.codes)
        ]
        return torch.cat([rows, torch.stack(said, dim=1)[:, None]], dim=1)

    def start(self, prefix: int) -> Tensor:
        rows = self.batch.sign_language[:, None, None]
        return rows.expand(-1, prefix, len(self.codes))

    def __call__(self, steps: int = STEPS) -> Tensor:
        """Rows that were said [B, S, P]."""
        rows = self.start(1)
        for _ in range(steps):
            rows = self.step(rows)
        return rows[:, 1:]


@torch.inference_mode()
def plain_whole(network: Generator, batch: TokenBatch) -> Tensor:
    return PlainDecoding(network, batch)()


class PlainSteps:
    """Seconds of encoding and of the steps of `MEASURED`."""

    @torch.inference_mode()
    def __init__(self, network: Generator, batch: TokenBatch) -> None:
        plain = PlainDecoding(network, batch)
        self.calls = [partial(network.encode, batch.source, batch.source_mask)]
        self.calls += [partial(plain.step, plain.start(prefix)) for prefix in MEASURED]

    @torch.inference_mode()
    def __call__(self) -> np.ndarray:
        times = [time.perf_counter()]
        for call in self.calls:
            call()
            times.append(time.perf_counter())
        return np.diff(times)

    @staticmethod
    def total(times: np.ndarray) -> float:
        steps = np.interp(np.arange(1, STEPS + 1), MEASURED, times[1:])
        return float(times[0] + steps.sum())


def plain_loss(network: MultiHeadGenerator, batch: TokenBatch) -> Tensor:
    """Logits of the whole vocabulary for every head, of which it takes its own."""
    losses = []
    states, targets = network.states(batch), network.targets(batch)
    for x, target, rows in zip(states, targets, network.vocabulary.head_rows()):
        logits = F.linear(x, network.table, network.bias)[..., rows]
        losses.append(F.cross_entropy(logits.flatten(0, 1), target.flatten()))
    return torch.stack(losses)
