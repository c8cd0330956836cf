"""Generated signing on the test split, beside its baselines."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from omegaconf import DictConfig
from torch import Tensor

from soke import assemble as build
from soke.body import BodyModel
from soke.data.predictions import Prediction, prediction_path, write_prediction
from soke.data.scan import load_motion
from soke.evaluation.journal import Journal, Record
from soke.evaluation.loop import clip_table, score_systems, timing
from soke.evaluation.references import Reference, Signing, System
from soke.evaluation.results import write_results
from soke.evaluation.scorer import READING_POINTS, ClipScorer, Truth
from soke.evaluation.summary import intervals, named, over_runs, score_list, summarize
from soke.files import checksum
from soke.generator import PromptBuilder, generate_samples
from soke.metrics.sign_reading import SignReader
from soke.parts import frames_to_features
from soke.retrieval import RetrievalReport
from soke.retrieval.search import PRECOMPUTED
from soke.structures import TokenSample
from soke.tasks.baselines import baselines, reference_tokens
from soke.tasks.common import about, results_folder, share, test_clips
from soke.tasks.translation import translator, translator_checkpoint
from soke.training.checkpoints import choose_checkpoint
from soke.training.generator_module import GeneratorModule
from soke.training.text_module import back_translate

log = logging.getLogger(__name__)

GENERATED = "generated"


def text_to_motion(config: DictConfig) -> None:
    """Generate signing for every text of the test split, and score it and its baselines."""
    fabric = build.processes(config)
    checkpoint = choose_checkpoint(config.TEST.CHECKPOINTS, build.run_directory(config))
    prompts = build.prompt_builder(config)
    module = build.generator_module(config, prompts, checkpoint).eval().to(fabric.device)
    tokenizer, body = module.tokenizer, build.body_model(config).to(fabric.device)
    dataset = build.pose_dataset(config, test_clips(config), tokenizer)
    references = [Reference(clip.name, clip.corpus, clip.text) for clip in dataset.clips]
    scorer = ClipScorer(
        body, references, lambda places: [dataset.parameters(place) for place in places],
        tokens=partial(reference_tokens, tokenizer),
        parts=[part.name for part in tokenizer.parts],
        **scorer_options(config, body, fabric.device),
    )  # fmt: skip
    report = RetrievalReport()
    systems = generated_systems(config, prompts, module, references, scorer, report)
    systems += baselines(config, tokenizer, dataset, references)
    described = about(
        config, body, GENERATED, checkpoint=checkpoint,
        tokenizer=Path(config.TRAIN.PRETRAINED_VAE), **translator_files(config),
    )  # fmt: skip
    described["retrieval_sha256"] = retrieval_checksum(config)
    first = systems[0].key

    def keep(system: System, truth: Truth, signings: list[Signing]) -> None:
        if config.TEST.SAVE_PREDICTIONS and system.key == first:
            _save_predictions(results_folder(config), references, truth, signings)

    @torch.inference_mode()
    def work(journal: Journal, before: Sequence[Record]) -> None:
        score_systems(
            systems, scorer, journal, config.TEST.BATCH_SIZE, fabric.global_rank,
            fabric.world_size, before, keep,
        )  # fmt: skip
        report.log()

    write = partial(
        report_scores, results_folder(config), described, [s.key for s in systems], references
    )
    share(config, fabric, described, references, work, write, predicts=True)


def report_scores(
    folder: Path,
    described: dict[str, object],
    systems: Sequence[tuple[str, int]],
    references: Sequence[Reference],
    records: Sequence[Record],
    seeds: bool = True,
) -> None:
    """Summarise all records and write the results; ``seeds``: the runs are called by theirs."""
    rows = clip_table(records, systems, references)
    scores = score_list(rows.columns)
    of = {name: rows[rows["system"] == name] for name in dict.fromkeys(name for name, _ in systems)}
    summaries = {name: summarize(found, scores) for name, found in of.items()}
    bounds = {name: intervals(found, scores) for name, found in of.items()}
    main = of.pop(GENERATED)
    own, own_bounds = summaries.pop(GENERATED), bounds.pop(GENERATED)
    runs = [
        {**({"seed": int(run)} if seeds else {}), "scores": summarize(found, scores)}
        for run, found in main.groupby("run", sort=False)
    ]
    more = {
        "units": {score.name: score.unit for score in scores if score.unit},
        "named": named(own),
        "runs": runs,
        "baseline_intervals": bounds,
        "timing": timing(records, GENERATED),
        "clips": len(references),
    }
    if len(runs) > 1:
        more["run_intervals"] = over_runs([run["scores"] for run in runs])
    write_results(folder, described, own, summaries, _tidy(rows), own_bounds, **more)


def _tidy(rows: pd.DataFrame) -> pd.DataFrame:
    """Columns that some system lacks come last, so that the first ones are of all clips."""
    full = [name for name in rows if rows[name].notna().all()]
    return rows[[*full, *(name for name in rows if name not in full)]]


def scorer_options(config: DictConfig, body: BodyModel, device: torch.device) -> dict[str, object]:
    """What the configuration's ``METRIC`` section asks of a `ClipScorer`."""
    kinds = config.METRIC.TYPE
    translate = None
    if "back_translation" in kinds:
        translate = partial(back_translate, translator(config).to(device))
    return {
        "translate": translate,
        "corpora": build.corpora(config),
        "readers": sign_readers(config, body) if "reading" in kinds else {},
        "gallery": config.METRIC.GALLERY if "ranks" in kinds else 0,
        "window": config.METRIC.WINDOW,
    }


def generated_systems(
    config: DictConfig,
    prompts: PromptBuilder,
    module: GeneratorModule,
    references: Sequence[Reference],
    scorer: ClipScorer,
    report: RetrievalReport,
) -> list[System]:
    """The generator, once a seed: ``TEST.REPLICATION_TIMES`` of them, one if nothing is drawn."""
    options = config.model.generator.decoding.params
    drawn = options.get("temperature") is not None
    seeds = range(config.SEED_VALUE, config.SEED_VALUE + config.TEST.REPLICATION_TIMES)
    if not drawn:
        if len(seeds) > 1:
            log.info("the likeliest tokens are the same in every run: generating once")
        seeds = seeds[:1]
    samples = config.METRIC.SAMPLES if "diversity" in config.METRIC.TYPE else 0
    if samples and not drawn:
        raise ValueError(
            "METRIC.TYPE has diversity, which needs tokens that are drawn: set "
            "model.generator.decoding.params.temperature, or leave diversity out"
        )

    def sign(seed: int, places: Sequence[int]) -> list[Signing]:
        watch, encoder = scorer.watch, module.generator.backbone.encoder
        chosen = [references[place] for place in places]
        with watch.measure("text_encoding"):
            batch = prompts([TokenSample(r.name, r.corpus, r.text) for r in chosen])
            batch = batch.to(module.device)
        report.add(batch.retrievals)
        changed = {"seed": seed} if drawn else {}
        with watch.apart(encoder, stage="text_encoding", whole="decoding"):
            tokens = module.decode(module.generator, batch, **changed)
        with watch.measure("tokenizer"):
            motions = module.decode_tokens(tokens)
        draws: list[tuple[Tensor, ...]] = [()] * len(chosen)
        if samples and seed == seeds[0]:
            decoding = {**options, "seed": seed, "samples": samples}
            found = generate_samples(module.generator, batch, **decoding)
            draws = [tuple(module.decode_tokens([s.tokens for s in group])) for group in found]
        return [
            Signing(motion.cpu(), said.cpu().numpy(), retrieval, more)
            for motion, said, retrieval, more in zip(motions, tokens, batch.retrievals, draws)
        ]

    return [System(GENERATED, partial(sign, seed), seed) for seed in seeds]


def translator_files(config: DictConfig) -> dict[str, Path]:
    """The text decoder's checkpoint under its name in the results, if one is used."""
    used = "back_translation" in config.METRIC.TYPE
    return {"translator": translator_checkpoint(config)} if used else {}


def retrieval_checksum(config: DictConfig) -> str | None:
    """SHA-256 of all dictionaries and keyword files that prompts are made with; None if of none."""
    settings = config.RETRIEVAL
    if not settings.MAX_KEYWORDS:
        return None
    named = {corpus.dictionary for corpus in build.corpora(config).values()}
    files = sorted(Path(path) for path in named if path is not None)
    if settings.MODE == PRECOMPUTED and settings.KEYWORDS_DIR is not None:
        files += sorted(Path(settings.KEYWORDS_DIR).rglob("*.json"))
    sums = [checksum(path) for path in files]
    return hashlib.sha256(" ".join(sums).encode()).hexdigest() if sums else None


def sign_readers(config: DictConfig, body: BodyModel) -> dict[str, SignReader]:
    """Readers of the isolated signs of every corpus that has them."""
    readers = {}
    for name, corpus in build.corpora(config).items():
        signs = build.read_signs(config, corpus)
        if signs:
            motions = [frames_to_features(torch.from_numpy(load_motion(sign))) for sign in signs]
            points = (body.scored_points(m.to(body.betas.device)) for m in motions)
            templates = [found[READING_POINTS].cpu().numpy() for found in points]
            readers[name] = SignReader([sign.text for sign in signs], templates)
    return readers


def _save_predictions(
    folder: Path, references: Sequence[Reference], truth: Truth, signings: Sequence[Signing]
) -> None:
    """Write the prediction of every clip of a portion, with all that was retrieved for it."""
    for i, signing in enumerate(signings):
        reference, keywords = references[truth.places[i]], signing.retrieval.keywords
        prediction = Prediction(
            reference.name, reference.corpus, reference.text, signing.keywords,
            signing.tokens, signing.motion.numpy(), truth.motions[i].numpy(),
            missing=signing.retrieval.missing,
            codes=tuple(keyword.tokens for keyword in keywords),
            matches=tuple(keyword.match for keyword in keywords),
            reference_tokens=truth.tokens[i] if truth.tokens else None,
        )  # fmt: skip
        path = prediction_path(folder, reference.corpus, reference.name)
        write_prediction(path, prediction)
