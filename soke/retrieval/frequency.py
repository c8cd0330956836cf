"""How frequent a word is in a language in general, by the word lists of `wordfreq`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

from wordfreq import available_languages, get_frequency_dict

from soke.retrieval.words import is_spaceless, join_words

#: Zipf frequency of a word that no list has: one in 10^9 words or fewer.
UNKNOWN = 0.0


@lru_cache(maxsize=8)
def _frequencies(language: str) -> Mapping[str, float]:
    # wordfreq itself would take the list of a related language.
    return get_frequency_dict(language) if language in available_languages("best") else {}


def is_listed(language: str) -> bool:
    """Whether there is a word list of the language."""
    return bool(_frequencies(language))


def zipf(words: Sequence[str], language: str) -> float:
    """Zipf frequency (log10 of occurrences in 10^9 words) of the rarest word; 0 if it is unknown.

    ``words`` are folded; characters of Chinese and the like are looked up as the word they make.
    The lists are read from the files of the package, nothing is downloaded.
    """
    known = _frequencies(language)
    if all(map(is_spaceless, words)):
        words = [join_words(words)]
    # The lists were made with str.casefold: they have "strasse".
    values = [known.get(word.casefold(), 0.0) for word in words]
    return min((math.log10(value) + 9 if value > 1e-9 else UNKNOWN for value in values), default=0)
