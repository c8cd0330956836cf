"""Saying a word that has no entry by several entries: numbers, compounds, letters."""

from __future__ import annotations

from functools import cached_property

from soke.retrieval.index import SignIndex
from soke.retrieval.lemmas import may_be_compound
from soke.retrieval.numbers import LONGEST_DIGITS, LONGEST_NUMBER, whole_numbers
from soke.retrieval.spelling import LONGEST_WORD, spell, split_compound

#: How the entries were found.
COMPOUND, NUMBER, SPELLED = "compound", "number", "spelled"
#: Words whose entries are kept for the next time.
_REMEMBERED = 1 << 16


class WordParts:
    """Finds the entries of one folded word part by part; with ``spell_unknown`` also by letters."""

    def __init__(self, index: SignIndex, spell_unknown: bool) -> None:
        self.index, self.language, self.spell_unknown = index, index.language, spell_unknown
        self._found: dict[str, tuple[list[str], str]] = {}

    def find(self, key: str) -> tuple[list[str], str]:
        """The entries, and how they were found; no entries where a part of the word has none."""
        if key not in self._found:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[key] = self._find(key)
        return self._found[key]

    def _find(self, key: str) -> tuple[list[str], str]:
        if not any(map(str.isalpha, key)):
            found, how = self._number(key), NUMBER
        elif key in self._number_keys:
            found, how = self._split(key), NUMBER
        else:
            found, how = self._compound(key), COMPOUND
        if not found and self.spell_unknown and len(key) <= LONGEST_WORD:
            found, how = self._spelled(key), SPELLED
        return found, how

    def _number(self, written: str) -> list[str]:
        """Entries of a number such as 12, 1,500 or 7.5."""
        if not written[0].isdecimal() or len(written) > LONGEST_DIGITS:
            return []
        entries: list[str] = []
        for digits in whole_numbers(written, self.language.thousands):
            found = self._quantity(digits) or self._digits(digits)
            if not found:
                return []
            entries += found
        return entries

    def _quantity(self, digits: str) -> list[str]:
        """The entry of a whole number, or those of its words."""
        entry = self.index.find(digits)
        if entry is not None:
            return [entry]
        if len(digits) > LONGEST_NUMBER or (len(digits) > 1 and int(digits[0]) == 0):
            return []
        return self._number_words(int(digits))

    def _digits(self, digits: str) -> list[str]:
        """The entries of all digits, one by one."""
        each = [self._quantity(digit) for digit in digits]
        return [entry for entries in each for entry in entries] if all(each) else []

    def _number_words(self, number: int) -> list[str]:
        if self.language.number_words is None:
            return []
        words = self.language.words(self.language.number_words(number))
        entries, at = [], 0
        while at < len(words):
            size, found, _ = self.index.longest_match(words, at) or (1, None, "")
            if found is not None:
                entries.append(found)
            elif parts := self._split(words[at].key):
                entries += parts
            elif words[at].key not in self.language.stop_words:  # the "and" of "hundred and one"
                return []
            at += size
        return entries

    @cached_property
    def _number_keys(self) -> frozenset[str]:
        """Numbers that are written as one compound, such as einundzwanzig.

        The word list knows them as adjectives, which are else not taken apart.
        """
        if not self.language.links or self.language.number_words is None:
            return frozenset()
        return frozenset(map(self.language.number_words, range(13, 1000)))

    def _compound(self, key: str) -> list[str]:
        parts = self._split(key)
        return parts if parts and may_be_compound(key, self.language) else []

    def _split(self, key: str) -> list[str]:
        if not self.language.links or not key.isalpha():
            return []
        find, find_last = self.index.find, self.index.find_inflected
        return split_compound(key, self.language.links, find, find_last) or []

    def _spelled(self, key: str) -> list[str]:
        letters = self.index.letters
        units = spell(key, letters) or spell(self.language.loose(key), letters) or []
        return [letters[unit] for unit in units]
