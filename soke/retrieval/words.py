"""A text as words: cleaned, cut into words, and written in one way for comparison."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

#: Characters that part words and are not spaces to Python: zero width space, invisible separator,
#: braille blank and the two Hangul fillers. Joiners and soft hyphens lie within a word.
_INVISIBLE_SPACES = str.maketrans(dict.fromkeys("\u200b\u2063\u2800\u3164\uffa0", " "))
#: Characters that join emoji or the letters of some scripts; other invisible ones are dropped.
_JOINERS = "\u200c\u200d"
#: Scripts that are written without spaces: each character is a word of its own, and entries are
#: found as sequences of them (Han, kana, Thai, Lao, Burmese, Khmer).
_SPACELESS = (
    "々〇\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
)
#: Vowel signs and accents, which the regular expressions of Python do not count to the letters.
_MARKS = "".join(
    character
    for character in map(chr, range(0x300, 0x10000))
    if unicodedata.category(character).startswith("M")
)
_LETTER = rf"[^\W_{_SPACELESS}]"
_WORD = re.compile(
    rf"\d+(?:[.,]\d+)*(?!{_LETTER})"  # 12 or 1,500, but not the 4 of 4th
    rf"|(?:{_LETTER}[{_MARKS}]*)+"
    rf"|[{_SPACELESS}][{_MARKS}]*"
)
_IS_SPACELESS = re.compile(rf"[{_SPACELESS}]")
APOSTROPHES = "'’"
#: What may stand between the words of one entry: "ice cream", "ice-cream", "don't".
_BETWEEN = re.compile(rf"[\s\-\u2010\u2011{APOSTROPHES}]*\Z")


class Word(NamedTuple):
    """A word of a text.

    ``text`` is how it stands there, ``key`` how it is compared, ``gap`` what separates it from the
    word before it: spaces, hyphens and apostrophes, or None for anything else.
    """

    text: str
    key: str
    gap: str | None


def clean(text: str) -> str:
    """A text without control characters, invisible characters and halves of surrogate pairs.

    Line ends, tabs and zero width spaces become spaces; spaces at both ends are cut off. Every text
    is cleaned once, on its way in: an annotation when it is listed, a typed text when it is given.
    Cleaning it again changes nothing.
    """
    text = text.translate(_INVISIBLE_SPACES)
    if text.isprintable():  # there is nothing else to clean
        return text.strip()
    kept = []
    for character in text:
        if character.isspace():
            kept.append(" ")
        elif character in _JOINERS or unicodedata.category(character) not in ("Cc", "Cf", "Cs"):
            kept.append(character)
    return "".join(kept).strip()


@lru_cache(maxsize=1 << 16)
def fold(text: str) -> str:
    """The form in which words are compared: NFKC and without case.

    Unlike `str.casefold`, which makes "Masse" of "Maße", it keeps ß (and makes it of a capital ẞ):
    in German and in its fingerspelled alphabet it is a letter of its own.
    """
    text = unicodedata.normalize("NFKC", text).replace("ẞ", "ß")
    text = "ß".join(piece.casefold() for piece in text.split("ß"))
    return unicodedata.normalize("NFKC", text)


def cut(text: str) -> list[Word]:
    """The words of a clean text: runs of letters and digits, numbers, single Chinese characters.

    Never part of a run: "yourself" is one word and has no "elf" in it.
    """
    text = unicodedata.normalize("NFKC", text)
    words: list[Word] = []
    end = 0
    for match in _WORD.finditer(text):
        near = bool(words) and _BETWEEN.match(text, end, match.start()) is not None
        gap = text[end : match.start()] if near else None
        words.append(Word(match.group(), fold(match.group()), gap))
        end = match.end()
    return words


def is_spaceless(word: str) -> bool:
    """Whether a word of `cut` is a character of a script that is written without spaces."""
    return _IS_SPACELESS.match(word) is not None


def join_words(words: Sequence[str]) -> str:
    """Words of `cut` as one text: with spaces, but between characters of Chinese and the like."""
    if len(words) == 1:
        return words[0]
    pieces: list[str] = []
    for word in words:
        if pieces and not (is_spaceless(word) or is_spaceless(pieces[-1])):
            pieces.append(" ")
        pieces.append(word)
    return "".join(pieces)
