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
    """A retrieved sign (or a spelled word, as "h-i") and its tokens [n, P]."""

    word: str
    tokens: np.ndarray


class KeywordSearch:
    """Whole words of a text that are in the dictionary of the text's corpus, in text order.

    A word is a run of letters and digits, compared in lower case; parts of words never match. With
    ``spell_unknown`` a word that is not in the dictionary becomes one keyword, spelled with the
    entries of its letters, if all of them are there. At most ``max_keywords`` keywords with at most
    ``max_tokens`` steps a sign are kept.
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
        found: list[Keyword] = []
        for word in re.findall(r"\w+", text.lower()):
            if word in dictionary:
                found.append(Keyword(word, dictionary.lookup(word, self.max_tokens)))
            elif self.spell_unknown and (letters := spell(word, dictionary)):
                signs = [dictionary.lookup(letter, self.max_tokens) for letter in letters]
                found.append(Keyword("-".join(letters), np.concatenate(signs)))
        return found[: self.max_keywords]
