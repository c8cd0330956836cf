"""BLEU of a corpus as a score of sums: n-gram counts a clip, put together for any set of clips.

Counts and smoothing ("exp") are those of sacrebleu (Post, A Call for Clarity in Reporting BLEU
Scores, 2018), so that the score of all clips is what its ``corpus_bleu`` says of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from sacrebleu.metrics import BLEU

#: Longest n-gram that is counted.
ORDER = 4


def bleu_statistics(
    generated: str, reference: str, tokenization: str, prefix: str
) -> dict[str, int]:
    """The columns of one clip, named by `bleu_columns`.

    ``tokenization`` is one of sacrebleu's: "none" for words between blanks, "13a", "zh", "char".
    """
    counted = _counter(tokenization).sentence_score(generated, [reference])
    values = (*counted.counts, *counted.totals, counted.ref_len)
    return dict(zip(bleu_columns(prefix), values))


def bleu_columns(prefix: str, order: int = ORDER) -> tuple[str, ...]:
    """Matched n-grams of 1 to ``order`` words, all generated n-grams, words of the reference."""
    sizes = range(1, order + 1)
    matches = (f"{prefix}_matches_{n}" for n in sizes)
    return (*matches, *(f"{prefix}_ngrams_{n}" for n in sizes), f"{prefix}_reference")


@cache
def _counter(tokenization: str) -> BLEU:
    # The effective order concerns the score of a sentence, which is not used; without it
    # sacrebleu warns of such scores.
    return BLEU(tokenize=tokenization, max_ngram_order=ORDER, effective_order=True)


@dataclass(frozen=True)
class BleuOfSums:
    """BLEU, 0 to 100, of n-grams up to ``order`` from the sums of `bleu_columns`.

    Where no n-gram of some length matches, half a match is assumed for the shortest such, a
    quarter for the next, and so on, unless nothing at all matches: then the score is 0.
    """

    order: int = ORDER

    def __call__(self, sums: np.ndarray, clips: np.ndarray) -> np.ndarray:
        matches = sums[..., : self.order]
        ngrams = sums[..., self.order : -1]
        generated = ngrams[..., 0]
        reference = sums[..., -1]
        with np.errstate(divide="ignore", invalid="ignore"):
            halvings = np.cumsum(matches == 0, axis=-1)
            assumed = np.where(matches == 0, 0.5**halvings, matches)
            precision = np.exp(np.log(assumed / ngrams).mean(axis=-1))
            brevity = np.exp(np.minimum(1 - reference / generated, 0))
        # Too short for an n-gram of every length: the score is 0 as well.
        possible = (matches.sum(axis=-1) > 0) & (ngrams > 0).all(axis=-1)
        return np.where(possible, 100 * brevity * precision, 0.0)
