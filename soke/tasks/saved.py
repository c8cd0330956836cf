"""Scores from saved predictions alone: no checkpoint, and no data set but for a check."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from soke import build
from soke.evaluation.journal import Journal, Record
from soke.evaluation.run import score_systems
from soke.evaluation.saved import SavedPredictions
from soke.evaluation.scorer import ClipScorer
from soke.files import MissingAssetError
from soke.tasks.common import about, share
from soke.tasks.generation import report_scores, scorer_options

log = logging.getLogger(__name__)


def score_predictions(config: DictConfig, folder: Path, partial: bool = False) -> None:
    """Score the predictions below ``folder``: ours, or pickles of the method's release.

    Where the test split can be read, every clip of it has to have a prediction unless ``partial``.
    Raises ``ValueError`` that names the clips which lack one, and as `SavedPredictions` does.
    """
    fabric = build.processes(config)
    split = _split(config)
    known = {name: corpus for corpus, name in split}
    saved = SavedPredictions(folder, list(build.corpora(config)), known)
    references, body = saved.references, build.body_model(config).to(fabric.device)
    _check_complete(split, [(r.corpus, r.name) for r in references], folder, partial)
    scorer = ClipScorer(
        body, references, saved.motions, tokens=saved.tokens(),
        parts=[part.name for part in build.part_table(config)],
        **scorer_options(config, body),
    )  # fmt: skip
    systems = [saved.system()]
    described = {**about(config, body, "generated"), "predictions": str(folder)}

    def work(journal: Journal, before: Sequence[Record]) -> None:
        score_systems(
            systems, scorer, journal, config.TEST.BATCH_SIZE, fabric.global_rank,
            fabric.world_size, before,
        )  # fmt: skip

    records = share(config, fabric, described, references, work)
    if records is not None:
        report_scores(config, described, records, [s.key for s in systems], references)


def _split(config: DictConfig) -> list[tuple[str, str]]:
    """Corpus and name of the clips of the test split; none where the data set is not at hand."""
    try:
        clips = build.read_clips(config, config.TEST.SPLIT)
    except MissingAssetError as error:
        log.info("predictions are not compared with the test split: %s", error)
        return []
    return [(clip.corpus, clip.name) for clip in clips]


def _check_complete(
    split: Sequence[tuple[str, str]],
    predicted: Sequence[tuple[str, str]],
    folder: Path,
    partial: bool,
) -> None:
    missing = sorted(set(split) - set(predicted))
    if not missing:
        return
    named = ", ".join("/".join(clip) for clip in missing[:5])
    text = f"{len(missing)} of {len(split)} clips of the test split have no prediction in {folder}"
    if not partial:
        raise ValueError(
            f"{text}: {named}. Predict them too, or score the others alone with --partial"
        )
    log.warning("%s: %s", text, named)
