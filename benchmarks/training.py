"""A training at the real size, for two steps, and what the whole of it takes:

    python -m benchmarks.training [--check] [--only {generator,tokenizer} ...]

An mbart-large with the vocabulary of the three benchmarks and random weights makes two optimizer
steps on the CPU, once as it is and once with activation checkpointing, each in a process of its
own. Its peak of memory is compared with the estimate that a training logs when it starts. Then the
operations of a training step are counted and projected onto the paper's runs. It takes about 14 GB
and five minutes. ``--check`` exits with 1 when a peak is not as estimated.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import MBartConfig

from benchmarks.measuring import Report, apart, options_of, peak_memory
from benchmarks.plain_generator import SIZES, SOURCE, texts, vocabulary
from benchmarks.tokenizer import new_module, new_tokenizer, pose_batch, start_codebooks
from soke.assemble.models import factories
from soke.assemble.run import Run
from soke.body import BodyModel
from soke.config import load_config
from soke.generator import MultiHeadGenerator
from soke.structures import TokenBatch
from soke.tokenizer import FRAMES_PER_TOKEN
from soke.training.generator_module import GeneratorModule
from soke.training.memory import MEASURED, bytes_of
from soke.training.optimization import configure
from soke.training.start_report import describe_parameters, estimate

CONFIG = Path(__file__).parents[1] / "configs" / "soke.yaml"
SOURCE_TOKENS = 60
STEPS = (100, 60, 100, 60)  # of the clips of a batch on the CPU; the longest ones first
BATCHES = 2  # that are accumulated to a step
CLIPS = {"How2Sign": 31_000, "CSL-Daily": 18_000, "Phoenix-2014T": 7_000}
MEAN_STEPS = sum(STEPS) // len(STEPS)
#: Epochs, clips of a batch on a GPU, GPUs: of the paper's runs.
RUNS = {"generator": (150, 32, 6), "tokenizer": (500, 320, 6)}
#: Operations a second that a GPU reaches: the peak of its matrix units and the share of it.
RATES = {
    "bf16-mixed on a GPU of 312 TFLOP/s, of which 35 %": 312e12 * 0.35,
    "bf16-mixed on the same GPU, of which 10 %": 312e12 * 0.10,
    "32-true on a GPU of 19.5 TFLOP/s, of which 50 %": 19.5e12 * 0.50,
}


def generator_module(checkpointed: bool = False) -> GeneratorModule:
    """The paper's generator with its optimizer; nothing is decoded, so it has no tokenizer."""
    torch.manual_seed(0)
    words, size = vocabulary(), SIZES["mbart-large"]
    config = MBartConfig(
        vocab_size=words.text_size,
        d_model=size["d_model"],
        max_position_embeddings=1024,
        encoder_layers=size["layers"],
        decoder_layers=size["layers"],
        encoder_attention_heads=size["heads"],
        decoder_attention_heads=size["heads"],
        encoder_ffn_dim=size["ffn"],
        decoder_ffn_dim=size["ffn"],
        dropout=0.1,
        scale_embedding=True,
    )
    network = MultiHeadGenerator(words, config).train()
    if checkpointed:
        network.checkpoint_activations()
    nothing = SimpleNamespace(eval=lambda: None)
    return GeneratorModule(
        network, nothing, "", BodyModel(), [], **factories(Run(load_config(CONFIG))), decode=None
    )


def token_batch(module: GeneratorModule, steps: Sequence[int]) -> TokenBatch:
    """Made-up clips of so many steps, padded to the longest."""
    words, longest = module.generator.vocabulary, max(steps)
    whole = texts(words, len(steps), longest)
    more = -(-SOURCE_TOKENS // SOURCE)
    mask = torch.arange(longest) < torch.tensor(steps)[:, None]
    source = whole.source.repeat(1, more)[:, :SOURCE_TOKENS]
    return TokenBatch(
        names=whole.names,
        corpora=whole.corpora,
        texts=whole.texts,
        keywords=whole.keywords,
        source=source,
        source_mask=torch.ones_like(source, dtype=torch.bool),
        sign_language=whole.sign_language,
        tokens=whole.tokens * mask[..., None],
        token_mask=mask,
    )


# Memory


def train(checkpointed: bool) -> dict[str, object]:
    """Two steps in this process: what they need, what was estimated and how long they take."""
    before = peak_memory("cpu")
    module = generator_module(checkpointed)
    batches = [token_batch(module, [max(STEPS)] * n) for n in MEASURED]
    estimated = estimate(module, batches, len(STEPS))
    built = configure(module.generator.parameters(), module.optimizer, module.scheduler, 1000)
    batch, losses = token_batch(module, STEPS), []
    for _ in range(2):
        start = time.perf_counter()
        built["optimizer"].zero_grad()
        for _ in range(BATCHES):
            loss = module.trial_loss(batch)
            (loss / BATCHES).backward()
        built["optimizer"].step()
        losses.append(float(loss.detach()))
        seconds = time.perf_counter() - start
    states = built["optimizer"].state.values()
    kept = bytes_of(x for state in states for x in state.values() if x.ndim)
    assert abs(kept - estimated.optimizer) < 1e-3 * kept, (kept, estimated.optimizer)
    assert losses[1] < losses[0], losses
    return {
        "estimate": estimated,
        "peak": (peak_memory("cpu") - before) * 2**20,
        "seconds": seconds,
        "units": BATCHES * float(module.amount(batch)),
        "losses": losses,
        "parameters": describe_parameters(module.parameter_groups()),
    }


def measure_memory(report: Report) -> None:
    # What was freed goes back at once: a peak is what was in use, not what an allocator kept.
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "65536")
    whole = apart(train, False, start="spawn")
    print(f"mbart-large, {len(STEPS)} clips of {SOURCE_TOKENS} tokens and {STEPS} steps, float32")
    print(f"  {whole['parameters']}")
    for name, found in (("as it is", whole), ("checkpointed", apart(train, True, start="spawn"))):
        memory, share = found["estimate"], found["peak"] / found["estimate"].total
        print(f"  {name}, estimated: {memory}")
        report.row(
            f"{name}: peak, of the estimate",
            f"{found['peak'] / 1e9:.2f} GB, {share:.0%}",
            None,
            "90 to 110 %",
            0.9 < share < 1.1,
        )
        rate = found["units"] / found["seconds"]
        report.row(f"{name}: a step of {BATCHES} batches", f"{found['seconds']:.1f} s")
        report.row(f"{name}: tokens a second", f"{rate:.0f}")
        report.row(
            f"{name}: loss, first and second step", "{:.3f}, {:.3f}".format(*found["losses"])
        )


# The whole run


def operations(loss: Callable[[], Tensor]) -> float:
    """Floating-point operations of a forward and a backward pass."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        loss().backward()
    return counter.get_total_flops()


def generator_operations(checkpointed: bool) -> float:
    """Of a clip of mean length."""
    module = generator_module(checkpointed)
    batch = token_batch(module, [MEAN_STEPS])
    return operations(lambda: module.trial_loss(batch))


def tokenizer_operations(frames: int = 64, clips: int = 4) -> float:
    """Of one frame."""
    module = new_module(new_tokenizer().train(), BodyModel())
    start_codebooks(module.tokenizer, "cpu")
    batch = pose_batch([frames] * clips)
    return operations(lambda: module.trial_loss(batch)) / (frames * clips)


def project(report: Report, stage: str, a_clip: float) -> None:
    """GPU hours of a stage, from the operations of a clip."""
    epochs, batch, gpus = RUNS[stage]
    clips = sum(CLIPS.values())
    steps = epochs * (clips // (batch * gpus))
    total = epochs * clips * a_clip
    print(
        f"  {a_clip / 1e9:.0f} GFLOP a clip x {clips:,} clips x {epochs} epochs = {total:.2e} "
        f"FLOP, in {steps:,} steps of {batch} x {gpus} clips"
    )
    for name, rate in RATES.items():
        hours = total / rate / 3600
        report.row(name, f"{hours:.1f} GPU h, {hours / gpus:.1f} h")


def measure_generator(report: Report) -> None:
    measure_memory(report)
    plain, checkpointed = (apart(generator_operations, on, start="spawn") for on in (False, True))
    mean = f"{SOURCE_TOKENS} tokens and {MEAN_STEPS} steps"
    print(f"the paper's generator, clips of {mean} (longer than the data's): GPU hours, and hours")
    project(report, "generator", plain)
    more = checkpointed / plain - 1
    report.row("more operations with checkpointing", f"{more:.0%}")


def measure_tokenizer(report: Report) -> None:
    frames = MEAN_STEPS * FRAMES_PER_TOKEN
    print(f"the paper's tokenizer, clips of {frames} frames (longer than the data's)")
    project(report, "tokenizer", apart(tokenizer_operations, start="spawn") * frames)


MEASUREMENTS = {"generator": measure_generator, "tokenizer": measure_tokenizer}


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(__doc__, MEASUREMENTS).parse_args(arguments)
    report = Report()
    print(
        f"{torch.get_num_threads()} threads, Python {platform.python_version()}, torch "
        f"{torch.__version__}"
    )
    for name in options.only:
        MEASUREMENTS[name](report)
    return report.verdict(options.check)


if __name__ == "__main__":
    sys.exit(main())
