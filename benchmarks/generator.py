"""Speed and memory of the generator against the plain way: ``python -m benchmarks.generator``.

    python -m benchmarks.generator [--check] [--quick]

The plain way has a head a part that projects onto the whole vocabulary and picks its own rows, in
training and in generating. It generates by reading the whole prefix through that network at every
step, with logits at every position, and always makes 100 steps. Both ways have the same random
weights and the same text and must say the same tokens. They take turns, and the shortest time of
each counts. The plain way of the large model takes minutes: a few of its steps are measured and the
others interpolated, since a step's time is smooth in the length of the prefix.

Everything runs on the CPU. ``--quick`` leaves the large model out; with it about 6 GB and ten
minutes are needed. ``--check`` exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import io
import pickle
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import sentencepiece
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import MBartConfig

from benchmarks.data import Report, apart
from benchmarks.tokenizer import peak_memory, shortest
from prepare.small_mbart import kept_ids
from soke.build import part_table
from soke.config import load_config
from soke.generator import Generator, MultiHeadGenerator, Vocabulary, generate, iterate
from soke.generator.vocabulary import EOS
from soke.structures import TokenBatch

CONFIG = Path(__file__).parents[1] / "configs" / "soke.yaml"
LANGUAGES = (["en_XX", "de_DE", "zh_CN"], ["en_ASL", "de_DGS", "zh_CSL"])
LETTERS = 19994  # with which the vocabulary has the size of the published one
ROWS, SOURCE, STEPS, END = 20495, 40, 100, 40
SIZES = {
    "d_model 256, 3+3 layers": {"d_model": 256, "layers": 3, "heads": 4, "ffn": 1024},
    "mbart-large": {"d_model": 1024, "layers": 12, "heads": 16, "ffn": 4096},
}
#: Least ratios by batch size: float32, int8.
GOALS = {
    "d_model 256, 3+3 layers": {1: (14, None), 8: (45, None)},
    "mbart-large": {1: (5, 9), 8: (8, 18)},
}
PLAYED = STEPS * 4 / 25  # seconds that the motion lasts
MEASURED = (1, 20, 40, 60, 80, 100)  # prefixes of the large model's plain way
TRAINED = (32, 50)  # clips and steps of a training batch
REMEMBERED = (50, 100, 200, 400)  # steps whose memory is measured


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
        made = Vocabulary(folder, part_table(load_config(CONFIG)), *LANGUAGES)
    assert made.size == ROWS, made.size
    return made


def model(words: Vocabulary, size: str) -> MultiHeadGenerator:
    """Random weights, but not so small that all choices are nearly ties."""
    torch.manual_seed(0)
    of = SIZES[size]
    config = MBartConfig(
        vocab_size=words.text_size, d_model=of["d_model"], max_position_embeddings=1024,
        encoder_layers=of["layers"], decoder_layers=of["layers"],
        encoder_attention_heads=of["heads"], decoder_attention_heads=of["heads"],
        encoder_ffn_dim=of["ffn"], decoder_ffn_dim=of["ffn"], dropout=0.0, scale_embedding=True,
    )  # fmt: skip
    made = MultiHeadGenerator(words, config).eval()
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
        names=names, corpora=("csl",) * size, texts=names, keywords=((),) * size,
        source=torch.randint(5, words.text_size, (size, SOURCE), generator=draw),
        source_mask=torch.ones(size, SOURCE, dtype=torch.bool),
        sign_language=torch.full((size,), language),
        tokens=torch.stack(tokens, dim=-1), token_mask=torch.ones(size, steps, dtype=torch.bool),
    )  # fmt: skip


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


def our_steps(network: Generator, batch: TokenBatch, **options) -> np.ndarray:
    """Seconds of every step; the first one encodes the text too."""
    times = [time.perf_counter()]
    for _ in iterate(network, batch, max_steps=STEPS, **options):
        times.append(time.perf_counter())
    times.append(time.perf_counter())
    return np.diff(times)


def our_steps_to_the_end(network: Generator, batch: TokenBatch) -> np.ndarray:
    with ends_soon(network):
        return our_steps(network, batch, min_steps=END)


def say(network: Generator, batch: TokenBatch, **options) -> list[Tensor]:
    return generate(network, batch, max_steps=STEPS, **options)


# Generating


@torch.inference_mode()
def check_tokens(network: Generator, batch: TokenBatch, steps: int) -> None:
    """Both ways say the same, in the first ``steps`` steps."""
    rows = PlainDecoding(network, batch)(steps)
    ours = torch.stack(generate(network, batch, steps, steps))
    assert torch.equal(network.vocabulary.motion_rows(ours), rows)


def measure_generating(report: Report, words: Vocabulary, size: str) -> None:
    network = model(words, size)
    for count, (goal, _) in GOALS[size].items():
        batch = texts(words, count)
        check_tokens(network, batch, STEPS)
        calls = [
            partial(plain_whole, network, batch),
            partial(say, network, batch, min_steps=STEPS),
        ]
        plain, whole, to_end = shortest([*calls, partial(ended, network, batch)], 4, "cpu")
        print(f"{size}, batch {count}")
        rate(report, f"{STEPS} steps", plain, whole, goal)
        rate(report, f"{END} steps, then </s>", plain, to_end, 2 * goal)


def measure_large(report: Report, words: Vocabulary, size: str) -> None:
    """Of every step the shortest time counts, in both ways: a run is too long to be undisturbed."""
    network = model(words, size)
    for count, (goal, int8_goal) in GOALS[size].items():
        batch = texts(words, count)
        check_tokens(network, batch, 12)
        start = time.perf_counter()
        generate(network, batch, 1, int8=True)
        first = time.perf_counter() - start
        ways = [
            PlainSteps(network, batch),
            partial(our_steps, network, batch, min_steps=STEPS),
            partial(our_steps, network, batch, min_steps=STEPS, int8=True),
            partial(our_steps_to_the_end, network, batch),
        ]
        rounds = [[way() for way in ways] for _ in range(3)]
        least, *others = [np.min(times, axis=0) for times in zip(*rounds)]
        plain, (whole, int8, to_end) = (
            PlainSteps.total(least),
            (float(times.sum()) for times in others),
        )
        print(f"{size}, batch {count}; plain way: {len(MEASURED)} of {STEPS} steps were measured")
        rate(report, f"{STEPS} steps", plain, whole, goal)
        rate(report, f"{STEPS} steps in int8", plain, int8, int8_goal)
        rate(report, f"{END} steps, then </s>", plain, to_end, 2 * goal)
        report.row("packing weights for int8, once", f"{first:.1f} s")
        said = (say(network, batch, min_steps=STEPS, int8=int8) for int8 in (False, True))
        same = np.mean([torch.equal(*pair) for pair in zip(*said)])
        report.row("int8, clips unchanged", f"{100 * same:.0f} %", None, ">= 95 %", same >= 0.95)
        if count == 1:
            fast = whole < PLAYED
            report.row("faster than it plays", f"{whole:.1f} s", None, f"< {PLAYED:g} s", fast)


@contextmanager
def ends_soon(network: Generator) -> Iterator[None]:
    """Every clip says ``</s>`` as soon as it may."""
    before = network.bias[EOS].clone()
    network.bias[EOS] = 1e4
    yield
    network.bias[EOS] = before


def ended(network: Generator, batch: TokenBatch) -> None:
    with ends_soon(network):
        tokens = say(network, batch, min_steps=END)
    assert {len(row) for row in tokens} == {END}


def rate(report: Report, name: str, plain: float, ours: float, goal: float | None) -> None:
    ratio = plain / ours
    reached = None if goal is None else ratio >= goal
    report.row(name, f"{plain:.2f} -> {ours:.2f} s", ratio, f">= {goal} x", reached)


# Training


def plain_loss(network: MultiHeadGenerator, batch: TokenBatch) -> Tensor:
    """Logits of the whole vocabulary for every head, of which it takes its own."""
    losses = []
    states, targets = network.states(batch), network.targets(batch)
    for x, target, rows in zip(states, targets, network.vocabulary.head_rows()):
        logits = F.linear(x, network.table, network.bias)[..., rows]
        losses.append(F.cross_entropy(logits.flatten(0, 1), target.flatten()))
    return torch.stack(losses)


def measure_training(report: Report, words: Vocabulary) -> None:
    network = model(words, next(iter(SIZES))).train()
    batch = texts(words, *TRAINED)
    with torch.no_grad():
        torch.testing.assert_close(network.loss(batch)[0], plain_loss(network, batch))
    optimizer = torch.optim.AdamW(network.parameters(), 1e-6, fused=True)

    def step(loss) -> None:
        optimizer.zero_grad()
        loss().sum().backward()
        optimizer.step()

    plain, ours = shortest(
        [
            partial(step, lambda: plain_loss(network, batch)),
            partial(step, lambda: network.loss(batch)[0]),
        ],
        4,
        "cpu",
    )
    clips, steps = TRAINED
    print(f"training step, {next(iter(SIZES))}, {clips} clips of {steps} steps, the same loss")
    rate(report, "heads on their own rows", plain, ours, 2.8)


# Tokens to rows


def measure_mapping(report: Report, words: Vocabulary) -> None:
    clips, steps = 32, STEPS
    tokens = texts(words, clips, steps).tokens
    names = [part.token_prefix for part in words.parts]
    rows = {
        f"<{name}_{k}>": offset + k
        for name, offset, part in zip(names, words.part_offsets, words.parts)
        for k in range(part.codebook_size)
    }

    def by_name() -> Tensor:
        said = tokens.tolist()
        return torch.tensor(
            [[[rows[f"<{name}_{k}>"] for name, k in zip(names, s)] for s in c] for c in said]
        )

    assert torch.equal(by_name(), words.motion_rows(tokens))
    plain, ours = shortest([by_name, lambda: words.motion_rows(tokens)], 30, "cpu")
    print(f"tokens to embedding rows, {clips} clips of {steps} steps, {len(names)} parts")
    times = f"{1000 * plain:.1f} -> {1000 * ours:.3f} ms"
    report.row("a table instead of token names", times, plain / ours, ">= 50 x", plain / ours >= 50)


# Memory


def peak_of(steps: int) -> float:
    """MB that a process needs to generate so many steps for 32 texts."""
    words = vocabulary()
    network, batch = model(words, next(iter(SIZES))), texts(words, 32)
    generate(network, batch, 2, 2)
    before = peak_memory("cpu")
    generate(network, batch, steps, steps)
    return peak_memory("cpu") - before


def measure_memory(report: Report) -> None:
    print(f"peak memory that decoding adds, {next(iter(SIZES))}, 32 texts, a process each")
    peaks = [apart(peak_of, steps, start="spawn") for steps in REMEMBERED]
    for steps, peak in zip(REMEMBERED, peaks):
        report.row(f"{steps} steps", f"{peak:.1f} MB")
    # A quadratic need would make this 4, a linear one 2.
    growth = (peaks[3] - peaks[1]) / max(peaks[2] - peaks[0], 1e-9)
    report.row("100 to 400 steps by 50 to 200 steps", f"{growth:.2f}", None, "< 3", growth < 3)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    parser.add_argument("--quick", action="store_true", help="leave the large model out")
    options = parser.parse_args(arguments)
    report = Report()
    print(
        f"{torch.get_num_threads()} threads, Python {platform.python_version()}, torch "
        f"{torch.__version__}; plain way -> ours"
    )
    words = vocabulary()
    small, large = SIZES
    measure_generating(report, words, small)
    if not options.quick:
        measure_large(report, words, large)
    measure_training(report, words)
    measure_mapping(report, words)
    measure_memory(report)
    print(f"missed: {', '.join(report.missed)}" if report.missed else "all goals reached")
    return 1 if options.check and report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
