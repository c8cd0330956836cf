"""Signs for a word that has no entry, by several entries: numbers, compounds, letters."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from functools import cached_property

from soke.retrieval.index import SignIndex
from soke.retrieval.language import LONGEST_WORD, whole_numbers

# How the entries were found.
COMPOUND = "compound"
NUMBER = "number"
SPELLED = "spelled"
#: Numbers with more digits are no quantity: they are read digit by digit.
_LONGEST_NUMBER = 9
#: Numbers with more characters are not retrieved at all.
_LONGEST_DIGITS = 20
#: A part of a compound has at least this many letters.
_SHORTEST_PART = 3
#: The entries of this many words are kept for the next time.
_REMEMBERED = 1 << 16


class WordParts:
    """Finds the entries of one folded word part by part; with ``spell_unknown`` also by letters."""

    def __init__(self, index: SignIndex, spell_unknown: bool) -> None:
        self.index = index
        self.language = index.language
        self.spell_unknown = spell_unknown
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
            found = self._number(key), NUMBER
        elif key in self._number_keys:
            found = self._split(key), NUMBER
        else:
            found = self._compound(key), COMPOUND
        if not found[0] and self.spell_unknown and len(key) <= LONGEST_WORD:
            found = self._spelled(key), SPELLED
        return found

    def _number(self, written: str) -> list[str]:
        """Entries of a number such as 12, 1,500 or 7.5."""
        if not written[0].isdecimal() or len(written) > _LONGEST_DIGITS:
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
        if len(digits) > _LONGEST_NUMBER or (len(digits) > 1 and int(digits[0]) == 0):
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
        entries: list[str] = []
        at = 0
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

        The word list knows them as adjectives, which are otherwise not taken apart.
        """
        if not self.language.links or self.language.number_words is None:
            return frozenset()
        return frozenset(map(self.language.number_words, range(13, 1000)))

    def _compound(self, key: str) -> list[str]:
        parts = self._split(key)
        return parts if parts and self.language.may_be_compound(key) else []

    def _split(self, key: str) -> list[str]:
        if not self.language.links or not key.isalpha():
            return []
        index = self.index
        return split_compound(key, self.language.links, index.find, index.find_inflected) or []

    def _spelled(self, key: str) -> list[str]:
        letters = self.index.letters
        units = spell(key, letters) or spell(self.language.loose(key), letters) or []
        return [letters[unit] for unit in units]


def spell(word: str, entries: Container[str], longest: int = 3) -> list[str] | None:
    """Cut ``word`` into entries, longest first; None if some letter has no entry.

    With the entries c, h, ch: "chic" is ["ch", ...] and not ["c", "h", ...].
    """
    found: list[str] = []
    at = 0
    while at < len(word):
        for size in range(min(longest, len(word) - at), 0, -1):
            if word[at : at + size] in entries:
                found.append(word[at : at + size])
                at += size
                break
        else:
            return None
    return found


def split_compound(
    word: str,
    links: Sequence[str],
    find: Callable[[str], str | None],
    find_last: Callable[[str], str | None] | None = None,
) -> list[str] | None:
    """Cut ``word`` into two or more entries of three letters or more, joined by ``links``.

    All of it has to be covered. The longest first part is tried first, and shorter ones if the rest
    cannot be covered then. ``find`` gives the entry of a part, or None; the last part may be
    inflected and is looked up with ``find_last``. None if the word cannot be cut.
    """
    if len(word) > LONGEST_WORD:
        return None
    hopeless: set[int] = set()

    def rest(at: int) -> list[str] | None:
        if at in hopeless:
            return None
        last = (find_last or find)(word[at:]) if at and len(word) - at >= _SHORTEST_PART else None
        if last is not None:
            return [last]
        for end in range(len(word) - _SHORTEST_PART, at + _SHORTEST_PART - 1, -1):
            part = find(word[at:end])
            if part is None:
                continue
            for link in links:
                if word.startswith(link, end):
                    following = rest(end + len(link))
                    if following is not None:
                        return [part, *following]
        hopeless.add(at)
        return None

    return rest(0)
