"""How alike two texts are: BLEU-1 to BLEU-4, chrF and ROUGE-L, for signing translated back.

BLEU and chrF are scores of a corpus, as sacrebleu computes them; ROUGE-L is the mean over clips of
rouge-score's F1 (longest common subsequence of words). All are 0 to 100. Upper and lower case
differ in BLEU and chrF and are alike in ROUGE-L, as in those libraries.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
from rapidfuzz.distance import Levenshtein
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer
from sacrebleu.metrics.helpers import extract_all_char_ngrams

from soke.metrics.bleu import ORDER, BleuOfSums, bleu_columns, bleu_statistics
from soke.metrics.scores import Score, mean_score, ratio_score

#: sacrebleu's tokenization of languages that write no blanks between words: single characters.
TOKENIZATION = {"zh": "zh", "ja": "char", "th": "char"}
#: chrF2: n-grams of up to six characters, recall counts beta squared times as much.
CHRF_ORDER = 6
CHRF_BETA = 2

_BLEU = "text_bleu"
_CHRF = "text_chrf"
_ROUGE = "text_rouge_l"
_CHRF_COLUMNS = tuple(
    f"{_CHRF}_{count}_{n}"
    for n in range(1, CHRF_ORDER + 1)
    for count in ("generated", "reference", "matches")
)


def text_statistics(generated: str, reference: str, language: str) -> dict[str, float]:
    """Additive statistics of a clip; ``language`` is the texts' ISO code, such as "en".

    Columns are ``text_bleu_{matches,ngrams}_{n}`` and ``text_bleu_reference`` (words),
    ``text_chrf_{generated,reference,matches}_{n}`` (n-grams of characters) and ``text_rouge_l``.
    Texts may be empty. Raises ``ValueError`` for what is no text.
    """
    for side, text in (("generated", generated), ("reference", reference)):
        if not isinstance(text, str):
            raise ValueError(f"the {side} text is {text!r}, expected a string")
    return {
        **bleu_statistics(generated, reference, TOKENIZATION.get(language, "13a"), _BLEU),
        **_chrf_statistics(generated, reference),
        _ROUGE: 100
        * _rouge(language in TOKENIZATION).score(reference, generated)["rougeL"].fmeasure,
    }


def text_scores() -> list[Score]:
    """``BLEU-1`` to ``BLEU-4``, ``chrF`` and ``ROUGE-L``."""
    return [
        *(
            Score(f"BLEU-{n}", bleu_columns(_BLEU, n), BleuOfSums(n), lower_is_better=False)
            for n in range(1, ORDER + 1)
        ),
        Score("chrF", _CHRF_COLUMNS, _chrf, lower_is_better=False),
        mean_score("ROUGE-L", _ROUGE, lower_is_better=False),
    ]


def translation_statistics(generated: str, reference: str, language: str) -> dict[str, float]:
    """`text_statistics` with ``character_edits``, ``characters`` and ``exact``."""
    return {
        **text_statistics(generated, reference, language),
        "character_edits": Levenshtein.distance(generated, reference),
        "characters": len(reference),
        "exact": float(generated == reference),
    }


def translation_scores() -> list[Score]:
    """`text_scores` with ``character_error_rate`` (edits a character of the reference) and
    ``exact`` (the share of texts without an error), 0 to 1, which suit short texts."""
    return [
        *text_scores(),
        ratio_score("character_error_rate", "character_edits", "characters"),
        mean_score("exact", lower_is_better=False),
    ]


def _chrf_statistics(generated: str, reference: str) -> dict[str, int]:
    values: list[int] = []
    sides = (extract_all_char_ngrams(text, CHRF_ORDER) for text in (generated, reference))
    for ours, theirs in zip(*sides):
        # sacrebleu leaves lengths out for which the reference has no n-gram.
        values += [ours.total() if theirs else 0, theirs.total(), (ours & theirs).total()]
    return dict(zip(_CHRF_COLUMNS, values))


def _chrf(sums: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """F score of mean precision and mean recall over the lengths that both sides have."""
    generated, reference, matches = (sums[..., i::3] for i in range(3))
    both = (generated > 0) & (reference > 0)
    lengths = np.maximum(both.sum(axis=-1), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(both, matches / generated, 0).sum(axis=-1) / lengths
        recall = np.where(both, matches / reference, 0).sum(axis=-1) / lengths
        weight = CHRF_BETA**2
        score = (1 + weight) * precision * recall / (weight * precision + recall)
    return np.where(precision + recall > 0, 100 * score, 0.0)


class _Words(Tokenizer):
    """Runs of letters and digits in lower case; of ASCII text what rouge-score itself takes.

    Its own tokenizer would cut German words at every umlaut and drop Chinese ones.
    """

    def __init__(self, single: bool) -> None:
        self._pattern = re.compile(r"[a-z0-9]+|[^\W_]" if single else r"[^\W_]+")

    def tokenize(self, text: str) -> list[str]:
        return self._pattern.findall(text.lower())


@cache
def _rouge(single: bool) -> RougeScorer:
    """``single``: every character is a word (but for runs of Latin letters and digits)."""
    return RougeScorer(["rougeL"], tokenizer=_Words(single))
