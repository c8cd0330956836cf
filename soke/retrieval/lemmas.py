"""Base forms of words, by the word lists of `simplemma` (part of the package, no download)."""

from __future__ import annotations

from functools import lru_cache

from soke.retrieval.languages import Language
from soke.retrieval.spelling import LONGEST_WORD
from soke.retrieval.words import fold

#: Shorter base forms are not looked for: the one of "an" is "a", which may be the letter.
_SHORTEST_LEMMA = 2


@lru_cache(maxsize=1 << 16)
def lemma(word: str, language: str) -> str:
    """The folded base form of a word; a word that the list does not know stays as it is."""
    from simplemma import lemmatize  # its lists take a second to read: only where they are needed

    return fold(lemmatize(word, lang=language))


def lemmas(text: str, language: Language) -> tuple[str, ...]:
    """Possible base forms of a word as it stands in a text, likeliest first.

    Where nouns are written with a capital, one in lower case may still be a noun; and letters may
    stand for another (strassen is straßen in Switzerland, and otherwise a form of Strass).
    """
    key = fold(text)
    if not language.has_lemmas or not key.isalpha() or len(key) > LONGEST_WORD:
        return ()
    spelled = [
        key.replace(letters, letter)
        for letter, letters in language.spellings.items()
        if letters in key
    ]
    forms = [text, key, *spelled]
    if language.nouns_are_capitalised:
        forms += [form.capitalize() for form in (key, *spelled)]
    found = dict.fromkeys(lemma(form, language.code) for form in forms)
    return tuple(base for base in found if len(base) >= _SHORTEST_LEMMA)


def may_be_compound(key: str, language: Language) -> bool:
    """Whether a word may be taken apart.

    Adverbs, verbs and adjectives that the word list knows are not: "vielleicht" is neither viel nor
    leicht. Nouns and words that are not in the list are.
    """
    from simplemma import is_known, lemmatize

    if not language.links:
        return False
    if not language.has_lemmas or not is_known(key, lang=language.code):
        return True
    return lemmatize(key, lang=language.code)[:1].isupper()
