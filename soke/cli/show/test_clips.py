"""Clips of a test run: the reference, what was generated, and other systems beside it."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from soke.assemble.models import load_body
from soke.assemble.run import Run
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
    run: Run,
    corpus: str,
    output: Output,
    names: Sequence[str] | None = None,
    choice: str = "first",
    compare: Sequence[str] = (),
) -> list[Path]:
    """Reference and generated clip side by side, from the saved predictions of a test run.

    Args:
        run: of the test run; ``RENDER.CLIPS`` clips are shown unless they are named.
        corpus: the data set.
        output: what is written, below a folder called like the corpus.
        names: the clips to show.
        choice: one of `CHOICES`; best, median and worst are by `SCORE`.
        compare: names of other test runs whose predictions are shown as well.

    Returns the files. Raises `soke.files.MissingAssetError` where there are no predictions, and
    ``ValueError`` for an unknown corpus, clip or choice, and a compared run that lacks a clip.
    """
    if corpus not in run.CORPORA:
        raise ValueError(f"--demo_dataset is {corpus!r}; choose one of {list(run.CORPORA)}")
    results = run.results_folder
    paths = prediction_files(results, corpus)
    scores = {label: _scores(_results(run, label), corpus) for label in (run.NAME, *compare)}
    chosen = list(names or _choose(list(paths), scores[run.NAME], choice, run))
    missing = [name for name in chosen if name not in paths]
    if missing:
        raise ValueError(f"no predictions of {missing}; there are {sorted(paths)[:20]}")
    others = {label: prediction_files(_results(run, label), corpus) for label in compare}
    for label, found in others.items():
        lacking = [name for name in chosen if name not in found]
        if lacking:
            raise ValueError(f"the test run {label} has no predictions of {lacking[:5]}")
    body = load_body(run)
    folder = output.folder / corpus

    def clips() -> Iterator[tuple[ClipToShow, Path]]:
        for name in chosen:
            own = read_prediction(paths[name])
            rest = {label: read_prediction(found[name]) for label, found in others.items()}
            said = {label: scores[label].get(name) for label in scores}
            yield _clip(run, body, own, rest, said), folder / name.replace("/", "_")

    return output.write_all(body, clips(), len(chosen), corpus)


def _clip(
    run: Run,
    body: BodyModel,
    own: Prediction,
    others: Mapping[str, Prediction],
    scores: Mapping[str, float | None],
) -> ClipToShow:
    row = run.CORPORA[own.corpus]
    reference, generated = SYSTEMS
    systems = [System(reference, own.reference, TINTS[0], own.reference_tokens)]
    systems.append(System(generated, own.generated, TINTS[1], own.tokens, _said(scores[run.NAME])))
    for i, (label, other) in enumerate(others.items()):
        tint = TINTS[(2 + i) % len(TINTS)]
        systems.append(System(label, other.generated, tint, other.tokens, _said(scores[label])))
    original = None
    if run.RENDER.VIDEOS is not None:
        original = find_original(run.RENDER.VIDEOS, own.corpus, own.name)
        if original is None:
            log.warning(
                "no video of %s/%s in RENDER.VIDEOS=%s", own.corpus, own.name, run.RENDER.VIDEOS
            )
    parts = tuple(part.name for part in run.parts)
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


def _results(run: Run, label: str) -> Path:
    return run.results_folder.with_name(label)


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


def _choose(names: Sequence[str], scores: Mapping[str, float], choice: str, run: Run) -> list[str]:
    count = run.RENDER.CLIPS
    if choice not in CHOICES:
        raise ValueError(f"--choose is {choice!r}; choose one of {list(CHOICES)}")
    if choice == "first":
        return list(names)[:count]
    if choice == "random":
        return sorted(random.Random(run.SEED_VALUE).sample(list(names), min(count, len(names))))
    scored = sorted((name for name in names if name in scores), key=lambda name: scores[name])
    if not scored:
        raise ValueError(
            f"--choose {choice} needs the scores of clips, and {run.results_folder}/clips.csv "
            f"has none ({SCORE}): run `python -m test --task t2m` again"
        )
    starts = {"best": 0, "median": (len(scored) - count) // 2, "worst": len(scored) - count}
    start = max(starts[choice], 0)
    return scored[start : start + count]
