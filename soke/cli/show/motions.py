"""Token files and motion files to pictures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from soke.assemble.models import load_body, load_trained_tokenizer
from soke.assemble.run import Run
from soke.body import BodyModel
from soke.cli.show.output import Output
from soke.data.corpora import corpus_of_language
from soke.data.motion.hands import Hands
from soke.data.motion_files import FPS
from soke.data.poses import read_poses
from soke.data.token_files import read_tokens
from soke.files import require
from soke.parts import frames_to_features
from soke.visualization import TINTS
from soke.visualization.clip_video import SYSTEMS, note
from soke.visualization.clip_view import ClipToShow, System

log = logging.getLogger(__name__)


@torch.inference_mode()
def render_tokens(run: Run, path: Path, output: Output, language: str | None = None) -> list[Path]:
    """The motion of a token file ``.npy``, through the tokenizer of the configuration.

    Raises ``ValueError`` that names the file for tokens of other parts or codebooks.
    """
    parts = run.parts
    require(path, "The token file", "`python -m get_motion_code` writes such files")
    tokens = read_tokens(path, parts)
    tokenizer = load_trained_tokenizer(run).eval()
    body = load_body(run)
    [motion] = tokenizer.decode_to_motion([torch.from_numpy(tokens)])
    fps, language = _rate(run, language)
    clip = _clip(run, body, path, motion.numpy(), fps, language=language, tokens=tokens)
    return output.write_all(body, [(clip, output.folder / path.stem)], 1, path.stem)


def render_motion(
    run: Run,
    path: Path,
    output: Output,
    language: str | None = None,
    hands: str = "auto",
) -> list[Path]:
    """A motion file of any form, or a folder of frame files, see `soke.data.motion.reader`.

    ``hands`` is the convention of hand poses where the form leaves it open. Raises ``ValueError``
    that names file and key for anything else.
    """
    body = load_body(run)
    require(path, "The motion", "Name a .npz, .npy or .pkl file, or a folder of frames")
    motion = read_poses(path, Hands(hands, tuple(body.hand_mean.tolist())))
    log.info("%s: %s", path, motion.recognised)
    fps, language = _rate(run, language)
    if motion.fps is None:
        log.info("%s has no frame rate; it is shown at %g frames/s", path, fps)
    clip = _clip(
        run,
        body,
        path,
        frames_to_features(torch.from_numpy(motion.frames)).numpy(),
        motion.fps or fps,
        text=motion.text,
        language=motion.language or language,
        tokens=motion.tokens,
        keywords=motion.keywords,
        missing=motion.missing,
    )
    return output.write_all(body, [(clip, output.folder / path.stem)], 1, path.stem)


def _rate(run: Run, language: str | None) -> tuple[float, str]:
    """Frames a second of the language's data set, and the language."""
    if language is None:
        return FPS, ""
    corpus = corpus_of_language(language, list(run.corpora.values()))
    return corpus.fps, language


def _clip(
    run: Run,
    body: BodyModel,
    path: Path,
    motion: np.ndarray,
    fps: float,
    *,
    text: str = "",
    language: str = "",
    tokens: np.ndarray | None = None,
    keywords: Sequence[str] = (),
    missing: Sequence[str] = (),
) -> ClipToShow:
    parts = tuple(part.name for part in run.parts)
    if tokens is not None and (not tokens.size or tokens.shape[1] != len(parts)):
        tokens = None  # of another part table; the motion can be shown all the same
    system = System(SYSTEMS[1], motion, TINTS[1], tokens)
    about = note(keywords, missing, body)
    return ClipToShow(
        path.stem,
        text or path.name,
        language,
        fps,
        (system,),
        tuple(keywords),
        tuple(missing),
        about,
        parts,
    )
