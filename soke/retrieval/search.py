"""Which dictionary signs a text calls for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from soke.retrieval.dictionary import SignDictionary
from soke.retrieval.spelling import spell


@dataclass(frozen=True)
class Keyword:
    """A retrieved sign: the dictionary's word and its tokens [n, P]."""

    word: str
    tokens: np.ndarray


class KeywordSearch:
    """Whole words of a text that are in the dictionary of the text's corpus, in text order.

    A word is a run of letters and digits, compared in lower case; parts of words never match. With
    ``spell_unknown`` a word that is not in the dictionary is spelled with its letters' entries, if
    all of them are there. At most ``max_keywords`` signs of at most ``max_tokens`` steps are kept.
    """

    def __init__(
        self,
        dictionaries: Mapping[str, SignDictionary],
        max_keywords: int = 3,
        max_tokens: int = 10,
        spell_unknown: bool = False,
    ) -> None:
        if max_keywords < 0 or max_tokens < 1:
            raise ValueError(
                f"RETRIEVAL.MAX_KEYWORDS is {max_keywords} and RETRIEVAL.MAX_TOKENS {max_tokens}; "
                "they must be at least 0 and 1"
            )
        self.dictionaries = dictionaries
        self.max_keywords, self.max_tokens = max_keywords, max_tokens
        self.spell_unknown = spell_unknown

    def __call__(self, text: str, corpus: str) -> list[Keyword]:
        dictionary = self.dictionaries.get(corpus)
        if dictionary is None or not self.max_keywords:
            return []
        found = []
        for word in re.findall(r"\w+", text.lower()):
            if word in dictionary:
                found.append(word)
            elif self.spell_unknown:
                found += spell(word, dictionary) or []
        return [
            Keyword(word, dictionary.lookup(word, self.max_tokens))
            for word in found[: self.max_keywords]
        ]
