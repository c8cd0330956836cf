"""Which signs a text calls for, by its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from soke.retrieval.index import SignIndex
from soke.retrieval.language import Language, zipf
from soke.retrieval.sign_dictionary import SignDictionary
from soke.retrieval.word_parts import SPELLED, WordParts
from soke.retrieval.words import APOSTROPHES, Word, is_spaceless, join_words
from soke.structures import Keyword, Retrieval

MULTI_WORD = "multi-word"
# Why a sign was left out.
STOP_WORD = "stop word"
REPEATED = "repeated"
TOO_MANY = "more signs than are kept"


@dataclass(frozen=True)
class _Piece:
    """A piece of text: its words, and the entries that sign it, if there are any."""

    words: tuple[Word, ...]
    entries: tuple[str, ...] = ()
    match: str = ""

    @property
    def key(self) -> str:
        return join_words([word.key for word in self.words])

    @property
    def text(self) -> str:
        texts = [word.text for word in self.words]
        if len(texts) == 1:
            return texts[0]
        # Both words of "don't" have it as their text.
        again = [i for i in range(1, len(texts)) if texts[i] == texts[i - 1]]
        apart = {i for i in again if set(APOSTROPHES) & set(texts[i])}
        return join_words([text for i, text in enumerate(texts) if i not in apart])


class TextSearch:
    """The signs of a text, by the words of the dictionary of its language.

    A clean text is cut into words (`soke.retrieval.words.cut`). From left to right the longest
    entry is taken that matches whole words, by `SignIndex`: as written, in another spelling, by
    base forms. For a word without an entry, a number is looked up by its words and then by its
    digits, a compound by its parts, and with ``spell_unknown`` any other word by the entries of its
    letters. Each of these is one keyword. What remains is missing.

    Stop words call for no sign, unless the text has nothing else. If there are more than
    ``max_keywords`` keywords, those with the rarest words are kept, in the order of the text;
    spelled words are dropped first. Rarity is by ``frequencies`` (folded word -> number, such as
    counts in the training texts) if given, otherwise by general word lists; a word that they lack
    is the rarest. A sign has at most ``max_tokens`` steps.

    No text makes it fail: one without words has an empty result.
    """

    def __init__(
        self,
        dictionary: SignDictionary,
        language: Language,
        max_keywords: int = 3,
        max_tokens: int = 10,
        spell_unknown: bool = False,
        shared: Sequence[str] = (),
        frequencies: Mapping[str, float] | None = None,
    ) -> None:
        self.dictionary = dictionary
        self.language = language
        self.max_keywords = max_keywords
        self.max_tokens = max_tokens
        self.frequencies = frequencies
        self.index = SignIndex(dictionary, language, shared)
        self.parts = WordParts(self.index, spell_unknown)

    def __call__(self, text: str, name: str | None = None) -> Retrieval:
        content, stop_words = self._pieces(self.language.words(text))
        dropped = [(piece.text, STOP_WORD) for piece in stop_words if piece.entries and content]
        found: dict[tuple[str, ...], _Piece] = {}
        missing: list[str] = []
        for piece in map(self._completed, content or stop_words):
            if not piece.entries:
                missing.append(piece.text)
            elif piece.entries in found:
                dropped.append((piece.text, REPEATED))
            else:
                found[piece.entries] = piece
        kept, left = self._rarest(list(found.values()))
        dropped += [(piece.text, TOO_MANY) for piece in left]
        return Retrieval(
            tuple(map(self._keyword, kept)),
            tuple(dict.fromkeys(missing)),
            tuple(dict.fromkeys(dropped)),
        )

    def _pieces(self, words: Sequence[Word]) -> tuple[list[_Piece], list[_Piece]]:
        """The text cut into entries and what lies between; stop words by themselves.

        Characters of Chinese and the like that no entry has make up one piece.
        """
        content: list[_Piece] = []
        stop_words: list[_Piece] = []
        run: list[Word] = []
        at = 0
        while at < len(words):
            piece = self._piece(words, at)
            at += len(piece.words)
            first = piece.words[0]
            is_stop = piece.key in self.language.stop_words
            in_run = not (is_stop or piece.entries) and is_spaceless(first.key)
            if run and not (in_run and first.gap == ""):
                content.append(_Piece(tuple(run)))
                run = []
            if in_run:
                run.append(first)
            else:
                (stop_words if is_stop else content).append(piece)
        if run:
            content.append(_Piece(tuple(run)))
        return content, stop_words

    def _piece(self, words: Sequence[Word], at: int) -> _Piece:
        """The longest entry that begins here, otherwise a stop word, otherwise one word."""
        match = self.index.longest_match(words, at)
        if match is not None:
            size, entry, how = match
            piece = _Piece(tuple(words[at : at + size]), (entry,), how)
            return replace(piece, match=MULTI_WORD) if " " in piece.key else piece
        pair = _Piece(tuple(words[at : at + 2]))
        if is_spaceless(words[at].key) and pair.key in self.language.stop_words:
            return pair
        return _Piece((words[at],))

    def _completed(self, piece: _Piece) -> _Piece:
        """A piece without an entry, with those of its parts if all of them have one."""
        key = piece.words[0].key
        if piece.entries or len(piece.words) > 1 or is_spaceless(key):
            return piece
        entries, match = self.parts.find(key)
        return replace(piece, entries=tuple(entries), match=match if entries else "")

    def _rarest(self, pieces: Sequence[_Piece]) -> tuple[list[_Piece], list[_Piece]]:
        """The pieces that stay and the others, both in the order of the text."""
        if len(pieces) <= self.max_keywords:
            return list(pieces), []
        ranks = [
            (piece.match == SPELLED, self._frequency(piece), i) for i, piece in enumerate(pieces)
        ]
        chosen = {i for _, _, i in sorted(ranks)[: self.max_keywords]}
        kept = [piece for i, piece in enumerate(pieces) if i in chosen]
        return kept, [piece for i, piece in enumerate(pieces) if i not in chosen]

    def _frequency(self, piece: _Piece) -> float:
        if self.frequencies is None:
            return zipf([word.key for word in piece.words], self.language.code)
        return self.frequencies.get(piece.key, 0)

    def _keyword(self, piece: _Piece) -> Keyword:
        signs = [self.dictionary.lookup(entry, self.max_tokens) for entry in piece.entries]
        return Keyword("-".join(piece.entries), np.concatenate(signs), piece.text, piece.match)
