"""How alike generated and reference tokens are, part by part: SiBLEU and true BLEU.

SiBLEU, the method's measure, counts single tokens; the order in which they come does not matter to
it. BLEU of 1 to 4 tokens in a row does see the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from soke.body.points import COMBINED
from soke.metrics.bleu import ORDER, BleuOfSums, bleu_columns, bleu_statistics
from soke.metrics.scores import Score

#: Longest n-gram of each measure.
_ORDERS = {"SiBLEU": 1, "token_BLEU": ORDER}


def token_statistics(
    generated: np.ndarray, reference: np.ndarray, part_names: Sequence[str]
) -> dict[str, int]:
    """Additive statistics of a clip from tokens ``[S, P]`` and those of its reference ``[S', P]``.

    Columns are ``tokens_{part}_matches_{n}``, ``tokens_{part}_ngrams_{n}`` for n from 1 to 4, and
    ``tokens_{part}_reference``, the number of steps of the reference. Lengths may be 0. Raises
    ``ValueError`` for other shapes, for tokens that are no whole numbers, and for negative ones
    (padding).
    """
    sides = [
        _checked(tokens, part_names, side)
        for tokens, side in ((generated, "generated"), (reference, "reference"))
    ]
    row: dict[str, int] = {}
    for p, part in enumerate(part_names):
        words = [" ".join(map(str, tokens[:, p].tolist())) for tokens in sides]
        row |= bleu_statistics(*words, "none", _prefix(part))
    return row


def token_scores(
    part_names: Sequence[str], combined: Mapping[str, Sequence[str]] = COMBINED
) -> list[Score]:
    """``SiBLEU_{part}`` and ``token_BLEU_{part}`` (1 to 4 tokens), 0 to 100, of every part.

    ``combined`` names scores that are the mean of those of several parts. One of them is left out
    where the table has not all of its parts, or has a part of that name.
    """
    members = {part: (part,) for part in part_names}
    for name, parts in combined.items():
        if name not in members and set(parts) <= set(part_names):
            members[name] = tuple(parts)
    return [
        Score(
            f"{measure}_{name}",
            tuple(column for part in parts for column in bleu_columns(_prefix(part), order)),
            _MeanOfParts(BleuOfSums(order), len(parts)),
            lower_is_better=False,
        )
        for measure, order in _ORDERS.items()
        for name, parts in members.items()
    ]


@dataclass(frozen=True)
class _MeanOfParts:
    """The mean of a score over parts whose columns stand one after another."""

    score: BleuOfSums
    parts: int

    def __call__(self, sums: np.ndarray, clips: np.ndarray) -> np.ndarray:
        pieces = np.split(sums, self.parts, axis=-1)
        return np.mean([self.score(piece, clips) for piece in pieces], axis=0)


def _prefix(part: str) -> str:
    return f"tokens_{part}"


def _checked(tokens: np.ndarray, part_names: Sequence[str], side: str) -> np.ndarray:
    tokens = np.asarray(tokens)
    if tokens.ndim != 2 or tokens.shape[1] != len(part_names):
        raise ValueError(
            f"{side} tokens are {list(tokens.shape)}, expected [steps, {len(part_names)}], a "
            f"column for each of {list(part_names)}"
        )
    if not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(f"{side} tokens are {tokens.dtype}, expected whole numbers")
    if (tokens < 0).any():
        raise ValueError(f"{side} tokens hold negative numbers: cut the padding off first")
    return tokens
