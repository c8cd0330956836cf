"""Scores from saved predictions alone: no checkpoint, and no data set but for a check."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from omegaconf import DictConfig

from soke import assemble as build
from soke.data.listing.annotations import Clip
from soke.data.motion.hands import Hands
from soke.evaluation.journal import Journal, Record
from soke.evaluation.loop import score_systems
from soke.evaluation.saved import SavedPredictions
from soke.evaluation.scorer import ClipScorer
from soke.files import MissingAssetError
from soke.tasks.common import about, results_folder, share
from soke.tasks.generation import GENERATED, report_scores, scorer_options, translator_files

log = logging.getLogger(__name__)


def score_predictions(
    config: DictConfig, folder: Path, incomplete: bool = False, hands: str = "auto"
) -> None:
    """Score the predictions below ``folder``: ours, or pickles of the method's release.

    Where the test split can be read, every clip of it has to have a prediction unless
    ``incomplete``. With back-translation the tokens of the references are read as well.
    ``hands`` is the convention of motion files whose form leaves it open.

    Raises ``ValueError`` that names the clips which lack one, and as `SavedPredictions` does.
    """
    fabric = build.processes(config)
    split = _split(config)
    shared = Counter(clip.name for clip in split)
    known = {clip.name: clip for clip in split if shared[clip.name] == 1}
    body = build.body_model(config).to(fabric.device)
    saved = SavedPredictions(
        folder,
        list(build.corpora(config)),
        known,
        build.length_limits(config),
        Hands(hands, tuple(body.hand_mean.tolist())),
    )
    references = saved.references
    names = [(clip.corpus, clip.name) for clip in split]
    _check_complete(names, [(r.corpus, r.name) for r in references], folder, incomplete)
    scorer = ClipScorer(
        body, references, saved.motions, tokens=saved.tokens(),
        parts=[part.name for part in build.part_table(config)],
        **scorer_options(config, body, fabric.device),
    )  # fmt: skip
    systems = [saved.system()]
    if scorer.translate is not None:
        systems.append(saved.truth())
    described = {
        **about(config, body, GENERATED, **translator_files(config)),
        "predictions": str(folder), "predictions_sha256": saved.code,
        "hands": hands,
    }  # fmt: skip

    @torch.inference_mode()
    def work(journal: Journal, before: Sequence[Record]) -> None:
        score_systems(
            systems, scorer, journal, config.TEST.BATCH_SIZE, fabric.global_rank,
            fabric.world_size, before,
        )  # fmt: skip

    keys = [system.key for system in systems]
    write = partial(
        report_scores, results_folder(config), described, keys, references, seeds=False
    )  # fmt: skip
    share(config, fabric, described, references, work, write)


def _split(config: DictConfig) -> Sequence[Clip]:
    """The clips of the test split; none where the data set is not at hand."""
    try:
        return build.read_clips(config, config.TEST.SPLIT)
    except MissingAssetError as error:
        log.info("predictions are not compared with the test split: %s", error)
        return []


def _check_complete(
    split: Sequence[tuple[str, str]],
    predicted: Sequence[tuple[str, str]],
    folder: Path,
    incomplete: bool,
) -> None:
    others = sorted(set(predicted) - set(split))
    if split and others:
        log.warning(
            "%d predictions are of no clip of the test split, and are scored as well: %s",
            len(others), _named(others),
        )  # fmt: skip
    missing = sorted(set(split) - set(predicted))
    if not missing:
        return
    text = f"{len(missing)} of {len(split)} clips of the test split have no prediction in {folder}"
    if not incomplete:
        raise ValueError(
            f"{text}: {_named(missing)}. Predict them too, or score the others alone with --partial"
        )
    log.warning("%s: %s", text, _named(missing))


def _named(clips: Sequence[tuple[str, str]]) -> str:
    return ", ".join("/".join(clip) for clip in clips[:5]) + ("" if len(clips) <= 5 else ", ...")
