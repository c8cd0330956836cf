"""The look-up structures of one dictionary for one written language, built once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from soke.retrieval.language import Language, entry_languages, language_named
from soke.retrieval.sign_dictionary import SignDictionary
from soke.retrieval.words import Word, clean, fold

Words = tuple[str, ...]

# How an entry was found, in the order in which the ways are tried.
EXACT = "exact"
VARIANT = "other spelling"
LEMMA = "lemma"


class _Table:
    """Entries by sequences of words, longest sequence first."""

    def __init__(self) -> None:
        self.entries: dict[Words, str] = {}
        self.longest: dict[str, int] = {}  # of the sequences that begin with a word

    def add(self, words: Words, entry: str) -> None:
        if words and words not in self.entries:
            self.entries[words] = entry
            self.longest[words[0]] = max(self.longest.get(words[0], 0), len(words))


class SignIndex:
    """Finds entries by their words, by other spellings of them, and by their base forms.

    ``shared`` are the languages whose texts use the same dictionary: of one with several, only the
    entries that may be of this language are found (`entry_languages`).
    """

    def __init__(
        self, dictionary: SignDictionary, language: Language, shared: Sequence[str] = ()
    ) -> None:
        self.language = language
        others = [language_named(code) for code in dict.fromkeys(shared)]
        self.entries: dict[str, list[Word]] = {}
        for entry in dictionary.by_words.values():
            words = language.words(clean(entry))
            if len(others) < 2 or language.code in entry_languages(words, others):
                self.entries[entry] = words
        self._exact = _Table()
        self._loose = _Table()
        for entry, words in self.entries.items():
            self._exact.add(_keys(words), entry)
        if language.spellings:
            for entry, words in self.entries.items():
                self._loose.add(self._looser(_keys(words)), entry)
        short = [entry for entry, words in self.entries.items() if _letters(words) <= 3]
        #: Entries of letters: single ones, and units such as "ch" where there are no words at all.
        self.letters: Mapping[str, str] = {
            self.entries[entry][0].key: entry
            for entry in short
            if len(self.entries[entry]) == 1
            and (len(short) == len(self.entries) or _letters(self.entries[entry]) == 1)
        }
        # Reading the word lists takes a second, and single letters have no base forms.
        self._lemmatizes = language.has_lemmas and any(
            _letters(words) > 1 for words in self.entries.values()
        )

    @cached_property
    def _lemmas(self) -> _Table:
        """Entries by base forms. Those that are written in their base form come first."""
        table = _Table()
        bases = {entry: self._bases(words) for entry, words in self.entries.items()}
        for entry, words in self.entries.items():
            for sequence in bases[entry]:
                if sequence == self._looser(_keys(words)):
                    table.add(sequence, entry)
        for entry, sequences in bases.items():
            for sequence in sequences:
                table.add(sequence, entry)
        return table

    def longest_match(self, words: Sequence[Word], at: int) -> tuple[int, str, str] | None:
        """The longest entry that begins at a word of a text, how many words it takes, and how.

        Of equally long ones an entry written like the text comes first, then one in another
        spelling, then one with the same base form.
        """
        first = _keys(words[at : at + 1])
        longest = max(
            self._exact.longest.get(first[0], 0),
            self._loose.longest.get(self._looser(first)[0], 0),
        )
        if self._lemmatizes:
            for base in self._bases(words[at : at + 1]):
                longest = max(longest, self._lemmas.longest.get(base[0], 0))
        limit = 1
        while limit < longest and at + limit < len(words) and words[at + limit].gap is not None:
            limit += 1
        for size in range(min(limit, longest), 0, -1):
            found = self._match(words[at : at + size])
            if found is not None:
                return size, *found
        return None

    def find(self, key: str) -> str | None:
        """The entry of one folded word, in this or another spelling."""
        return self._exact.entries.get((key,)) or self._loose.entries.get(self._looser((key,)))

    def find_inflected(self, key: str) -> str | None:
        """The same, or an entry with the same base form."""
        found = self._match([Word(key, key, None)])
        return None if found is None else found[0]

    def _match(self, words: Sequence[Word]) -> tuple[str, str] | None:
        keys = _keys(words)
        if keys in self._exact.entries:
            return self._exact.entries[keys], EXACT
        loose = self._looser(keys)
        if loose in self._loose.entries:
            return self._loose.entries[loose], VARIANT
        if self._lemmatizes:
            for sequence in self._bases(words):
                if sequence in self._lemmas.entries:
                    return self._lemmas.entries[sequence], LEMMA
        return None

    def _bases(self, words: Sequence[Word]) -> list[Words]:
        """Sequences of base forms: all of a single word, the likeliest of several."""
        if len(words) == 1:
            word = words[0]
            # A word of a contraction ("do" of "don't") does not stand in the text by itself.
            text = word.text if fold(word.text) == word.key else word.key
            return [self._looser((base,)) for base in self.language.lemmas(text)]
        likeliest = [(self.language.lemmas(word.key) or (word.key,))[0] for word in words]
        return [self._looser(tuple(likeliest))]

    def _looser(self, keys: Words) -> Words:
        return tuple(map(self.language.loose, keys)) if self.language.spellings else keys


def _keys(words: Sequence[Word]) -> Words:
    return tuple(word.key for word in words)


def _letters(words: Sequence[Word]) -> int:
    return sum(len(word.key) for word in words)
