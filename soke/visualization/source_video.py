"""Show the video that a clip was recorded from beside the bodies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
from PIL import Image, UnidentifiedImageError

from soke.visualization.captions import text_strip
from soke.visualization.renderer import Frame

VIDEO_ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".avi")
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg")
_PAGE = (255, 255, 255)
_GAP = 8


def find_original(folder: str | Path, corpus: str, name: str) -> Path | None:
    """The video of a clip, or its folder of images, below ``folder`` or ``folder/corpus``."""
    for stem in (Path(folder) / corpus / name, Path(folder) / name):
        for ending in VIDEO_ENDINGS:
            if (path := stem.with_name(stem.name + ending)).is_file():
                return path
        if stem.is_dir() and _images(stem):
            return stem
    return None


def original_frames(path: Path, fps: float, count: int) -> Iterator[Frame]:
    """``count`` frames [H, W, 3] uint8 at ``fps``; a shorter video holds its last frame.

    ``path`` is a video or a folder of images, which are frames at that rate. Raises ``ValueError``
    that names a file that is not a video or image.
    """
    frames = _of_images(path, fps) if path.is_dir() else _of_video(path)
    shown = None
    time, waiting = next(frames, (0.0, None))
    if waiting is None:
        raise ValueError(f"{path} has no frames")
    for t in range(count):
        # The tolerance allows for rounded times in the container.
        while waiting is not None and (shown is None or time * fps <= t + 0.05):
            shown = waiting
            time, waiting = next(frames, (0.0, None))
        yield shown


def beside(
    frames: Iterable[Frame], originals: Iterator[Frame], width: int, title: str, font: str | None
) -> Iterator[Frame]:
    """Frames with a column of ``width`` pixels on the left that shows the original."""
    head = text_strip(title, width, max(width // 22, 10), padding=width // 44, font=font)
    for frame, original in zip(frames, originals):
        column = np.full((len(frame), width + _GAP, 3), _PAGE, np.uint8)
        column[: len(head), :width] = head[: len(frame)]
        scale = min(width / original.shape[1], (len(frame) - len(head)) / original.shape[0])
        size = [max(int(side * scale), 1) for side in (original.shape[1], original.shape[0])]
        small = np.asarray(Image.fromarray(original).resize(size, Image.Resampling.LANCZOS))
        left = (width - size[0]) // 2
        column[len(head) : len(head) + size[1], left : left + size[0]] = small
        if frame.shape[2] == 4:  # the page is transparent, this column is opaque
            column = np.dstack([column, np.full(column.shape[:2], 255, np.uint8)])
        yield np.concatenate([column, frame], axis=1)


def _of_video(path: Path) -> Iterator[tuple[float, Frame | None]]:
    """Pairs of a time in seconds since the first frame, and a picture."""
    try:
        with av.open(str(path)) as container:
            start = None
            for frame in container.decode(video=0):
                time = frame.time or 0.0
                start = time if start is None else start
                yield time - start, frame.to_ndarray(format="rgb24")
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f"{path} cannot be read as a video: {error}") from None


def _of_images(folder: Path, fps: float) -> Iterator[tuple[float, Frame | None]]:
    for t, path in enumerate(_images(folder)):
        try:
            with Image.open(path) as image:
                yield t / fps, np.asarray(image.convert("RGB"))
        except (UnidentifiedImageError, OSError) as error:
            raise ValueError(f"{path} cannot be read as an image: {error}") from None


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_ENDINGS)
