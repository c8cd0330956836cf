"""Texts of one's own: generated, and written as tokens, SMPL-X parameters and pictures."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from soke.assemble.run import Run
from soke.cli.show.output import Output
from soke.data.corpora import corpus_of_language
from soke.data.motion_files import SignedText
from soke.data.token_files import write_tokens
from soke.signer import Signer, build_signer
from soke.visualization.clip_video import listed
from soke.visualization.clip_view import ClipToShow

log = logging.getLogger(__name__)

#: What is always written for a text: tokens and SMPL-X parameters.
ENDINGS = (".npy", ".npz")


def render_texts(
    run: Run, texts: Sequence[str], language: str | None, output: Output
) -> list[Path]:
    """Generate texts and write tokens, SMPL-X parameters and pictures of each, below ``text/``.

    ``texts`` are as `soke.data.texts.typed_text` returns them.
    Files are named after the text and its language; where a name is taken, a number is added.
    Returns the files.
    """
    corpora = run.corpora
    if language is None:
        raise ValueError(
            f"name the text's language with --lang: {[c.language for c in corpora.values()]}"
        )
    corpus_of_language(language, list(corpora.values()))
    signer = build_signer(run)
    folder = output.folder / "text"
    written: list[Path] = []

    def clips() -> Iterator[tuple[ClipToShow, Path]]:
        for signed in signer.each(texts, language):
            stem = _free_stem(folder, f"{_file_name(signed.text)}-{signed.language}", output)
            written.extend(_write(signer, signed, stem))
            yield signer.clip(signed), stem

    page = _free_stem(output.folder, "text", output, (".html",)).name
    return written + output.write_all(signer.body, clips(), len(texts), page)


def _write(signer: Signer, signed: SignedText, stem: Path) -> list[Path]:
    """Tokens and parameters of a text."""
    tokens, parameters = (stem.with_name(f"{stem.name}{ending}") for ending in ENDINGS)
    log.info(
        "%r: retrieved %s; not found %s",
        signed.text[:80],
        listed(signed.keywords) or "nothing",
        listed(signed.missing) or "nothing",
    )
    write_tokens(tokens, signed.tokens)
    signer.save(signed, parameters)
    log.info("wrote %s (tokens)", tokens)
    log.info("wrote %s (SMPL-X parameters)", parameters)
    return [tokens, parameters]


def _free_stem(
    folder: Path, stem: str, output: Output, endings: Sequence[str] | None = None
) -> Path:
    """``stem``, or ``stem-2``, ``stem-3``, ...: the first of which there is no file."""
    endings = (*ENDINGS, *output.endings()) if endings is None else endings
    number = 1
    free = stem
    while any((folder / f"{free}{ending}").exists() for ending in endings):
        number += 1
        free = f"{stem}-{number}"
    return folder / free


def _file_name(text: str) -> str:
    """A file name that every file system takes: letters and digits, at most 40."""
    name = re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", text))
    return name[:40].strip("_-") or "text"
