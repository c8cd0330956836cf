"""What `python -m vis_mesh` does with clips and texts.

Like `soke.build` this belongs to the verbs.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.progress import track

from soke import build
from soke.api import Signer, build_signer
from soke.data.corpora import corpus_of_language
from soke.data.motion_files import SignedText
from soke.data.predictions import read_predictions
from soke.data.texts import clean_text
from soke.data.tokens import write_tokens
from soke.film import SYSTEMS, film, listed, note
from soke.tasks import results_folder

__all__ = ["SYSTEMS", "output_folder", "render_test_clips", "render_texts"]

log = logging.getLogger(__name__)

#: What is written for a text: tokens, SMPL-X parameters, video, contact sheet.
ENDINGS = (".npy", ".npz", ".mp4", ".png")


def output_folder(config: DictConfig) -> Path:
    """Where pictures go if no other folder is named."""
    return Path(config.OUTPUT.VISUALIZE) / config.NAME


def render_test_clips(
    config: DictConfig, corpus: str, names: Sequence[str] | None, folder: Path | None = None
) -> list[Path]:
    """Reference and generated clip side by side, from the saved predictions of a test run."""
    if corpus not in config.CORPORA:
        raise ValueError(f"--demo_dataset is {corpus!r}; choose one of {list(config.CORPORA)}")
    predictions = read_predictions(results_folder(config), corpus)
    if names:
        known = {prediction.name: prediction for prediction in predictions}
        missing = [name for name in names if name not in known]
        if missing:
            raise ValueError(f"no predictions of {missing}; there are {sorted(known)}")
        predictions = [known[name] for name in names]
    else:
        predictions = predictions[: config.RENDER.CLIPS]
    body, written = build.body_model(config), []
    for prediction in track(predictions, "rendering"):
        name = f"{prediction.name.replace('/', '_')}.mp4"
        path = (folder or output_folder(config)) / corpus / name
        sheet = film(
            body,
            {"reference": prediction.reference, "generated": prediction.generated},
            caption=prediction.text,
            note=note(prediction.keywords, prediction.missing, body),
            fps=config.CORPORA[corpus].fps,
            path=path,
            font=config.RENDER.FONT,
        )
        log.info("wrote %s and %s", path, sheet)
        written.append(path)
    return written


def render_texts(
    config: DictConfig, texts: Sequence[str], language: str | None, folder: Path | None = None
) -> list[Path]:
    """Generate texts and write tokens, SMPL-X parameters and a video of each, below ``text/``.

    Files are named after the text and its language; where a name is taken, a number is added.
    """
    corpora = build.corpora(config)
    if language is None:
        raise ValueError(
            f"name the text's language with --lang: {[c.language for c in corpora.values()]}"
        )
    corpus_of_language(language, list(corpora.values()))
    texts = [clean_text(text) for text in texts]  # before the models are loaded
    signer = build_signer(config)
    folder = (folder or output_folder(config)) / "text"
    signed_texts = signer.each(texts, language)
    return [
        _write(signer, signed, folder)
        for signed in track(signed_texts, "signing", total=len(texts))
    ]


def _write(signer: Signer, signed: SignedText, folder: Path) -> Path:
    """All files of a text. Returns the path of the video."""
    stem = _free_stem(folder, f"{_file_name(signed.text)}-{signed.language}")
    tokens, parameters, video, sheet = (folder / f"{stem}{ending}" for ending in ENDINGS)
    log.info(
        "%r: retrieved %s; not found %s",
        signed.text[:80], listed(signed.keywords) or "nothing", listed(signed.missing) or "nothing",
    )  # fmt: skip
    write_tokens(tokens, signed.tokens)
    signer.save(signed, parameters)
    signer.render(signed, video)
    log.info("wrote %s (tokens), %s (SMPL-X parameters), %s, %s", tokens, parameters, video, sheet)
    return video


def _free_stem(folder: Path, stem: str) -> str:
    """``stem``, or ``stem-2``, ``stem-3``, ...: the first of which there is no file."""
    number, free = 1, stem
    while any((folder / f"{free}{ending}").exists() for ending in ENDINGS):
        number += 1
        free = f"{stem}-{number}"
    return free


def _file_name(text: str) -> str:
    """A file name that every file system takes: letters and digits, at most 40."""
    name = re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", text))
    return name[:40].strip("_-") or "text"
