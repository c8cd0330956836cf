"""Text in pictures, in a font that has the needed characters, such as umlauts or Chinese."""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

logger = logging.getLogger(__name__)

Color = tuple[int, int, int]
INK: Color = (38, 42, 52)

#: Font folders of Linux, macOS and Windows. Missing ones are skipped.
FONT_FOLDERS: tuple[Path, ...] = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share") / "fonts",
    Path("~/.fonts"),
    Path("/System/Library/Fonts"),
    Path("/Library/Fonts"),
    Path("~/Library/Fonts"),
    Path(os.environ.get("WINDIR") or "C:/Windows") / "Fonts",
    Path(os.environ.get("LOCALAPPDATA") or "~/AppData/Local") / "Microsoft/Windows/Fonts",
)
#: Preferred fonts as lower-case file names, best first. Later ones cover more characters.
PREFERRED_FONTS: tuple[str, ...] = (
    "notosans-regular.ttf",
    "dejavusans.ttf",
    "segoeui.ttf",
    "arial.ttf",
    "helveticaneue.ttc",
    "liberationsans-regular.ttf",
    "notosanscjk-regular.ttc",
    "notosanscjksc-regular.otf",
    "sourcehansanscn-regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "droidsansfallbackfull.ttf",
    "pingfang.ttc",
    "hiragino sans gb.ttc",
    "stheiti light.ttc",
    "msyh.ttc",
    "simhei.ttf",
    "simsun.ttc",
    "arial unicode.ttf",
    "arialuni.ttf",
)
_FONT_SUFFIXES = {".ttf", ".ttc", ".otf"}
_NOT_FOR_TEXT = re.compile(
    r"bold|italic|oblique|mono|emoji|symbol|serif|math|icon|lastresort", re.I
)
_UNASSIGNED = "\uffff"  # not a character, so every font draws its "missing" box


@lru_cache(maxsize=1)
def _installed_fonts() -> dict[str, Path]:
    """Font files by lower-case file name."""
    found: dict[str, Path] = {}
    for folder in FONT_FOLDERS:
        try:
            for path in sorted(folder.expanduser().rglob("*")):
                if path.suffix.lower() in _FONT_SUFFIXES:
                    found.setdefault(path.name.lower(), path)
        except (OSError, RuntimeError):  # an unreadable folder, or a user without a home
            continue
    return found


def _named_font(name: str | Path) -> Path:
    path = Path(name).expanduser()
    if path.is_file():
        return path
    installed = _installed_fonts()
    for key in (path.name.lower(), *(path.name.lower() + suffix for suffix in _FONT_SUFFIXES)):
        if key in installed:
            return installed[key]
    raise ValueError(
        f"there is no font {str(name)!r}: name a .ttf, .ttc or .otf file, by its path or by its "
        "file name in one of the system's font folders"
    )


def _candidates(named: str | Path | None) -> Iterator[Path]:
    if named is not None:
        yield _named_font(named)
    installed = _installed_fonts()
    preferred = [installed[name] for name in PREFERRED_FONTS if name in installed]
    yield from preferred
    for name, path in installed.items():
        if path not in preferred and not _NOT_FOR_TEXT.search(name):
            yield path


@lru_cache(maxsize=64)
def _load(path: Path | None, size: int) -> ImageFont.FreeTypeFont | None:
    """The font in a file, or Pillow's default for None; None if the file is not a usable font."""
    if path is None:
        return ImageFont.load_default(size)
    try:
        return ImageFont.truetype(str(path), size)
    except OSError as error:
        logger.debug("%s is not a usable font: %s", path, error)
        return None


@lru_cache(maxsize=4096)
def _has(path: Path | None, character: str) -> bool:
    font = _load(path, 24)
    if font is None:
        return False
    image = font.getmask(character)
    missing = font.getmask(_UNASSIGNED)
    return image.size != missing.size or bytes(image) != bytes(missing)


def missing_letters(text: str, path: Path | None) -> str:
    """Characters of ``text`` that the font lacks, each once, without blanks and controls."""
    visible = sorted({c for c in text if unicodedata.category(c)[0] not in "ZC"})
    return "".join(c for c in visible if not _has(path, c))


def find_font(text: str, size: int, font: str | Path | None = None) -> ImageFont.FreeTypeFont:
    """The first font that has every letter of ``text``, ``size`` pixels tall.

    ``font`` (a path, or a file name in a system font folder) is tried first. If no font has every
    letter, a warning names the missing ones and the font that lacks the fewest is returned. On a
    machine without fonts that is Pillow's default, which has only English letters. Raises
    ``ValueError`` if ``font`` does not exist or is not a font.
    """
    if font is not None and _load(_named_font(font), size) is None:
        raise ValueError(f"{str(font)!r} is not a font that FreeType can read")
    return _load(_choose(text, None if font is None else str(font)), size)


@lru_cache(maxsize=256)
def _choose(text: str, named: str | None) -> Path | None:
    best = None
    fewest = missing_letters(text, None)
    for path in _candidates(named):
        if _load(path, 24) is None:
            continue
        missing = missing_letters(text, path)
        if not missing:
            return path
        if best is None or len(missing) < len(fewest):
            best = path
            fewest = missing
    if fewest:
        logger.warning(
            "no font has the letters %s of %r, so they appear as boxes; install one that does "
            "(Debian, Ubuntu: apt install fonts-wqy-microhei) or name a font file",
            fewest,
            text,
        )
    return best


_NO_BLANKS = r"\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"  # scripts without blanks
#: Pieces between which a line may break: a letter of such a script with the punctuation that
#: follows it, a run of blanks, or a word.
_PIECES = re.compile(rf"[{_NO_BLANKS}][、。，；：？！」』）》]*|\s+|[^\s{_NO_BLANKS}]+")


def wrap(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break ``text`` into lines of at most ``width`` pixels; longer words are cut."""
    lines = []
    line = ""
    for piece in _PIECES.findall(" ".join(text.split())):
        if font.getlength((line + piece).rstrip()) <= width:
            line += piece
            continue
        if line.strip():
            lines.append(line.strip())
        line = ""
        for letter in piece.lstrip():
            if line and font.getlength(line + letter) > width:
                lines.append(line)
                line = ""
            line += letter
    return [*lines, line.strip()] if line.strip() or not lines else lines


def text_strip(
    text: str,
    width: int,
    size: int,
    *,
    color: Color = INK,
    ground: Color | None = (255, 255, 255),
    padding: int = 12,
    max_lines: int = 4,
    font: str | Path | None = None,
) -> np.ndarray:
    """Draw ``text`` centred on a strip ``[H, width, 3]`` uint8 that is as tall as needed.

    ``ground`` is the background colour; without one the strip is transparent: ``[H, width, 4]``.
    ``size`` is the font size in pixels. Text longer than ``max_lines`` lines ends in an ellipsis.
    Raises ``ValueError`` as `find_font` does.
    """
    chosen = find_font(text, size, font)
    lines = wrap(text, chosen, max(width - 2 * padding, 1))
    if len(lines) > max_lines:
        lines = lines[:max_lines]
        while lines[-1] and chosen.getlength(lines[-1] + "...") > width - 2 * padding:
            lines[-1] = lines[-1][:-1]
        lines[-1] += "..."
    pitch = round(1.35 * size)
    extent = width, pitch * len(lines) + 2 * padding
    # A transparent strip has letters in its alpha channel only, so that edges keep their colour.
    image = Image.new("L", extent) if ground is None else Image.new("RGB", extent, ground)
    pen = ImageDraw.Draw(image)
    for i, line in enumerate(lines):
        middle = padding + pitch * i + pitch / 2
        fill = 255 if ground is None else color
        pen.text((width / 2, middle), line, font=chosen, fill=fill, anchor="mm")
    if ground is not None:
        return np.asarray(image).copy()
    strip = np.empty((*image.size[::-1], 4), np.uint8)
    strip[..., :3] = color
    strip[..., 3] = np.asarray(image)
    return strip
