"""Clips of a test run: the reference, what was generated, and other systems beside it."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from soke import assemble as build
from soke.assemble.run_metadata import results_folder
from soke.body import BodyModel
from soke.cli.show.output import Output
from soke.data.predictions import Prediction, prediction_files, read_prediction
from soke.visualization import TINTS
from soke.visualization.clip_video import SYSTEMS, note
from soke.visualization.clip_view import ClipToShow, System
from soke.visualization.source_video import find_original

log = logging.getLogger(__name__)

#: The score that orders clips and is said beside a body, and how it is called there.
SCORE = "DTW_JPE_hands_per_step"
SAID = "hands {:.1f} mm a step"
CHOICES = ("first", "random", "best", "median", "worst")


def render_test_clips(
    config: DictConfig,
    corpus: str,
    output: Output,
    names: Sequence[str] | None = None,
    choice: str = "first",
    compare: Sequence[str] = (),
) -> list[Path]:
    """Reference and generated clip side by side, from the saved predictions of a test run.

    Args:
        config: of the test run; ``RENDER.CLIPS`` clips are shown unless they are named.
        corpus: the data set.
        output: what is written, below a folder called like the corpus.
        names: the clips to show.
        choice: one of `CHOICES`; best, median and worst are by `SCORE`.
        compare: names of other test runs whose predictions are shown as well.

    Returns the files. Raises `soke.files.MissingAssetError` where there are no predictions, and
    ``ValueError`` for an unknown corpus, clip or choice, and a compared run that lacks a clip.
    """
    if corpus not in config.CORPORA:
        raise ValueError(f"--demo_dataset is {corpus!r}; choose one of {list(config.CORPORA)}")
    results = results_folder(config)
    paths = prediction_files(results, corpus)
    scores = {run: _scores(_results(config, run), corpus) for run in (config.NAME, *compare)}
    chosen = list(names or _choose(list(paths), scores[config.NAME], choice, config))
    missing = [name for name in chosen if name not in paths]
    if missing:
        raise ValueError(f"no predictions of {missing}; there are {sorted(paths)[:20]}")
    others = {run: prediction_files(_results(config, run), corpus) for run in compare}
    for run, found in others.items():
        lacking = [name for name in chosen if name not in found]
        if lacking:
            raise ValueError(f"the test run {run} has no predictions of {lacking[:5]}")
    body = build.body_model(config)
    folder = output.folder / corpus

    def clips() -> Iterator[tuple[ClipToShow, Path]]:
        for name in chosen:
            own = read_prediction(paths[name])
            rest = {run: read_prediction(found[name]) for run, found in others.items()}
            said = {run: scores[run].get(name) for run in scores}
            yield _clip(config, body, own, rest, said), folder / name.replace("/", "_")

    return output.write_all(body, clips(), len(chosen), corpus)


def _clip(
    config: DictConfig,
    body: BodyModel,
    own: Prediction,
    others: Mapping[str, Prediction],
    scores: Mapping[str, float | None],
) -> ClipToShow:
    row = config.CORPORA[own.corpus]
    reference, generated = SYSTEMS
    systems = [System(reference, own.reference, TINTS[0], own.reference_tokens)]
    systems.append(
        System(generated, own.generated, TINTS[1], own.tokens, _said(scores[config.NAME]))
    )
    for i, (run, other) in enumerate(others.items()):
        tint = TINTS[(2 + i) % len(TINTS)]
        systems.append(System(run, other.generated, tint, other.tokens, _said(scores[run])))
    original = None
    if config.RENDER.VIDEOS is not None:
        original = find_original(config.RENDER.VIDEOS, own.corpus, own.name)
        if original is None:
            log.warning(
                "no video of %s/%s in RENDER.VIDEOS=%s", own.corpus, own.name, config.RENDER.VIDEOS
            )
    parts = tuple(part.name for part in build.part_table(config))
    about = note(own.keywords, own.missing, body)
    return ClipToShow(
        own.name,
        own.text,
        row.language,
        row.fps,
        tuple(systems),
        own.keywords,
        own.missing,
        about,
        parts,
        original,
    )


def _said(score: float | None) -> str:
    return "" if score is None or pd.isna(score) else SAID.format(1000 * score)


def _results(config: DictConfig, run: str) -> Path:
    return results_folder(config).with_name(run)


def _scores(results: Path, corpus: str) -> dict[str, float]:
    """The score of every clip of a corpus, by name; none where the run has no table of clips."""
    path = results / "clips.csv"
    if not path.exists():
        return {}
    rows = pd.read_csv(path)
    if SCORE not in rows:
        return {}
    chosen = rows[(rows["system"] == SYSTEMS[1]) & (rows["corpus"] == corpus)]
    # Of several runs the first is the one whose predictions were saved.
    first = chosen.drop_duplicates("name")
    return dict(zip(first["name"].astype(str), first[SCORE]))


def _choose(
    names: Sequence[str], scores: Mapping[str, float], choice: str, config: DictConfig
) -> list[str]:
    count = config.RENDER.CLIPS
    if choice not in CHOICES:
        raise ValueError(f"--choose is {choice!r}; choose one of {list(CHOICES)}")
    if choice == "first":
        return list(names)[:count]
    if choice == "random":
        return sorted(random.Random(config.SEED_VALUE).sample(list(names), min(count, len(names))))
    scored = sorted((name for name in names if name in scores), key=lambda name: scores[name])
    if not scored:
        raise ValueError(
            f"--choose {choice} needs the scores of clips, and {results_folder(config)}/clips.csv "
            f"has none ({SCORE}): run `python -m test --task t2m` again"
        )
    starts = {"best": 0, "median": (len(scored) - count) // 2, "worst": len(scored) - count}
    start = max(starts[choice], 0)
    return scored[start : start + count]
