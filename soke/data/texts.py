"""Texts as users give them: typed, read from a file, or misread by another tool."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from soke.files import require
from soke.retrieval.words import clean

#: The first bytes of a file in an encoding that is not UTF-8.
_FOREIGN_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_LINE_ENDS = re.compile(rb"\r\n|\n|\r")

#: The byte that a character stood for, if UTF-8 was read as Windows-1252 or Latin-1 (a mixture:
#: five bytes are nothing in Windows-1252).
_BYTES = {chr(byte): byte for byte in range(0x80, 0x100)} | {
    character: byte
    for byte in range(0x80, 0xA0)
    if (character := bytes([byte]).decode("cp1252", errors="ignore"))
}
#: Characters of the bytes that follow the first one of a UTF-8 character.
_NEXT = re.escape("".join(c for c, byte in _BYTES.items() if byte < 0xC0))
#: Misread UTF-8, as far as it can be told from correct text, in which an accented letter may well
#: stand before a closing quote ("CAFÉ”", "voilà\u00a0»").
_MOJIBAKE = re.compile(
    # Control characters are in no correct text (\x85 is a line end).
    rf"(?=.[{_NEXT}]{{0,2}}[\x80-\x84\x86-\x9f])"
    rf"(?:[Â-ß][{_NEXT}]|[à-ï][{_NEXT}]{{2}}|[ð-ô][{_NEXT}]{{3}})"
    # Accented letters. Words may end in Ã only where all is in capitals.
    rf"|Ã(?:[{_NEXT}](?=[^\W\d_])|(?<=[a-zß-ÿ]Ã)[{_NEXT}]|(?![‘’“”…»–—])[{_NEXT}])"
    "|Å“(?=[a-z])"
    # The letter  may be quoted itself.
    "|(?<![«„“‘\"'])Â[\u00a0-¿]"
    # Quotes, dashes, arrows, signs; two or more characters of three bytes (Chinese); emoji.
    rf"|â[€‚„†ˆ‰™œ][{_NEXT}]|(?:[â-ï][{_NEXT}]{{2}}){{2,}}|ð[{_NEXT}]{{3}}"
)


def mend_mojibake(text: str) -> str:
    """Repair UTF-8 that was read as Windows-1252 or Latin-1, such as "doesnâ€™t".

    Each damaged place is repaired by itself; what may be correct stays as it is.
    """
    return text if text.isascii() else _MOJIBAKE.sub(_decoded_again, text)


def _decoded_again(match: re.Match[str]) -> str:
    try:
        text = bytes(_BYTES[character] for character in match[0]).decode("utf-8")
    except UnicodeDecodeError:
        return match[0]
    return match[0] if any(unicodedata.category(c) in ("Cc", "Cn", "Co") for c in text) else text


def typed_text(text: str) -> str:
    """A typed text that can be signed: cleaned, letters with marks composed, single spaces.

    Raises ``ValueError`` for a text that is empty or has no letter and no digit (emoji or
    punctuation alone), and for one that is not valid Unicode.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the text {text[:40]!r} is not valid Unicode (character {error.start + 1}): give it "
            "in UTF-8"
        ) from None
    text = " ".join(unicodedata.normalize("NFC", clean(text)).split())
    if not text:
        raise ValueError("the text is empty: there is nothing to sign")
    if not any(character.isalnum() for character in text):
        raise ValueError(
            f"the text {text[:40]!r} has no letter and no digit: there is nothing to sign"
        )
    return text


def read_texts(path: str | Path) -> list[str]:
    """The sentences of a file, one per line, as `typed_text` returns them.

    UTF-8 with or without a byte order mark, any line ends. Blank lines and lines that begin with #
    are skipped. Raises `soke.files.MissingAssetError` if there is no such file, and ``ValueError``
    if there is no sentence; one that names the line for another encoding and for a line that cannot
    be signed.
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
            texts.append(typed_text(_decoded(line)))
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
