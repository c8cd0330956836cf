"""Speed and memory of the generator against the plain way: ``python -m benchmarks.generator``.

    python -m benchmarks.generator [--check] [--quick]

`benchmarks.plain_generator` says what the plain way is. Both ways have the same random weights and
the same text and must say the same tokens. They take turns, and the shortest time of each counts.
The plain way of the large model takes minutes: a few of its steps are measured and the others
interpolated, since a step's time is smooth in the length of the prefix.

Everything runs on the CPU. ``--quick`` leaves the large model out; with it about 8 GB and five
minutes are needed. ``--check`` exits with 1 when a goal is missed.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.measuring import Report, apart, options_of, peak_memory, shortest
from benchmarks.plain_generator import (
    MEASURED,
    SIZES,
    STEPS,
    PlainDecoding,
    PlainSteps,
    model,
    plain_loss,
    plain_whole,
    texts,
    vocabulary,
)
from soke.generator import (
    FlattenGenerator,
    Generator,
    MultiHeadGenerator,
    Vocabulary,
    generate,
    iterate,
)
from soke.generator.vocabulary import EOS
from soke.structures import TokenBatch

END = 40  # steps of clips that end early
#: Least ratios by batch size: float32, int8.
GOALS = {
    "d_model 256, 3+3 layers": {1: (14, None), 8: (45, None)},
    "mbart-large": {1: (5, 9), 8: (8, 18)},
}
PLAYED = STEPS * 4 / 25  # seconds that the motion lasts
TRAINED = (32, 50)  # clips and steps of a training batch
REMEMBERED = (50, 100, 200, 400)  # steps whose memory is measured


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
        report.row("int8, clips unchanged", f"{100 * same:.0f} %", None, "100 %", same == 1)
        if count == 1:
            fast = whole < PLAYED
            report.row("faster than it plays", f"{whole:.1f} s", None, f"< {PLAYED:g} s", fast)


def measure_decoders(report: Report, words: Vocabulary, size: str, rounds: int) -> None:
    networks = [model(words, size, kind) for kind in (FlattenGenerator, MultiHeadGenerator)]
    for count in GOALS[size]:
        batch = texts(words, count)
        calls = [partial(say, network, batch, min_steps=STEPS) for network in networks]
        flatten, ours = shortest(calls, rounds, "cpu")
        print(f"{size}, batch {count}, flatten -> multi_head")
        rate(report, f"{STEPS} steps", flatten, ours, 2.5)


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
    parser = options_of(__doc__)
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
    measure_decoders(report, words, small, 4)
    if not options.quick:
        measure_large(report, words, large)
        measure_decoders(report, words, large, 2)
    measure_training(report, words)
    measure_mapping(report, words)
    measure_memory(report)
    return report.verdict(options.check)


if __name__ == "__main__":
    sys.exit(main())
