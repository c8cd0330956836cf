"""Scores of sums over clips, gathered clip by clip on any number of ranks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from soke.metrics.aggregate import CorpusMean
from soke.metrics.scores import Score


class CorpusScores(CorpusMean):
    """Scores per corpus and in total, from columns that are given one clip at a time.

    Sums are added over ranks before a score is made of them.
    """

    def __init__(self, corpora: Sequence[str], scores: Sequence[Score]) -> None:
        odd = [score.name for score in scores if score.per_clip is not None]
        assert not odd, f"{odd} do not sum their columns as they are"
        super().__init__(corpora, list(dict.fromkeys(c for s in scores for c in s.columns)))
        self.scores = list(scores)

    def _means(self, sums: Tensor, weight: Tensor) -> dict[str, float]:
        row = dict(zip(self.names, sums.tolist()))
        clips = np.float64(float(weight))
        return {
            score.name: float(score.of_sums(np.array([row[c] for c in score.columns]), clips))
            for score in self.scores
        }
