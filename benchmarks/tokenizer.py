"""Speed and memory of the tokenizer against the plain way: ``python -m benchmarks.tokenizer``.

    python -m benchmarks.tokenizer [--check] [--only {train,encode,alignment,memory} ...]

The plain way trains the same three networks, built of torch's own layers, with one-hot matrix
products for the moving averages and a loop over the parameters for AdamW, and encodes and decodes
clip by clip. Both ways take turns in one process, from the same weights, and the shortest time of
each counts. What the convolutions reach of the machine's peak is printed beside the training step.

Everything runs on the CPU, which the goals are for, and again on a GPU where there is one.
``--check`` exits with 1 when a goal is missed. About 3 GB and a few minutes are needed.

Long, since the plain codebook and training stand beside what is compared with them.
"""

from __future__ import annotations

import logging
import platform
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import Report, apart, options_of, peak_memory, shortest
from benchmarks.metrics import plain_aligned_distance
from benchmarks.plain_tokenizer import Network
from soke.assemble.models import factories
from soke.assemble.run import Run
from soke.body import BodyModel
from soke.body.alignment import similarity_align, similarity_errors
from soke.config import load_config, plain
from soke.metrics.position_errors import ReconstructionMetrics
from soke.parts import FEATURE_SIZE, PartTable
from soke.structures import PoseBatch, lengths_to_mask
from soke.tokenizer import PartTokenizer
from soke.tokenizer.quantizers import CodebookQuantizer
from soke.tokenizer.released_tokenizer import TRANSLATION
from soke.training.optimization import configure
from soke.training.tokenizer_module import TokenizerModule

CONFIG = Path(__file__).parents[1] / "configs" / "deto.yaml"
BATCH, FRAMES = 32, 64
CLIPS, SHORTEST, SENTENCE, LONGEST = 8, 40, 120, 400  # frames of the clips that are encoded
COMMITMENT = 0.02  # weight of that loss
ALIGNED_FRAMES, VERTICES = 400, 10475
FEW, MANY = 50, 500  # clips that are validated
VALIDATED = range(40, 221, 20)  # frames of the clips of each validated batch
SCORED = 16  # frames of a clip that are posed as a whole
MORE = 16  # MB that the peak may differ: 450 more clips, kept, would be about 60 MB


def gpu_peak(device: str) -> str:
    """The most memory since the last call, where the GPU is measured."""
    if device == "cpu":
        return ""
    peak = torch.cuda.max_memory_allocated() / 2**20
    torch.cuda.reset_peak_memory_stats()
    return f"  at most {peak:.0f} MB on the GPU"


def compare(report, name, plain_time, time_, device, goal=None):
    ratio = plain_time / time_
    times = f"{1000 * plain_time:.1f} -> {1000 * time_:.1f} ms"
    reached = ratio >= goal if goal and device == "cpu" else None
    report.row(name, times, ratio, f">= {goal} x", reached)


def new_tokenizer(**params) -> PartTokenizer:
    config = load_config(CONFIG)
    torch.manual_seed(0)
    return PartTokenizer(Run(config).parts, **{**plain(config.model.tokenizer.params), **params})


def new_module(tokenizer: PartTokenizer, body: BodyModel) -> TokenizerModule:
    """Optimizer and schedule are those of the configuration."""
    return TokenizerModule(
        tokenizer,
        body,
        ["csl"],
        **factories(Run(load_config(CONFIG))),
        commitment_weight=COMMITMENT,
    )


def pose_batch(lengths: Sequence[int]) -> PoseBatch:
    """Made-up clips of so many frames."""
    mask = lengths_to_mask(torch.tensor(lengths), max(lengths))
    motion = torch.randn(*mask.shape, FEATURE_SIZE) * mask[..., None]
    names = tuple(f"clip-{i}" for i in range(len(lengths)))
    return PoseBatch(names, ("csl",) * len(names), names, motion, mask)


def start_codebooks(tokenizer: PartTokenizer, device: str) -> PoseBatch:
    """The first batch of training, on which the codes come to lie among the vectors."""
    batch = pose_batch([FRAMES] * BATCH).to(device)
    tokenizer(batch.motion, batch.mask)
    return batch


# Training


class PlainCodebook:
    """The textbook codebook with moving averages and resets, in the state of one of ours."""

    def __init__(self, quantizer: CodebookQuantizer) -> None:
        self.decay = quantizer.decay
        self.codes, self.sums, self.counts = (
            value.clone()
            for value in (quantizer.codebook, quantizer.code_sum, quantizer.code_count)
        )

    def __call__(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Codes for vectors [B, S, D], with a straight-through gradient, and the commitment."""
        rows = vectors.flatten(0, 1)
        with torch.no_grad():
            distances = (
                rows.square().sum(dim=1, keepdim=True)
                - 2 * rows @ self.codes.T
                + self.codes.square().sum(dim=1)
            )
            tokens = distances.argmin(dim=1)
            chosen = F.embedding(tokens, self.codes)
            self.learn(rows, tokens)
        codes = rows + (chosen - rows).detach()
        return codes.view_as(vectors), F.mse_loss(rows, chosen)

    def learn(self, rows: Tensor, tokens: Tensor) -> None:
        one_hot = F.one_hot(tokens, len(self.codes)).to(rows)  # [N, K]
        self.sums = self.decay * self.sums + (1 - self.decay) * one_hot.T @ rows
        self.counts = self.decay * self.counts + (1 - self.decay) * one_hot.sum(dim=0)
        drawn = rows[torch.randperm(len(rows), device=rows.device)[: len(self.codes)]]
        used = (self.counts >= 1).to(rows)[:, None]
        self.codes = used * self.sums / self.counts[:, None].clamp(min=1e-8) + (1 - used) * drawn


def plain_networks(tokenizer: PartTokenizer) -> torch.nn.ModuleList:
    """The same networks with the same weights, out of torch's own layers."""
    sizes = tokenizer.arguments["width"], tokenizer.arguments["code_dim"]
    networks = torch.nn.ModuleList()
    for part, ours in zip(tokenizer.parts, tokenizer.networks):
        networks.append(Network(part.size, *sizes, part.codebook_size))
        state = ours.state_dict()
        networks[-1].load_state_dict({TRANSLATION[key]: state[key] for key in TRANSLATION})
    return networks.to(tokenizer.mean.device)


def plain_loss(
    networks: torch.nn.ModuleList, codebooks: list[PlainCodebook], parts: PartTable, motion: Tensor
) -> Tensor:
    pieces, commitments = [], []
    for network, codebook, piece in zip(networks, codebooks, parts.split(motion)):
        codes, commitment = codebook(network.encoder(piece.transpose(1, 2)).transpose(1, 2))
        pieces.append(network.decoder(codes.transpose(1, 2)).transpose(1, 2))
        commitments.append(commitment)
    feature = F.smooth_l1_loss(parts.merge(pieces), motion)
    return feature + COMMITMENT * sum(commitments)


def our_loss(module: TokenizerModule, batch: PoseBatch) -> Tensor:
    terms, _ = module.losses(batch)
    return sum(module.weights[name] * term for name, term in terms.items())


def check_training(losses, module: TokenizerModule, codebooks: list[PlainCodebook]) -> None:
    """One batch gives the same loss and the same averages both ways."""
    expected, found = (loss() for loss in losses)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    for network, codebook in zip(module.tokenizer.networks, codebooks):
        quantizer = network.quantizer
        torch.testing.assert_close(quantizer.code_count, codebook.counts, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(quantizer.code_sum, codebook.sums, rtol=1e-3, atol=1e-4)


def measure_training(report: Report, device: str) -> None:
    tokenizer = new_tokenizer().to(device).train()
    module = new_module(tokenizer, BodyModel())
    batch = start_codebooks(tokenizer, device)
    codebooks = [PlainCodebook(network.quantizer) for network in tokenizer.networks]
    networks = plain_networks(tokenizer)
    losses = (
        lambda: plain_loss(networks, codebooks, tokenizer.parts, batch.motion),
        lambda: our_loss(module, batch),
    )
    check_training(losses, module, codebooks)
    params = {**plain(load_config(CONFIG).TRAIN.OPTIM.params), "foreach": False, "fused": False}
    plain_optimizer = torch.optim.AdamW(networks.parameters(), **params)
    parameters = list(tokenizer.parameters())
    optimizer = configure(parameters, module.optimizer, module.scheduler, 1000)["optimizer"]

    def gradients(loss, by):
        by.zero_grad()
        loss().backward()

    def step(loss, by):
        gradients(loss, by)
        by.step()

    with FlopCounterMode(display=False) as counter:
        gradients(losses[0], plain_optimizer)
    operations = sum(
        count
        for operation, count in counter.get_flop_counts()["Global"].items()
        if "convolution" in str(operation)
    )
    gradients(losses[1], optimizer)
    optimizers = shortest([plain_optimizer.step, optimizer.step], 5, device)
    vectors = torch.randn(BATCH, FRAMES // 4, tokenizer.arguments["code_dim"], device=device)
    quantizers = [network.quantizer for network in tokenizer.networks]
    parts = [
        lambda: [codebook(vectors) for codebook in codebooks],
        lambda: [quantizer(vectors) for quantizer in quantizers],
    ]
    gpu_peak(device)
    ways = list(zip(losses, (plain_optimizer, optimizer)))
    calls = [partial(call, *way) for call in (step, gradients) for way in ways]
    *whole, _, passes = shortest(calls, 5, device)
    print(f"training step, batch {BATCH}, {FRAMES} frames{gpu_peak(device)}")
    compare(report, "codebooks alone", *shortest(parts, 10, device), device)
    compare(report, "AdamW alone", *optimizers, device)
    compare(report, "whole step", *whole, device, 1.1)
    rate, peak = operations / passes / 1e9, matmul_rate(device) / 1e9
    report.row("the plain convolutions, forward and backward", f"{operations / 1e9:.0f} GFLOP")
    print(
        f"    ours take {passes:.2f} s for that: {rate:.0f} GFLOP/s, {100 * rate / peak:.0f} % of "
        f"the {peak:.0f} GFLOP/s of a large matrix product"
    )


def matmul_rate(device: str, size: int = 2048) -> float:
    """Floating-point operations a second of a float32 product, on a GPU as its convolutions do."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    matrix = torch.randn(size, size, device=device)
    (seconds,) = shortest([lambda: matrix @ matrix], 10, device)
    torch.backends.cuda.matmul.allow_tf32 = before
    return 2 * size**3 / seconds


# Encoding and decoding


def clip_lengths(longest: int) -> list[int]:
    return [round(n / 4) * 4 for n in np.linspace(SHORTEST, longest, CLIPS)]


def measure_encoding(report: Report, device: str) -> None:
    """Words and short sentences, then up to the longest clips there are, where batching gains less.

    A long clip alone keeps the cores busy.
    """
    measure_lengths(report, device, SENTENCE, 1.8)
    measure_lengths(report, device, LONGEST, None)


@torch.inference_mode()
def measure_lengths(report: Report, device: str, longest: int, goal: float | None) -> None:
    tokenizer = new_tokenizer().to(device).train()
    start_codebooks(tokenizer, device)
    tokenizer.eval()
    batch = pose_batch(clip_lengths(longest)).to(device)
    lengths, steps = batch.lengths, batch.lengths // 4
    clips = [motion[None, :n] for motion, n in zip(batch.motion, lengths.tolist())]
    tokens, alone = tokenizer.encode(batch.motion, lengths), list(map(tokenizer.encode, clips))
    same = [row[: len(one[0])] == one[0] for row, one in zip(tokens, alone)]
    equal = torch.cat(same).float().mean().item()
    motion = tokenizer.decode(tokens, steps)
    error = max(
        (motion[i, :n] - tokenizer.decode(alone[i])[0]).abs().max().item()
        for i, n in enumerate(lengths.tolist())
        if same[i].all()
    )
    gpu_peak(device)
    ways = [
        (
            "encode",
            lambda: list(map(tokenizer.encode, clips)),
            lambda: tokenizer.encode(batch.motion, lengths),
        ),
        (
            "decode",
            lambda: list(map(tokenizer.decode, alone)),
            lambda: tokenizer.decode(tokens, steps),
        ),
    ]
    times = [(name, *shortest(calls, 8, device)) for name, *calls in ways]
    padding = 100 * (1 - lengths.sum().item() / (CLIPS * longest))
    print(
        f"{CLIPS} clips of {SHORTEST} to {longest} frames: clip by clip, as one batch "
        f"({padding:.0f} % of it padding){gpu_peak(device)}"
    )
    for name, *pair in times:
        compare(report, name, *pair, device, goal)
    reached = equal == 1 if device == "cpu" else None
    report.row("tokens that are the same", f"{100 * equal:.2f} %", None, "100 %", reached)
    report.row("largest difference of the motion", f"{error:.1e}")


# Alignment


def measure_alignment(report: Report, device: str) -> None:
    """Whole bodies, frame pair by frame pair; the plain loop runs in numpy."""
    rng = np.random.default_rng(0)
    rest = rng.normal(size=(1, VERTICES, 3)) * [0.3, 0.5, 0.15]
    target = rest + 0.01 * rng.normal(size=(ALIGNED_FRAMES, VERTICES, 3))
    source = target + 0.02 * rng.normal(size=target.shape)
    arrays = [array.astype(np.float32) for array in (source, target)]
    pair = [torch.from_numpy(array).to(device) for array in arrays]
    expected = [plain_aligned_distance(x, y) for x, y in zip(*arrays)]
    assert np.abs(similarity_errors(*pair).cpu().numpy() - expected).max() < 1e-6
    loop, errors, moved = shortest(
        [
            lambda: [plain_aligned_distance(x, y) for x, y in zip(*arrays)],
            lambda: similarity_errors(*pair),
            lambda: similarity_align(*pair),
        ],
        6,
        device,
    )
    print(f"similarity alignment, {ALIGNED_FRAMES} frames of {VERTICES} vertices")
    compare(report, "mean distances", loop, errors, device, 20)
    compare(report, "moved points, which are stored", loop, moved, device)


# Memory


class MadeUpBatches(Dataset):
    """Batches of clips that are drawn when they are asked for, the same lengths in each."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, index: int) -> PoseBatch:
        torch.manual_seed(index)
        return pose_batch(VALIDATED)


def validate(count: int, device: str) -> tuple[float, float]:
    """Peak memory of validating so many clips as in training, then as in the test."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # advice on workers and loggers
    body = BodyModel()
    module = new_module(new_tokenizer(width=32, code_dim=32), body)
    loader = DataLoader(MadeUpBatches(count // len(VALIDATED)), batch_size=None)
    trainer = L.Trainer(
        accelerator=device,
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.validate(module, loader, verbose=False)
    peaks = [peak_memory(device)]
    tokenizer = module.tokenizer.to(device).eval()
    metrics = ReconstructionMetrics(body.to(device), ["csl"])
    for batch in loader:
        batch = batch.to(device)
        with torch.inference_mode():
            tokens = tokenizer.encode(batch.motion, batch.lengths)
            generated = tokenizer.decode(tokens, batch.lengths // 4)
            for pair in zip(generated[:, :SCORED], batch.motion[:, :SCORED]):
                metrics(*map(tokenizer.denormalize, pair), "csl")
    metrics.compute()
    return *peaks, peak_memory(device)


def measure_memory(report: Report, device: str) -> None:
    print("peak memory of a process that validates")
    few, many = (apart(validate, count, device, start="spawn") for count in (FEW, MANY))
    for name, *peaks in zip(("as in training", "then as the test"), few, many):
        more = peaks[1] - peaks[0]
        for count, peak in zip((FEW, MANY), peaks):
            report.row(f"{count} clips {name}", f"{peak:.0f} MB")
        name = f"{MANY} more than {FEW}, {name}"
        report.row(name, f"{more:.1f} MB", None, f"< {MORE} MB", more < MORE)


MEASUREMENTS = {
    "train": measure_training,
    "encode": measure_encoding,
    "alignment": measure_alignment,
    "memory": measure_memory,
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(__doc__, MEASUREMENTS).parse_args(arguments)
    report = Report()
    for device in ["cpu", "cuda"][: 1 + torch.cuda.is_available()]:
        what = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()}"
        print(
            f"{device}: {what}{'' if device == 'cuda' else ' threads'}, Python "
            f"{platform.python_version()}, torch {torch.__version__}; plain way -> ours"
        )
        for name in options.only:
            MEASUREMENTS[name](report, device)
    return report.verdict(options.check)


if __name__ == "__main__":
    sys.exit(main())
