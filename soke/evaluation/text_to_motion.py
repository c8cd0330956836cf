"""Text to motion: signing that the generator under test makes, once per seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from soke.data.predictions import Prediction, prediction_path, write_prediction
from soke.evaluation.distributed import Key, Measure
from soke.evaluation.journal import Record
from soke.evaluation.references import Reference, Signing, System
from soke.evaluation.scorer import ClipScorer, Truth
from soke.generator import PromptBuilder, generate_samples
from soke.retrieval import RetrievalReport
from soke.structures import TokenBatch, TokenSample
from soke.training.generator_module import GeneratorModule

GENERATED = "generated"

#: Gets the references of a portion and what a system signed for them.
Keep = Callable[[Truth, Sequence[Signing]], None]


@dataclass(frozen=True)
class SignGenerator:
    """The generator as a system.

    Args:
        module: generator and tokenizer.
        prompts: turns texts into batches.
        scorer: of the references; its stopwatch measures the stages.
        decoding: options of `soke.generator.generate`. Without a temperature the likeliest tokens
            are generated, which are the same for every seed.
        seeds: one run each; without a temperature only the first is used.
        samples: further draws per text in the first run, for their diversity.
        report: collects what was retrieved.
    """

    module: GeneratorModule
    prompts: PromptBuilder
    scorer: ClipScorer
    decoding: Mapping[str, object]
    seeds: Sequence[int]
    samples: int = 0
    report: RetrievalReport = field(default_factory=RetrievalReport)

    def __post_init__(self) -> None:
        if self.samples and not self.draws:
            raise ValueError(
                "METRIC.TYPE has diversity, which needs tokens that are drawn: set "
                "model.generator.decoding.params.temperature, or leave diversity out"
            )

    @property
    def draws(self) -> bool:
        """Whether tokens are drawn at random."""
        return self.decoding.get("temperature") is not None

    def systems(self) -> list[System]:
        seeds = self.seeds if self.draws else self.seeds[:1]
        return [System(GENERATED, partial(self.sign, seed), seed) for seed in seeds]

    def sign(self, seed: int, places: Sequence[int]) -> list[Signing]:
        """Generate signing for the references at ``places``."""
        watch = self.scorer.watch
        module = self.module
        chosen = [self.scorer.references[place] for place in places]
        with watch.measure("text_encoding"):
            batch = self.prompts([TokenSample(r.name, r.corpus, r.text) for r in chosen])
            batch = batch.to(module.device)
        self.report.add(batch.retrievals)
        seeded = {"seed": seed} if self.draws else {}
        encoder = module.generator.backbone.encoder
        with watch.apart(encoder, stage="text_encoding", whole="decoding"):
            tokens = module.decode(module.generator, batch, **seeded)
        with watch.measure("tokenizer"):
            motions = module.decode_tokens(tokens)
        samples = self._samples(seed, batch)
        return [
            Signing(motion.cpu(), steps.cpu().numpy(), retrieval, more)
            for motion, steps, retrieval, more in zip(motions, tokens, batch.retrievals, samples)
        ]

    def _samples(self, seed: int, batch: TokenBatch) -> list[tuple[Tensor, ...]]:
        """Further motions of every text, drawn in the first run only."""
        if not self.samples or seed != self.seeds[0]:
            return [()] * len(batch.names)
        options: dict[str, Any] = {**self.decoding, "seed": seed, "samples": self.samples}
        found = generate_samples(self.module.generator, batch, **options)
        decode = self.module.decode_tokens
        return [tuple(decode([sample.tokens for sample in group])) for group in found]


def measure_signing(
    scorer: ClipScorer, system: System, keep: Keep | None, portion: int, places: Sequence[int]
) -> Record:
    """Let ``system`` sign a portion, and score it; ``keep`` gets the signing before its record."""
    truth = scorer.truth(places)
    scorer.watch.take()
    signings = system.sign(places)
    scorer.watch.frames += sum(len(signing.motion) for signing in signings)
    rows = scorer.score(truth, signings)
    if keep is not None:
        keep(truth, signings)
    seconds, frames = scorer.watch.take()
    return Record(system.name, system.run, portion, rows, seconds, frames)


def signing_measures(
    scorer: ClipScorer, systems: Sequence[System], keep: Keep | None = None
) -> dict[Key, Measure]:
    """How systems are measured, in their order; ``keep`` gets what the first one signs."""
    return {
        system.key: partial(measure_signing, scorer, system, keep if system is systems[0] else None)
        for system in systems
    }


def save_predictions(
    folder: Path, references: Sequence[Reference], truth: Truth, signings: Sequence[Signing]
) -> None:
    """Write the prediction of every clip of a portion, with everything retrieved for it."""
    for i, signing in enumerate(signings):
        reference = references[truth.places[i]]
        keywords = signing.retrieval.keywords
        assert signing.tokens is not None, "a generator says its tokens"
        prediction = Prediction(
            name=reference.name,
            corpus=reference.corpus,
            text=reference.text,
            keywords=signing.keywords,
            tokens=signing.tokens,
            generated=signing.motion.numpy(),
            reference=truth.motions[i].numpy(),
            missing=signing.retrieval.missing,
            codes=tuple(keyword.tokens for keyword in keywords),
            matches=tuple(keyword.match for keyword in keywords),
            reference_tokens=truth.tokens[i] if truth.tokens else None,
        )
        write_prediction(prediction_path(folder, reference.corpus, reference.name), prediction)
