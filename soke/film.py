"""Motions to a video with its contact sheet."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from soke.body import BodyModel
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
#: A caption has room for fewer letters than that; what follows is not looked at.
CAPTION_LETTERS = 600
#: So many words are named below the caption, cut to so many letters; the rest is counted.
NOTED_WORDS, WORD_LETTERS = 12, 40


def note(keywords: Sequence[str], missing: Sequence[str], body: BodyModel) -> str:
    """The line below the caption: what was retrieved, what was not found, which body it is."""
    pieces = [
        f"{title}: {listed(words)}"
        for title, words in (("retrieved signs", keywords), ("not found", missing))
        if words
    ]
    return "  ·  ".join([*pieces, body.name])


def listed(words: Sequence[str]) -> str:
    """The first few words on one line."""
    named = [
        word if len(word) <= WORD_LETTERS else f"{word[:WORD_LETTERS]}..."
        for word in words[:NOTED_WORDS]
    ]
    rest = len(words) - len(named)
    return ", ".join(named) + (f" and {rest} more" if rest else "")


def film(
    body: BodyModel,
    motions: Mapping[str, np.ndarray],
    *,
    caption: str,
    note: str,
    fps: float,
    path: str | Path,
    font: str | None = None,
) -> Path:
    """Write a video of motions [T, 133], by their system's name, and a contact sheet beside it.

    Returns the path of the sheet, which is ``path`` with the suffix .png. Raises ``ValueError`` as
    `soke.visualization.render_clip` and `soke.visualization.write_video` do.
    """
    panels = [
        Panel(title, body.vertices(torch.as_tensor(motion)).numpy(), TINTS[SYSTEMS.index(title)])
        for title, motion in motions.items()
    ]
    frames = render_clip(
        panels,
        body.faces,
        body.regions,
        caption=caption[:CAPTION_LETTERS],
        note=note,
        fps=fps,
        font=font,
    )
    shown = range(0, max(len(motion) for motion in motions.values()), SHEET_STEP)
    kept: list[np.ndarray] = []
    write_video(path, _keeping(frames, shown, kept), fps)
    sheet = Path(path).with_suffix(".png")
    write_image(sheet, contact_sheet(kept, SHEET_COLUMNS))
    return sheet


def _keeping(
    frames: Iterable[np.ndarray], places: range, kept: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """Pass frames on, and keep those at ``places`` at half their size."""
    for t, frame in enumerate(frames):
        if t in places:
            height, width, _ = frame.shape  # both even
            blocks = frame.reshape(height // 2, 2, width // 2, 2, 3)
            kept.append(blocks.mean(axis=(1, 3)).astype(np.uint8))
        yield frame
