"""Evaluations, as the configuration says: one function per task, and what they share."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from omegaconf import DictConfig

from soke import assemble as build
from soke.assemble.run_metadata import (
    fingerprint,
    prediction_source,
    results_folder,
    run_metadata,
)
from soke.body import BodyModel
from soke.data.clips import Clips
from soke.data.listing.annotations import Clip
from soke.data.motion.hands import Hands
from soke.data.scan import load_motion
from soke.data.token_files import check_folder
from soke.evaluation.baselines import (
    ground_truth,
    read_references,
    reference_tokens,
    tokenizer_baseline,
    training_baselines,
)
from soke.evaluation.distributed import Evaluation, Key, Measure, run_distributed
from soke.evaluation.motion_to_text import REFERENCES, MotionToText
from soke.evaluation.reconstruction import RECONSTRUCTION, Reconstruction
from soke.evaluation.references import Reference, System, references_of
from soke.evaluation.saved import SavedPredictions, check_complete
from soke.evaluation.scorer import READING_POINTS, ClipScorer
from soke.evaluation.text_to_motion import (
    GENERATED,
    SignGenerator,
    save_predictions,
    signing_measures,
)
from soke.files import MissingAssetError, checksum
from soke.metrics.position_errors import ReconstructionMetrics
from soke.metrics.sign_reading import SignReader
from soke.parts import frames_to_features
from soke.retrieval.search import PRECOMPUTED
from soke.training.run_checkpoints import choose_checkpoint
from soke.training.text_module import back_translate

log = logging.getLogger(__name__)


def run_task(config: DictConfig, task: Callable[[DictConfig, torch.device], Evaluation]) -> None:
    """Run one of `TASKS`, or `saved_predictions`, and write its results."""
    fabric = build.processes(config)
    run_distributed(task(config, fabric.device), fabric)


def text_to_motion(config: DictConfig, device: torch.device) -> Evaluation:
    """Generate signing for every text of the test split, and score it and its baselines."""
    checkpoint = choose_checkpoint(config.TEST.CHECKPOINTS, build.run_directory(config))
    prompts = build.prompt_builder(config)
    module = build.generator_module(config, prompts, checkpoint).eval().to(device)
    tokenizer = module.tokenizer
    body = build.body_model(config).to(device)
    dataset = build.pose_dataset(config, _test_clips(config), tokenizer)
    references = references_of(dataset.clips)
    scorer = ClipScorer(
        body,
        references,
        partial(read_references, dataset),
        tokens=partial(reference_tokens, tokenizer),
        parts=[part.name for part in tokenizer.parts],
        **_scorer_options(config, body, device),
    )
    runs = range(config.SEED_VALUE, config.SEED_VALUE + config.TEST.REPLICATION_TIMES)
    samples = config.METRIC.SAMPLES if "diversity" in config.METRIC.TYPE else 0
    decoding = config.model.generator.decoding.params
    generator = SignGenerator(module, prompts, scorer, decoding, runs, samples)
    if len(runs) > 1 and not generator.draws:
        log.info("the likeliest tokens are the same in every run: generating once")
    systems: list[System] = generator.systems()
    if "baselines" in config.METRIC.TYPE:
        train = build.read_clips(config, config.TRAIN.SPLIT)
        systems += training_baselines(references, train, build.length_limits(config), runs)
    if {"baselines", "back_translation"}.intersection(config.METRIC.TYPE):
        systems.append(tokenizer_baseline(tokenizer, dataset))
    if "baselines" in config.METRIC.TYPE:
        systems.append(ground_truth(dataset))
    files = {"checkpoint": checkpoint, "tokenizer": Path(config.TRAIN.PRETRAINED_VAE)}
    metadata = run_metadata(config, body, GENERATED, **files, **_translator_file(config))
    metadata["retrieval_sha256"] = retrieval_checksum(config)
    keep = None
    if config.TEST.SAVE_PREDICTIONS:
        keep = partial(save_predictions, results_folder(config), references)
    return _evaluation(
        config,
        metadata,
        references,
        signing_measures(scorer, systems, keep),
        predicts=True,
        seeded=True,
        finish=generator.report.log,
    )


def motion_to_text(config: DictConfig, device: torch.device) -> Evaluation:
    """Read the tokens of every clip of the test split as text, and compare it with the clip's."""
    checkpoint = choose_checkpoint(config.TEST.CHECKPOINTS, build.run_directory(config))
    tokenizer = Path(config.TRAIN.PRETRAINED_VAE)
    module = build.text_decoder(config, checkpoint).to(device)
    folder = build.code_folder(config)
    parts = build.part_table(config)
    if not check_folder(folder, checksum(tokenizer), parts):
        log.warning("%s does not say which tokenizer its tokens come from", folder)
    references = references_of(_test_clips(config))
    body = build.body_model(config)
    metadata = run_metadata(config, body, REFERENCES, checkpoint=checkpoint, tokenizer=tokenizer)
    task = MotionToText(module, references, folder, parts)
    return _evaluation(config, metadata, references, {(REFERENCES, 0): task.measure})


def reconstruction(config: DictConfig, device: torch.device) -> Evaluation:
    """Measure every clip of the test split through the tokenizer."""
    if config.TRAIN.STAGE == "vae":
        run = build.run_directory(config)
        config.TRAIN.PRETRAINED_VAE = str(choose_checkpoint(config.TEST.CHECKPOINTS, run))
    tokenizer = build.trained_tokenizer(config).to(device).eval()
    body = build.body_model(config).to(device)
    dataset = build.pose_dataset(config, _test_clips(config), tokenizer)
    metrics = ReconstructionMetrics(body, list(build.corpora(config)))
    task = Reconstruction(tokenizer, dataset, metrics)
    checkpoint = Path(config.TRAIN.PRETRAINED_VAE)
    metadata = run_metadata(config, body, RECONSTRUCTION, checkpoint=checkpoint)
    measures = {(RECONSTRUCTION, 0): task.measure}
    references = references_of(dataset.clips)
    return _evaluation(config, metadata, references, measures, extra=task.codebooks)


#: One row per task of `python -m test`.
TASKS: dict[str, Callable[[DictConfig, torch.device], Evaluation]] = {
    "reconstruction": reconstruction,
    "t2m": text_to_motion,
    "m2t": motion_to_text,
}


def saved_predictions(
    config: DictConfig,
    device: torch.device,
    folder: Path,
    incomplete: bool = False,
    hands: str = "auto",
) -> Evaluation:
    """Score the predictions below ``folder``: ours, or those of other tools.

    No checkpoint is needed, nor the data set, except as a check: if the test split can be read,
    every clip of it must have a prediction unless ``incomplete``. With back-translation the tokens
    of the references are read as well. ``hands`` is the convention of motion files whose form
    leaves it open.

    Raises ``ValueError`` that names the clips without a prediction, and as `SavedPredictions` does.
    """
    split = _split_if_present(config)
    shared = Counter(clip.name for clip in split)
    body = build.body_model(config).to(device)
    saved = SavedPredictions(
        folder,
        list(build.corpora(config)),
        {clip.name: clip for clip in split if shared[clip.name] == 1},
        build.length_limits(config),
        Hands(hands, tuple(body.hand_mean.tolist())),
    )
    references = saved.references
    check_complete(references_of(split), references, folder, incomplete)
    scorer = ClipScorer(
        body,
        references,
        saved.motions,
        tokens=saved.tokens(),
        parts=[part.name for part in build.part_table(config)],
        **_scorer_options(config, body, device),
    )
    systems = [saved.system()]
    if scorer.translate is not None:
        systems.append(saved.truth())
    metadata = {
        **run_metadata(config, body, GENERATED, **_translator_file(config)),
        "predictions": str(folder),
        "predictions_sha256": saved.code,
        "hands": hands,
    }
    return _evaluation(config, metadata, references, signing_measures(scorer, systems))


def _evaluation(
    config: DictConfig,
    metadata: dict[str, object],
    references: Sequence[Reference],
    measures: Mapping[Key, Measure],
    predicts: bool = False,
    **options: object,
) -> Evaluation:
    """``predicts``: the predictions in the results folder come from this evaluation."""
    return Evaluation(
        results_folder(config),
        metadata,
        fingerprint(metadata, references),
        references,
        measures,
        config.TEST.BATCH_SIZE,
        source=prediction_source(metadata) if predicts else None,
        saves_predictions=config.TEST.SAVE_PREDICTIONS,
        **options,
    )


def _test_clips(config: DictConfig) -> Clips:
    """The clips of the test split, reported beside the results."""
    clips = build.read_clips(config, config.TEST.SPLIT)
    build.report_data(results_folder(config), clips)
    return clips


def _split_if_present(config: DictConfig) -> Sequence[Clip]:
    """The clips of the test split; none if the data set is missing."""
    try:
        return build.read_clips(config, config.TEST.SPLIT)
    except MissingAssetError as error:
        log.info("predictions are not compared with the test split: %s", error)
        return []


def _scorer_options(config: DictConfig, body: BodyModel, device: torch.device) -> dict[str, object]:
    """What ``METRIC`` asks of a `ClipScorer`."""
    kinds = config.METRIC.TYPE
    translate = None
    if "back_translation" in kinds:
        decoder = build.text_decoder(config, translator_checkpoint(config)).to(device)
        translate = partial(back_translate, decoder)
    return {
        "translate": translate,
        "corpora": build.corpora(config),
        "readers": sign_readers(config, body) if "reading" in kinds else {},
        "gallery": config.METRIC.GALLERY if "ranks" in kinds else 0,
        "window": config.METRIC.WINDOW,
    }


def translator_checkpoint(config: DictConfig) -> Path:
    """The checkpoint of the text decoder that reads generated signs.

    Raises ``ValueError`` if back-translation is asked for and no text decoder is named, and
    `soke.files.MissingAssetError` for a run without a checkpoint.
    """
    if config.METRIC.TRANSLATOR is None:
        raise ValueError(
            "METRIC.TYPE has back_translation: name the run of a text decoder with "
            "METRIC.TRANSLATOR (train one by `python -m train --cfg configs/m2t.yaml --nodebug`)"
        )
    return choose_checkpoint("", Path(config.METRIC.TRANSLATOR))


def _translator_file(config: DictConfig) -> dict[str, Path]:
    used = "back_translation" in config.METRIC.TYPE
    return {"translator": translator_checkpoint(config)} if used else {}


def retrieval_checksum(config: DictConfig) -> str | None:
    """SHA-256 of all dictionaries and keyword files that prompts are made with, or None."""
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
