"""Evaluations, as the configuration says: one function per task, and what they share."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypedDict

import torch

from soke.assemble.data import pose_dataset, read_clips, read_signs
from soke.assemble.models import load_body, load_trained_tokenizer
from soke.assemble.modules import generator_module, load_text_decoder
from soke.assemble.process import launch_processes
from soke.assemble.prompting import prompt_builder
from soke.assemble.run import Run
from soke.assemble.run_metadata import (
    fingerprint,
    prediction_source,
    run_metadata,
)
from soke.assemble.training_data import report_data
from soke.body import BodyModel
from soke.data.clips import Clips
from soke.data.corpora import Corpus
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
from soke.evaluation.distributed import (
    Evaluation,
    Extra,
    Key,
    Measure,
    nothing,
    run_distributed,
)
from soke.evaluation.motion_to_text import REFERENCES, MotionToText
from soke.evaluation.reconstruction import RECONSTRUCTION, Reconstruction
from soke.evaluation.references import Reference, System, references_of
from soke.evaluation.saved import SavedPredictions, check_complete
from soke.evaluation.scorer import READING_POINTS, ClipScorer, Translate
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


def run_task(run: Run, task: Callable[[Run, torch.device], Evaluation]) -> None:
    """Run one of `TASKS`, or `saved_predictions`, and write its results."""
    fabric = launch_processes(run)
    run_distributed(task(run, fabric.device), fabric)


def text_to_motion(run: Run, device: torch.device) -> Evaluation:
    """Generate signing for every text of the test split, and score it and its baselines."""
    checkpoint = choose_checkpoint(run.TEST.CHECKPOINTS, run.folder)
    prompts = prompt_builder(run)
    module = generator_module(run, prompts, checkpoint).eval().to(device)
    tokenizer = module.tokenizer
    body = load_body(run).to(device)
    dataset = pose_dataset(run, _test_clips(run), tokenizer)
    references = references_of(dataset.clips)
    scorer = ClipScorer(
        body,
        references,
        partial(read_references, dataset),
        tokens=partial(reference_tokens, tokenizer),
        parts=[part.name for part in tokenizer.parts],
        **_scorer_options(run, body, device),
    )
    runs = range(run.SEED_VALUE, run.SEED_VALUE + run.TEST.REPLICATION_TIMES)
    samples = run.METRIC.SAMPLES if "diversity" in run.METRIC.TYPE else 0
    decoding = run.model.generator.decoding.params
    generator = SignGenerator(module, prompts, scorer, decoding, runs, samples)
    if len(runs) > 1 and not generator.draws:
        log.info("the likeliest tokens are the same in every run: generating once")
    systems: list[System] = generator.systems()
    if "baselines" in run.METRIC.TYPE:
        train = read_clips(run, run.TRAIN.SPLIT)
        systems += training_baselines(references, train, run.length_limits, runs)
    if {"baselines", "back_translation"}.intersection(run.METRIC.TYPE):
        systems.append(tokenizer_baseline(tokenizer, dataset))
    if "baselines" in run.METRIC.TYPE:
        systems.append(ground_truth(dataset))
    files = {"checkpoint": checkpoint, "tokenizer": Path(run.TRAIN.PRETRAINED_VAE)}
    metadata = run_metadata(run, body, GENERATED, **files, **_translator_file(run))
    metadata["retrieval_sha256"] = retrieval_checksum(run)
    keep = None
    if run.TEST.SAVE_PREDICTIONS:
        keep = partial(save_predictions, run.results_folder, references)
    return _evaluation(
        run,
        metadata,
        references,
        signing_measures(scorer, systems, keep),
        predicts=True,
        seeded=True,
        finish=generator.report.log,
    )


def motion_to_text(run: Run, device: torch.device) -> Evaluation:
    """Read the tokens of every clip of the test split as text, and compare it with the clip's."""
    checkpoint = choose_checkpoint(run.TEST.CHECKPOINTS, run.folder)
    tokenizer = Path(run.TRAIN.PRETRAINED_VAE)
    module = load_text_decoder(run, checkpoint).to(device)
    folder = run.token_folder
    parts = run.parts
    if not check_folder(folder, checksum(tokenizer), parts):
        log.warning("%s does not say which tokenizer its tokens come from", folder)
    references = references_of(_test_clips(run))
    body = load_body(run)
    metadata = run_metadata(run, body, REFERENCES, checkpoint=checkpoint, tokenizer=tokenizer)
    task = MotionToText(module, references, folder, parts)
    return _evaluation(run, metadata, references, {(REFERENCES, 0): task.measure})


def reconstruction(run: Run, device: torch.device) -> Evaluation:
    """Measure every clip of the test split through the tokenizer."""
    if run.TRAIN.STAGE == "vae":
        checkpoint = choose_checkpoint(run.TEST.CHECKPOINTS, run.folder)
        run = run.changed("TRAIN.PRETRAINED_VAE", str(checkpoint))
    tokenizer = load_trained_tokenizer(run).to(device).eval()
    body = load_body(run).to(device)
    dataset = pose_dataset(run, _test_clips(run), tokenizer)
    metrics = ReconstructionMetrics(body, list(run.corpora))
    task = Reconstruction(tokenizer, dataset, metrics)
    checkpoint = Path(run.TRAIN.PRETRAINED_VAE)
    metadata = run_metadata(run, body, RECONSTRUCTION, checkpoint=checkpoint)
    measures = {(RECONSTRUCTION, 0): task.measure}
    references = references_of(dataset.clips)
    return _evaluation(run, metadata, references, measures, extra=task.codebooks)


#: One row per task of `python -m test`.
TASKS: dict[str, Callable[[Run, torch.device], Evaluation]] = {
    "reconstruction": reconstruction,
    "t2m": text_to_motion,
    "m2t": motion_to_text,
}


def saved_predictions(
    run: Run,
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
    split = _split_if_present(run)
    shared = Counter(clip.name for clip in split)
    body = load_body(run).to(device)
    saved = SavedPredictions(
        folder,
        list(run.corpora),
        {clip.name: clip for clip in split if shared[clip.name] == 1},
        run.length_limits,
        Hands(hands, tuple(body.hand_mean.tolist())),
    )
    references = saved.references
    check_complete(references_of(split), references, folder, incomplete)
    scorer = ClipScorer(
        body,
        references,
        saved.motions,
        tokens=saved.tokens(),
        parts=[part.name for part in run.parts],
        **_scorer_options(run, body, device),
    )
    systems = [saved.system()]
    if scorer.translate is not None:
        systems.append(saved.truth())
    metadata = {
        **run_metadata(run, body, GENERATED, **_translator_file(run)),
        "predictions": str(folder),
        "predictions_sha256": saved.code,
        "hands": hands,
    }
    return _evaluation(run, metadata, references, signing_measures(scorer, systems))


def _evaluation(
    run: Run,
    metadata: dict[str, object],
    references: Sequence[Reference],
    measures: Mapping[Key, Measure],
    *,
    predicts: bool = False,
    seeded: bool = False,
    extra: Extra = nothing,
    finish: Callable[[], None] | None = None,
) -> Evaluation:
    """``predicts``: the predictions in the results folder come from this evaluation."""
    return Evaluation(
        run.results_folder,
        metadata,
        fingerprint(metadata, references),
        references,
        measures,
        run.TEST.BATCH_SIZE,
        source=prediction_source(metadata) if predicts else None,
        seeded=seeded,
        saves_predictions=run.TEST.SAVE_PREDICTIONS,
        extra=extra,
        finish=finish,
    )


def _test_clips(run: Run) -> Clips:
    """The clips of the test split, reported beside the results."""
    clips = read_clips(run, run.TEST.SPLIT)
    report_data(run.results_folder, clips)
    return clips


def _split_if_present(run: Run) -> Sequence[Clip]:
    """The clips of the test split; none if the data set is missing."""
    try:
        return read_clips(run, run.TEST.SPLIT)
    except MissingAssetError as error:
        log.info("predictions are not compared with the test split: %s", error)
        return []


class _ScorerOptions(TypedDict):
    translate: Translate | None
    corpora: Mapping[str, Corpus]
    readers: Mapping[str, SignReader]
    gallery: int
    window: float | None


def _scorer_options(run: Run, body: BodyModel, device: torch.device) -> _ScorerOptions:
    """What ``METRIC`` asks of a `ClipScorer`."""
    kinds = run.METRIC.TYPE
    translate = None
    if "back_translation" in kinds:
        decoder = load_text_decoder(run, translator_checkpoint(run)).to(device)
        translate = partial(back_translate, decoder)
    return {
        "translate": translate,
        "corpora": run.corpora,
        "readers": sign_readers(run, body) if "reading" in kinds else {},
        "gallery": run.METRIC.GALLERY if "ranks" in kinds else 0,
        "window": run.METRIC.WINDOW,
    }


def translator_checkpoint(run: Run) -> Path:
    """The checkpoint of the text decoder that reads generated signs.

    Raises ``ValueError`` if back-translation is asked for and no text decoder is named, and
    `soke.files.MissingAssetError` for a run without a checkpoint.
    """
    if run.METRIC.TRANSLATOR is None:
        raise ValueError(
            "METRIC.TYPE has back_translation: name the run of a text decoder with "
            "METRIC.TRANSLATOR (train one by `python -m train --cfg configs/m2t.yaml --nodebug`)"
        )
    return choose_checkpoint("", Path(run.METRIC.TRANSLATOR))


def _translator_file(run: Run) -> dict[str, Path]:
    used = "back_translation" in run.METRIC.TYPE
    return {"translator": translator_checkpoint(run)} if used else {}


def retrieval_checksum(run: Run) -> str | None:
    """SHA-256 of all dictionaries and keyword files that prompts are made with, or None."""
    settings = run.RETRIEVAL
    if not settings.MAX_KEYWORDS:
        return None
    named = {corpus.dictionary for corpus in run.corpora.values()}
    files = sorted(Path(path) for path in named if path is not None)
    if settings.MODE == PRECOMPUTED and settings.KEYWORDS_DIR is not None:
        files += sorted(Path(settings.KEYWORDS_DIR).rglob("*.json"))
    sums = [checksum(path) for path in files]
    return hashlib.sha256(" ".join(sums).encode()).hexdigest() if sums else None


def sign_readers(run: Run, body: BodyModel) -> dict[str, SignReader]:
    """Readers of the isolated signs of every corpus that has them."""
    readers = {}
    for name, corpus in run.corpora.items():
        signs = read_signs(run, corpus)
        if signs:
            motions = [frames_to_features(torch.from_numpy(load_motion(sign))) for sign in signs]
            points = (body.scored_points(m.to(body.betas.device)) for m in motions)
            templates = [found[READING_POINTS].cpu().numpy() for found in points]
            readers[name] = SignReader([sign.text for sign in signs], templates)
    return readers
