"""Write a clip as a video with a contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from soke.body import BodyModel
from soke.visualization import (
    Panel,
    contact_sheet,
    render_clip,
    write_frames,
    write_gif,
    write_image,
    write_video,
)
from soke.visualization.clip_view import ClipToShow
from soke.visualization.lazy_frames import LazyClip
from soke.visualization.source_video import beside, original_frames

#: What a panel can show. The position in this list decides the colour.
SYSTEMS = ("reference", "generated")
#: The contact sheet shows every tenth frame, or fewer of a long clip, in this many columns.
SHEET_STEP = 10
SHEET_FRAMES = 60
SHEET_COLUMNS = 6
#: A view, and the close-ups below it.
VIEWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "upper_body": ("upper_body", ("right_hand",)),
    "combined": ("combined", ()),
    "both_hands": ("upper_body", ("right_hand", "left_hand")),
    "whole_body": ("whole_body", ()),
    "face": ("face", ()),
    "right_hand": ("right_hand", ()),
    "left_hand": ("left_hand", ()),
}
#: Endings of the output path; "frames" is a folder of images.
FORMATS = {"mp4": ".mp4", "gif": ".gif", "frames": "-frames"}
SHEET = ".png"  # suffix of the contact sheet
_WRITERS: dict[str, Callable[[Path, Iterable[np.ndarray], float], object]] = {
    ".mp4": write_video,
    ".mov": write_video,
    ".gif": write_gif,
}
#: Width in pixels of the column for the original video.
ORIGINAL_WIDTH = 480
#: Longer texts are cut before layout; a caption has room for fewer letters.
CAPTION_LETTERS = 600
#: At most this many words, each cut to this many letters, are listed below the caption.
NOTED_WORDS = 12
WORD_LETTERS = 40


@dataclass(frozen=True)
class Look:
    """How videos look.

    ``view`` is a key of `VIEWS`, ``font`` a font file for captions; for ``background`` see
    `soke.visualization.render_clip`.
    """

    view: str = "upper_body"
    font: str | None = None
    background: str | tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise ValueError(f"there is no view {self.view!r}; choose from {list(VIEWS)}")


LOOK = Look()


def note(keywords: Sequence[str], missing: Sequence[str], body: BodyModel) -> str:
    """The line below the caption: retrieved signs, words not found, and the body's name."""
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
    clip: ClipToShow,
    path: str | Path,
    look: Look = LOOK,
    sheet: str | Path | None = None,
) -> list[Path]:
    """Write a video of a clip's bodies side by side, and a contact sheet.

    ``path`` ends in .mp4, .mov or .gif, or in -frames for a folder of images. ``sheet`` is by
    default beside it, with the suffix .png. Returns both paths. Raises ``ValueError`` for other
    endings, and as `soke.visualization.render_clip` and the writers do; then neither file is left
    behind.
    """
    path = Path(path)
    sheet = path.with_suffix(SHEET) if sheet is None else Path(sheet)
    frames = _drawn(body, clip, look)
    length = max(len(system.motion) for system in clip.systems)
    shown = range(0, length, max(SHEET_STEP, -(-length // SHEET_FRAMES)))
    kept: list[np.ndarray] = []
    if path.name.endswith(FORMATS["frames"]):
        write = _write_images
    elif path.suffix.lower() in _WRITERS:
        write = _WRITERS[path.suffix.lower()]
    else:
        endings = [*_WRITERS, FORMATS["frames"]]
        raise ValueError(f"{path} should end in one of {', '.join(endings)}")
    write(path, _keeping(frames, shown, kept), clip.fps)
    write_image(sheet, contact_sheet(kept, SHEET_COLUMNS))
    return [path, sheet]


def _write_images(folder: Path, frames: Iterable[np.ndarray], _: float) -> None:
    write_frames(folder, frames)


def _drawn(body: BodyModel, clip: ClipToShow, look: Look) -> Iterator[np.ndarray]:
    panels = [
        Panel(
            "  ·  ".join(filter(None, (system.title, system.score))),
            _posed(body, system.motion),
            system.tint,
        )
        for system in clip.systems
    ]
    view, close_ups = VIEWS[look.view]
    frames = render_clip(
        panels,
        body.faces,
        body.regions,
        caption=clip.text[:CAPTION_LETTERS],
        note=clip.note,
        view=view,
        close_ups=close_ups,
        fps=clip.fps,
        font=look.font,
        background=look.background,
    )
    if clip.original is None:
        return frames
    count = max(len(system.motion) for system in clip.systems)
    originals = original_frames(clip.original, clip.fps, count)
    return beside(frames, originals, ORIGINAL_WIDTH, "video", look.font)


def _posed(body: BodyModel, motion: np.ndarray) -> LazyClip:
    """Vertices [T, V, 3] of a motion [T, 133], posed when drawn: memory does not grow with T."""

    def pose(rows: slice) -> np.ndarray:
        return body.vertices(torch.as_tensor(motion[rows])).numpy()

    return LazyClip(len(motion), pose)


def _keeping(
    frames: Iterable[np.ndarray], places: range, kept: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """Yield all frames, and append those at ``places`` to ``kept`` at half their size."""
    for t, frame in enumerate(frames):
        if t in places:
            height, width, channels = frame.shape  # height and width are even
            blocks = frame.reshape(height // 2, 2, width // 2, 2, channels)
            kept.append(blocks.mean(axis=(1, 3)).astype(np.uint8))
        yield frame
