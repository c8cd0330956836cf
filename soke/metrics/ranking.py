"""Retrieval ranks: how near each query's right reference is among all references."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def ranks(
    distances: np.ndarray | torch.Tensor, correct: Sequence[int] | np.ndarray | torch.Tensor
) -> np.ndarray:
    """Rank of the right reference of each query, ``[Q]`` integers from 1 (nearest) on.

    ``distances`` is ``[Q, R]``, smaller is nearer; ``correct`` ``[Q]`` holds the column of each
    query's right reference. Ties count pessimistically: the rank is the number of references at
    most as far as the right one, so a model that produces the same motion for every text, and
    thus equal distances, scores last and not first.

    Raises ``ValueError`` for other shapes, no queries, NaN distances or columns out of range.
    """
    distances = np.asarray(_detached(distances), dtype=np.float64)
    correct = np.asarray(_detached(correct))
    if distances.ndim != 2 or not distances.size:
        raise ValueError(f"expected distances [queries, references], got shape {distances.shape}")
    if np.isnan(distances).any():
        raise ValueError("distances must not be NaN")
    queries, references = distances.shape
    if correct.shape != (queries,) or not np.issubdtype(correct.dtype, np.integer):
        raise ValueError(f"expected one reference index for each of {queries} queries")
    if correct.min() < 0 or correct.max() >= references:
        raise ValueError(f"reference indices run from 0 to {references - 1}, got {correct}")
    right = distances[np.arange(queries), correct]
    return (distances <= right[:, None]).sum(axis=1)


def recall_at(ranks: np.ndarray, k: int) -> float:
    """Share of the queries whose right reference is among the ``k`` nearest, 0 to 1 (R@k).

    ``ranks`` are those of the function `ranks`. Raises ``ValueError`` if there are none or
    ``k`` < 1.
    """
    ranks = np.asarray(ranks)
    if ranks.ndim != 1 or not ranks.size:
        raise ValueError(f"expected ranks [queries], at least one, got shape {ranks.shape}")
    if k < 1:
        raise ValueError(f"k must be 1 or more, got {k}")
    return float((ranks <= k).mean())


def _detached(array: object) -> object:
    return array.detach().cpu() if isinstance(array, torch.Tensor) else array
