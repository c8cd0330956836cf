"""Scoring systems against references: generated clips and baselines by the same code."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import extractOne
from rich.progress import track
from torch import Tensor

from soke.body import BodyModel
from soke.data.annotations import Clip
from soke.files import atomic_path
from soke.metrics.aggregate import TOTAL
from soke.metrics.dtw import dtw_jpe_matrix
from soke.metrics.generation import DTW_NAMES, dtw_errors
from soke.metrics.ranking import ranks, recall_at
from soke.metrics.sign_reading import SignReader, error_rate
from soke.retrieval import spell

log = logging.getLogger(__name__)

#: The point set whose DTW error ranks the references.
RANKING_POINTS = "rhand"
#: The point set in which signs are read back.
READING_POINTS = "rhand"
RANKS = (1, 5)


@dataclass(frozen=True)
class Reference:
    """What a text should look like: its motion [T, 133] in SMPL-X parameters."""

    name: str
    corpus: str
    text: str
    motion: Tensor


def random_clips(references: Sequence[Reference], train: Sequence[Clip], seed: int) -> list[Clip]:
    """Baseline: for each reference a random training clip of its corpus."""
    draw = random.Random(seed)
    pools = _by_corpus(train)
    return [draw.choice(pools[reference.corpus]) for reference in references]


def nearest_clips(references: Sequence[Reference], train: Sequence[Clip]) -> list[Clip]:
    """Baseline: the training clip of the corpus whose text is nearest by edit distance."""
    pools = _by_corpus(train)
    texts = {corpus: [clip.text for clip in clips] for corpus, clips in pools.items()}
    chosen = []
    for reference in references:
        match = extractOne(
            reference.text, texts[reference.corpus], scorer=Levenshtein.distance, processor=None
        )
        chosen.append(pools[reference.corpus][match[2]])
    return chosen


def _by_corpus(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    pools: dict[str, list[Clip]] = {}
    for clip in clips:
        pools.setdefault(clip.corpus, []).append(clip)
    return pools


class GenerationEvaluator:
    """Scores motions against references.

    Per clip: DTW errors of the point sets, length ratio, the rank of the right reference among all
    references, and, where ``readers`` has the corpus and the text is spelled with its signs, how
    many edits turn the signs read back from the motion into the text.
    """

    def __init__(
        self,
        body: BodyModel,
        references: Sequence[Reference],
        readers: Mapping[str, SignReader] | None = None,
        rank: bool = True,
    ) -> None:
        self.body, self.references = body, list(references)
        self.readers, self.rank = dict(readers or {}), rank
        self.points = [self._points(reference.motion) for reference in self.references]
        self.truth = [self._spelling(reference) for reference in self.references]

    def _points(self, motion: Tensor) -> dict[str, np.ndarray]:
        return {
            name: value.cpu().numpy() for name, value in self.body.scored_points(motion).items()
        }

    def _spelling(self, reference: Reference) -> list[str] | None:
        if reference.corpus not in self.readers:
            return None
        return spell(reference.text.lower(), set(self.readers[reference.corpus].labels))

    def score(self, system: str, motions: Sequence[Tensor]) -> pd.DataFrame:
        """A row a clip for motions [T, 133], one a reference in the same order."""
        assert len(motions) == len(self.references)
        generated = [self._points(motion) for motion in track(motions, f"scoring {system}")]
        rows = []
        for i, reference in enumerate(self.references):
            row = {
                "system": system, "corpus": reference.corpus, "name": reference.name,
                "text": reference.text, **dtw_errors(generated[i], self.points[i]),
                "length_ratio": len(motions[i]) / len(reference.motion),
            }  # fmt: skip
            if self.truth[i] is not None:
                read = self.readers[reference.corpus].read(generated[i][READING_POINTS])
                row["read"], row["truth"] = " ".join(read), " ".join(self.truth[i])
                row["edits"] = Levenshtein.distance(read, self.truth[i])
            rows.append(row)
        if self.rank:
            for row, rank in zip(rows, self._ranks(generated)):
                row["rank"] = rank
        return pd.DataFrame(rows)

    def _ranks(self, generated: Sequence[dict[str, np.ndarray]]) -> np.ndarray:
        """Rank of each clip's own reference among all references; every pair is compared."""
        sides = [[points[RANKING_POINTS] for points in side] for side in (generated, self.points)]
        return ranks(dtw_jpe_matrix(*sides), range(len(generated)))


def summarize(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    """``{corpus or "total": {metric: value}}`` of one system's rows."""
    groups = [*rows.groupby("corpus", sort=False), (TOTAL, rows)]
    return {corpus: _summary(group) for corpus, group in groups}


def _summary(rows: pd.DataFrame) -> dict[str, float]:
    summary = {name: float(rows[name].mean()) for name in (*DTW_NAMES, "length_ratio")}
    if "rank" in rows:
        summary |= {f"R@{k}": recall_at(rows["rank"].to_numpy(), k) for k in RANKS}
    if "edits" in rows and rows["edits"].notna().any():
        read = rows[rows["edits"].notna()]
        summary["sign_error_rate"] = error_rate(read["read"].str.split(), read["truth"].str.split())
        summary["exactly_read"] = float((read["edits"] == 0).mean())
    summary["clips"] = len(rows)
    return summary


def write_results(
    folder: Path,
    about: Mapping[str, object],
    scores: Mapping[str, Mapping[str, float]],
    baselines: Mapping[str, Mapping[str, Mapping[str, float]]],
    clips: pd.DataFrame | None = None,
) -> None:
    """Write ``metrics.json``, ``table.txt`` and, where given, ``clips.csv``; log the table."""
    content = {**about, "scores": scores, "baselines": baselines}
    with atomic_path(folder / "metrics.json") as path:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    table = results_table(about, scores, baselines)
    with atomic_path(folder / "table.txt") as path:
        path.write_text(table, encoding="utf-8")
    if clips is not None:
        with atomic_path(folder / "clips.csv") as path:
            clips.to_csv(path, index=False)
    log.info("results in %s\n%s", folder, table)


def results_table(
    about: Mapping[str, object],
    scores: Mapping[str, Mapping[str, float]],
    baselines: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> str:
    """All scores as text: a block a corpus, a row a metric, a column a system."""
    systems = {str(about.get("system", "generated")): scores, **baselines}
    blocks = [f"{about['name']}, body: {about['body']}"]
    for corpus in scores:
        rows = {name: system[corpus] for name, system in systems.items() if corpus in system}
        frame = pd.DataFrame(rows)
        blocks.append(f"{corpus}\n{frame.to_string(float_format=lambda value: f'{value:.3f}')}")
    if "codebooks" in about:
        frame = pd.DataFrame(about["codebooks"])
        blocks.append(f"codebooks\n{frame.to_string(float_format=lambda value: f'{value:.3f}')}")
    return "\n\n".join(blocks) + "\n"
