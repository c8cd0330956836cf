"""Token files and motion files to pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig

from soke import build
from soke.body import BodyModel
from soke.data.corpora import corpus_of_language
from soke.data.motion_files import read_motion
from soke.data.poses import read_pose_file
from soke.data.tokens import read_tokens
from soke.files import require
from soke.film import SYSTEMS, note
from soke.parts import frames_to_features
from soke.pictures.output import Output
from soke.visualization import TINTS
from soke.visualization.show import ClipToShow, System

#: Frames a second of files that do not say.
FPS = 25.0


@torch.inference_mode()
def render_tokens(
    config: DictConfig, path: Path, output: Output, language: str | None = None
) -> list[Path]:
    """The motion of a token file ``.npy``, through the tokenizer of the configuration.

    Raises ``ValueError`` that names the file for tokens of other parts or codebooks.
    """
    parts = build.part_table(config)
    require(path, "The token file", "`python -m get_motion_code` writes such files")
    tokens = read_tokens(path, parts)
    tokenizer, body = build.trained_tokenizer(config).eval(), build.body_model(config)
    [motion] = tokenizer.decode_to_motion([torch.from_numpy(tokens)])
    fps, language = _rate(config, language)
    clip = _clip(config, body, path, motion.numpy(), fps, language=language, tokens=tokens)
    return output.write_all(body, [(clip, output.folder / path.stem)], 1, path.stem)


def render_motion(
    config: DictConfig, path: Path, output: Output, language: str | None = None
) -> list[Path]:
    """A motion file: ``.npz`` that vis_mesh wrote, or a clip as of a data set (.npz, .npy, .pkl).

    Raises ``ValueError`` that names file and key for anything else.
    """
    body = build.body_model(config)
    require(path, "The motion file", "Name a .npz, .npy or .pkl file")
    fps, language = _rate(config, language)
    if _is_own(path):
        signed = read_motion(path)
        clip = _clip(
            config, body, path, signed.motion, signed.fps, text=signed.text,
            language=signed.language, tokens=signed.tokens, keywords=signed.keywords,
            missing=signed.missing,
        )  # fmt: skip
    else:
        motion = frames_to_features(torch.from_numpy(read_pose_file(path))).numpy()
        clip = _clip(config, body, path, motion, fps, language=language)
    return output.write_all(body, [(clip, output.folder / path.stem)], 1, path.stem)


def _is_own(path: Path) -> bool:
    """Whether a file has the key that only exchanged motion has."""
    if path.suffix != ".npz":
        return False
    try:
        with np.load(path, allow_pickle=False) as file:
            return "pose_hand" in file
    except Exception:
        return False  # the reader of clips says what is wrong with it


def _rate(config: DictConfig, language: str | None) -> tuple[float, str]:
    """Frames a second of the language's data set, and the language."""
    if language is None:
        return FPS, ""
    corpus = corpus_of_language(language, list(build.corpora(config).values()))
    return corpus.fps, language


def _clip(
    config: DictConfig,
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
    parts = tuple(part.name for part in build.part_table(config))
    if tokens is not None and (not tokens.size or tokens.shape[1] != len(parts)):
        tokens = None  # of another part table; the motion can be shown all the same
    system = System(SYSTEMS[1], motion, TINTS[1], tokens)
    about = note(keywords, missing, body)
    return ClipToShow(
        path.stem, text or path.name, language, fps, (system,), tuple(keywords), tuple(missing),
        about, parts,
    )  # fmt: skip
