"""Scores as functions of sums over clips: values, intervals, differences of systems."""

from soke.metrics.scores.score import (
    CLIP_KEYS,
    ClipSums,
    Score,
    interval_over_runs,
    mean_score,
    ratio_score,
    share_score,
)
from soke.metrics.scores.significance import (
    PairedDifference,
    bootstrap,
    paired_difference,
    paired_differences,
)

__all__ = [
    "CLIP_KEYS",
    "ClipSums",
    "PairedDifference",
    "Score",
    "bootstrap",
    "interval_over_runs",
    "mean_score",
    "paired_difference",
    "paired_differences",
    "ratio_score",
    "share_score",
]
