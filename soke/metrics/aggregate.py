"""Means per data set and over all, the same on one rank and on many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torchmetrics
from torch import Tensor

TOTAL = "total"


class CorpusMean(torchmetrics.Metric):
    """Weighted means of named values, per corpus and in total.

    Give it one clip (or batch) at a time: its corpus, its values and their weight (1 for a mean
    over clips, the number of frames for a mean over frames). What it keeps does not grow with the
    number of clips. Over several ranks sums and weights are added before they are divided, so a
    clip counts the same wherever it was measured.
    """

    full_state_update = False

    def __init__(self, corpora: Sequence[str], names: Sequence[str]) -> None:
        super().__init__()
        self.corpora = list(corpora)
        self.names = list(names)
        sums = torch.zeros(len(self.corpora), len(self.names), dtype=torch.float64)
        self.add_state("sums", sums, dist_reduce_fx="sum")
        weights = torch.zeros(len(self.corpora), dtype=torch.float64)
        self.add_state("weights", weights, dist_reduce_fx="sum")

    def update(self, corpus: str, values: Mapping[str, float], weight: float = 1.0) -> None:
        """Add values of ``corpus``; raises ``ValueError`` for an unknown one or a missing value."""
        index = self.index(corpus)
        missing = [name for name in self.names if name not in values]
        if missing:
            raise ValueError(f"no value for {missing}; got {sorted(values)}")
        row = torch.tensor([float(values[name]) for name in self.names], dtype=torch.float64)
        self.sums[index] += row.to(self.sums.device) * weight
        self.weights[index] += weight

    def index(self, corpus: str) -> int:
        """The row of a corpus; raises ``ValueError`` for an unknown one."""
        if corpus not in self.corpora:
            raise ValueError(f"unknown corpus {corpus!r}; scores are kept for {self.corpora}")
        return self.corpora.index(corpus)

    def compute(self) -> dict[str, dict[str, float]]:
        """``{corpus or "total": {name: mean}}`` of the corpora that have a clip."""
        means = {
            corpus: self._means(self.sums[i], self.weights[i])
            for i, corpus in enumerate(self.corpora)
            if self.weights[i] > 0
        }
        if means:
            means[TOTAL] = self._means(self.sums.sum(dim=0), self.weights.sum())
        return means

    def _means(self, sums: Tensor, weight: Tensor) -> dict[str, float]:
        return dict(zip(self.names, (sums / weight).tolist()))
