"""Texts as users give them: cleaned, checked, read from a file."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from soke.files import require

#: What the first bytes of a file say about an encoding that is not UTF-8.
_FOREIGN_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_LINE_ENDS = re.compile(rb"\r\n|\n|\r")
#: Characters that part words and are not spaces to Python: zero width space, invisible separator,
#: braille blank and the two Hangul fillers. Joiners and soft hyphens lie within a word.
_INVISIBLE_SPACES = str.maketrans(dict.fromkeys("\u200b\u2063\u2800\u3164\uffa0", " "))


def plain_spaces(text: str) -> str:
    """A text whose invisible separators of words are spaces."""
    return text.translate(_INVISIBLE_SPACES)


def clean_text(text: str) -> str:
    """A text that can be signed.

    Letters with marks are composed (NFC), control characters and `plain_spaces` become blanks, runs
    of blanks one blank. Raises ``ValueError`` for a text that is empty or has no letter and no digit (emoji or
    punctuation alone), and for one that is not valid Unicode.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the text {text[:40]!r} is not valid Unicode (character {error.start + 1}): give it "
            "in UTF-8"
        ) from None
    text = "".join(" " if unicodedata.category(c) == "Cc" else c for c in plain_spaces(text))
    text = " ".join(unicodedata.normalize("NFC", text).replace("\ufeff", "").split())
    if not text:
        raise ValueError("the text is empty: there is nothing to sign")
    if not any(character.isalnum() for character in text):
        raise ValueError(
            f"the text {text[:40]!r} has no letter and no digit: there is nothing to sign"
        )
    return text


def read_texts(path: str | Path) -> list[str]:
    """The sentences of a file, one a line, cleaned by `clean_text`.

    UTF-8 with or without a byte order mark, any line ends. Blank lines and lines that begin with #
    are skipped. Raises `soke.files.MissingAssetError` where there is no such file, and
    ``ValueError`` that names the line for another encoding and for a line that cannot be signed,
    and when there is no sentence.
    """
    path = require(path, "The file of texts", "Name a text file with one sentence a line")
    if not path.is_file():
        raise ValueError(f"{path} is not a file: name a text file with one sentence a line")
    content = path.read_bytes()
    mark = _FOREIGN_MARKS.get(content[:2])
    if mark is not None:
        raise ValueError(f"{path} is written in {mark}: save it as UTF-8")
    texts = []
    for number, line in enumerate(_LINE_ENDS.split(content.removeprefix(b"\xef\xbb\xbf")), start=1):
        if not line.strip() or line.lstrip().startswith(b"#"):
            continue
        try:
            texts.append(clean_text(_decoded(line)))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
    if not texts:
        raise ValueError(
            f"{path} holds no sentence; blank lines and lines that begin with # do not count"
        )
    return texts


def _decoded(line: bytes) -> str:
    # Latin letters of UTF-16 without a mark are valid UTF-8 with zeros between them.
    if b"\x00" in line:
        raise ValueError("it holds zero bytes, as UTF-16 has them: save the file as UTF-8")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"byte {error.start + 1} ({line[error.start]:#04x}) is not UTF-8: save the file as "
            "UTF-8"
        ) from None
