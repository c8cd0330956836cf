"""What `python -m vis_mesh` does. Like `soke.build` this belongs to the verbs."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig

from soke import build
from soke.body import BodyModel
from soke.data.corpora import corpus_of_language
from soke.data.predictions import read_predictions
from soke.structures import TokenSample
from soke.tasks import results_folder
from soke.training.checkpoints import choose_checkpoint
from soke.visualization import (
    TINTS,
    Panel,
    contact_sheet,
    render_clip,
    write_image,
    write_video,
)

log = logging.getLogger(__name__)

#: What a panel can show; its place decides the colour, wherever it is shown.
SYSTEMS = ("reference", "generated")
#: The contact sheet beside a video shows every so many frames, in so many columns.
SHEET_STEP, SHEET_COLUMNS = 10, 6


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
    for prediction in predictions:
        motions = {"reference": prediction.reference, "generated": prediction.generated}
        name = f"{prediction.name.replace('/', '_')}.mp4"
        path = (folder or output_folder(config)) / corpus / name
        note = _note(prediction.keywords, body)
        _render(config, body, motions, prediction.text, note, config.CORPORA[corpus].fps, path)
        written.append(path)
    return written


def render_text(
    config: DictConfig, text: str, language: str | None, folder: Path | None = None
) -> Path:
    """Generate and render a text."""
    corpora = build.corpora(config)
    if not text.strip():
        raise ValueError("--text is empty")
    if language is None:
        raise ValueError(
            f"name the text's language with --lang: {[c.language for c in corpora.values()]}"
        )
    corpus = corpus_of_language(language, list(corpora.values()))
    checkpoint = choose_checkpoint(config.TEST.CHECKPOINTS, build.run_directory(config))
    prompts = build.prompt_builder(config)
    device = build.device(config)
    module = build.generator_module(config, prompts, checkpoint).eval().to(device)
    batch = prompts([TokenSample("text", corpus.name, text)])
    motion = module.generate_motion(batch.to(device))[0].cpu().numpy()
    body = build.body_model(config)
    path = (folder or output_folder(config)) / "text" / f"{_file_name(text)}-{language}.mp4"
    note = _note(batch.keywords[0], body)
    _render(config, body, {"generated": motion}, text, note, corpus.fps, path)
    return path


def _file_name(text: str) -> str:
    return re.sub(r"[^\w-]+", "_", text).strip("_")[:40] or "text"


def _note(keywords: Sequence[str], body: BodyModel) -> str:
    retrieved = f"retrieved signs: {', '.join(keywords)}  ·  " if keywords else ""
    return f"{retrieved}{body.name}"


def _render(
    config: DictConfig,
    body: BodyModel,
    motions: dict[str, object],
    caption: str,
    note: str,
    fps: float,
    path: Path,
) -> None:
    panels = [
        Panel(title, body.vertices(torch.as_tensor(motion)).numpy(), TINTS[SYSTEMS.index(title)])
        for title, motion in motions.items()
    ]
    frames = render_clip(
        panels, body.faces, body.regions, caption=caption, note=note, fps=fps,
        font=config.RENDER.FONT,
    )  # fmt: skip
    shown = range(0, max(len(motion) for motion in motions.values()), SHEET_STEP)
    kept: list[np.ndarray] = []
    write_video(path, _noting(frames, shown, kept), fps)
    sheet = path.with_suffix(".png")
    write_image(sheet, contact_sheet(kept, SHEET_COLUMNS))
    log.info("wrote %s and %s", path, sheet)


def _noting(
    frames: Iterable[np.ndarray], places: range, kept: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """Pass frames on, and keep those at ``places`` at half their size."""
    for t, frame in enumerate(frames):
        if t in places:
            height, width, _ = frame.shape  # both even
            blocks = frame.reshape(height // 2, 2, width // 2, 2, 3)
            kept.append(blocks.mean(axis=(1, 3)).astype(np.uint8))
        yield frame
