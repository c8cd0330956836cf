"""From texts to tokens: greedy or drawn, step by step or all at once.

A clip that has ended leaves the batch, and its result is what it would be alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from soke.generator.decoding.drafting import DraftingDecoder
from soke.generator.decoding.heads import CodeHeads, Heads
from soke.generator.decoding.int8 import int8_weights
from soke.generator.decoding.sampling import Sampling
from soke.generator.decoding.steps import DecoderWeights, StepDecoder
from soke.generator.network import Generator
from soke.structures import TokenBatch

_PLAIN = nullcontext()


class Step(NamedTuple):
    """The tokens that one step has added to the clips that are still running."""

    clips: Tensor  # [n] int64, places in the batch
    tokens: Tensor  # [n, P] int64


class Sample(NamedTuple):
    """One of several results for a text.

    ``log_probability`` is the model's own, at temperature 1 and with nothing left out, of all codes
    and of ``</s>`` where the clip ended by it; ``score`` is it / steps ** length_penalty.
    """

    tokens: Tensor  # [S, P] int64
    log_probability: float
    score: float


def generate(
    model: Generator,
    batch: TokenBatch,
    max_steps: int = 100,
    min_steps: int = 1,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    samples: int = 1,
    seed: int = 0,
    length_penalty: float = 1.0,
    int8: bool = False,
) -> list[Tensor]:
    """Tokens [S_b, P] for every text of the batch, each as if it were alone.

    At each step every head chooses among its own codes; a clip ends, for all parts at once, when
    the first part of the table says ``</s>`` (not before ``min_steps``) or after ``max_steps``.
    Without a ``temperature`` the likeliest token is taken; else tokens are drawn (see
    `soke.generator.decoding.sampling.Sampling`), and of several ``samples`` the one with the best
    score is returned (see `generate_samples`). ``int8`` guesses steps with 8-bit integers and
    confirms many of them at once: faster for few texts and large models on a CPU, and in float32
    the same tokens (but for ties). No texts give an empty list.

    Raises ``ValueError`` for options out of range and for more steps than the model has positions.
    """
    if samples > 1:
        found = generate_samples(
            model,
            batch,
            max_steps,
            min_steps,
            temperature,
            top_k,
            top_p,
            samples,
            seed,
            length_penalty,
            int8,
        )
        return [best.tokens for best, *_ in found]
    sampling = Sampling(temperature, top_k, top_p, samples, seed)
    return Decoding(model, batch, max_steps, min_steps, sampling, int8).collect()


def generate_samples(
    model: Generator,
    batch: TokenBatch,
    max_steps: int = 100,
    min_steps: int = 1,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    samples: int = 1,
    seed: int = 0,
    length_penalty: float = 1.0,
    int8: bool = False,
) -> list[list[Sample]]:
    """All ``samples`` of every text, the best score first; options are those of `generate`.

    A ``length_penalty`` of 1 compares log-probabilities a step, 0 those of whole clips, which
    favours short ones; more than 1 favours long ones.
    """
    sampling = Sampling(temperature, top_k, top_p, samples, seed)
    run = Decoding(model, batch, max_steps, min_steps, sampling, int8, score=True)
    rows = []
    for tokens, value in zip(run.collect(), run.log_probability.tolist()):
        rows.append(Sample(tokens, value, value / len(tokens) ** length_penalty))
    groups = (rows[i : i + samples] for i in range(0, len(rows), samples))
    return [sorted(group, key=lambda sample: -sample.score) for group in groups]


def iterate(
    model: Generator,
    batch: TokenBatch,
    max_steps: int = 100,
    min_steps: int = 1,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    int8: bool = False,
) -> Iterator[Step]:
    """The steps of `generate` one by one, as soon as each is known.

    Clips that have ended are in no later step; the iterator ends with the last clip. With ``int8``
    steps come many at a time.
    """
    sampling = Sampling(temperature, top_k, top_p, seed=seed)
    return Decoding(model, batch, max_steps, min_steps, sampling, int8).steps()


def _without_autocast(device: str) -> AbstractContextManager:
    # Leaving and entering it takes as long as a small layer.
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else _PLAIN


class Decoding:
    """One decoding of a batch.

    ``heads`` makes what stands for the model's heads. ``log_probability`` [B * samples] is kept
    where it is asked for. Raises ``ValueError`` for more steps than the model has positions.
    """

    def __init__(
        self,
        model: Generator,
        batch: TokenBatch,
        max_steps: int,
        min_steps: int,
        sampling: Sampling,
        int8: bool,
        score: bool = False,
        heads: Callable[[Generator], Heads] = CodeHeads,
    ) -> None:
        if not 1 <= min_steps <= max_steps:
            raise ValueError(
                f"need 1 <= min_steps <= max_steps, got min_steps={min_steps} and "
                f"max_steps={max_steps}"
            )
        model.check_positions(max_steps * model.passes, f"Decoding {max_steps} steps")
        self.model = model
        self.batch = batch
        self.sampling = sampling
        self.int8 = int8
        self.max_steps = max_steps
        self.min_steps = min_steps
        self.count = len(batch.names) * sampling.samples
        self.copies = sampling.samples
        self._make_heads = heads
        self.uniforms: Tensor | None = None  # of the clips that are still running
        self.log_probability = None
        if score:
            device = batch.source.device
            self.log_probability = torch.zeros(self.count, dtype=torch.float64, device=device)

    @cached_property
    def heads(self) -> Heads:
        return self._make_heads(self.model)

    @torch.inference_mode()
    def collect(self) -> list[Tensor]:
        """Tokens [S, P] of every sample of every clip, by as many columns as a step has tokens."""
        if self.count == 0:
            return []
        steps = list(self.steps())
        clips = torch.cat([step.clips for step in steps])
        order = clips.argsort(stable=True)
        tokens = torch.cat([step.tokens for step in steps])[order]
        lengths = clips.bincount(minlength=self.count).tolist()
        return [row.clone() for row in tokens.split(lengths)]

    @torch.inference_mode()
    def steps(self) -> Iterator[Step]:
        if self.count == 0:
            return
        model = self.model
        heads = self.heads
        self.uniforms = self.sampling.uniforms(self.batch, self.max_steps)
        decoder, inputs = self._begin()
        clips = torch.arange(self.count, device=inputs.device)
        for step in range(self.max_steps):
            said = []
            for turn in range(model.passes):
                # Between the steps of an iterator whoever reads it may have entered autocast.
                with _without_autocast(inputs.device.type):
                    logits, tokens = self._choose(decoder(inputs), step, turn)
                if self.log_probability is not None:
                    self._score(clips, logits, tokens, heads.end)
                if turn == 0 and heads.end in (first := tokens[:, 0].tolist()):
                    running = [i for i, token in enumerate(first) if token != heads.end]
                    if not running:
                        return
                    running = torch.tensor(running, device=clips.device)
                    decoder.keep(running)
                    clips = clips[running]
                    tokens = tokens[running]
                    if self.uniforms is not None:
                        self.uniforms = self.uniforms[running]
                said.append(tokens)
                inputs = heads.embed(tokens, turn)
            yield Step(clips, said[0] if len(said) == 1 else torch.cat(said, dim=1))

    def _choose(self, states: Tensor, step: int, turn: int) -> tuple[Tensor, Tensor]:
        """Logits [n, heads of this turn, V] and what is said [n, heads of this turn]."""
        logits = self.heads.logits(states, turn)
        if turn == 0 and step < self.min_steps:
            logits[:, 0, self.heads.end] = float("-inf")
        mine = slice(turn, turn + logits.shape[1])
        drawn = None if self.uniforms is None else self.uniforms[:, step, mine]
        return logits, self.sampling.choose(logits, drawn)

    def _follow(self, states: Tensor, position: int) -> Tensor:
        """What is read after the states at a position of the decoder."""
        step, turn = divmod(position, self.model.passes)
        return self.heads.embed(self._choose(states, step, turn)[1], turn)

    def _begin(self) -> tuple[StepDecoder | DraftingDecoder, Tensor]:
        """The decoder, which has read nothing yet, and what it reads first."""
        model = self.model
        batch = self.batch
        copies = self.copies
        training = model.backbone.encoder.training
        model.backbone.encoder.eval()  # no dropout
        try:
            memory, mask = model.memory(batch)
        finally:
            model.backbone.encoder.train(training)
        start = model.opening(batch)
        if copies > 1:
            memory, mask, start = (x.repeat_interleave(copies, 0) for x in (memory, mask, start))
        weights = self._weights()
        limit = self.max_steps * model.passes
        decoder = StepDecoder(weights, memory, mask, model.streams, limit)
        if self.int8:
            drafts = int8_weights(model.backbone.decoder, weights.dtype)
            decoder = DraftingDecoder(decoder, drafts, self._follow)
        return decoder, start.float()

    def _weights(self) -> DecoderWeights:
        dtype = self.model.table.dtype
        device = self.model.table.device.type
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
        return DecoderWeights(self.model.backbone.decoder, dtype)

    def _score(self, clips: Tensor, logits: Tensor, tokens: Tensor, end: int) -> None:
        gained = logits.double().log_softmax(dim=-1).gather(-1, tokens[..., None])[..., 0]
        # Where the first part says </s>, what the others would have said does not count.
        ended = tokens[:, 0] == end
        self.log_probability[clips] += torch.where(ended, gained[:, 0], gained.sum(dim=1))
