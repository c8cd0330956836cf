"""Frames to files: H.264 video that plays everywhere, images, contact sheets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image

from soke.files import atomic_path
from soke.visualization.renderer import Frame

VIDEO_SUFFIXES = (".mp4", ".mov")


def write_video(path: str | Path, frames: Iterable[Frame], fps: float, crf: int = 18) -> int:
    """Write ``frames`` ``[H, W, 3]`` (uint8, all of one size) as H.264; returns their number.

    Frames are taken one at a time, so memory does not grow with the clip. Odd sizes are padded by
    repeating the last row or column, since the format wants even ones. The file takes its name
    only when it is complete: nothing is left behind if ``frames`` raises. Raises ``ValueError`` for
    a suffix other than those in `VIDEO_SUFFIXES`, no frames at all, or frames that do not fit.
    """
    path = Path(path)
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise ValueError(f"{path} should end in one of {', '.join(VIDEO_SUFFIXES)}")
    if not fps > 0:
        raise ValueError(f"a video needs more than {fps} frames a second")
    frames = iter(frames)
    first = _even(_checked(next(frames, None), path))
    with (
        atomic_path(path) as temporary,
        av.open(str(temporary), "w", options={"movflags": "+faststart"}) as container,
    ):
        stream = container.add_stream(
            "libx264", rate=Fraction(fps).limit_denominator(1001), options={"crf": str(crf)}
        )
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        # Say which colours these are, or players guess by the size of the picture.
        context = stream.codec_context
        context.colorspace = Colorspace.ITU709.value
        context.color_primaries = ColorPrimaries.BT709.value
        context.color_trc = ColorTrc.BT709.value
        context.color_range = ColorRange.MPEG.value
        count = 0
        for frame in chain([first], _rest(frames, first.shape, path)):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            picture.pts = count
            picture.time_base = 1 / stream.codec_context.framerate
            container.mux(stream.encode(picture))
            count += 1
        container.mux(stream.encode())
    return count


def write_image(path: str | Path, frame: Frame) -> None:
    """Write one frame ``[H, W, 3]`` (uint8); the suffix (.png, .jpg, ...) chooses the format."""
    frame = _checked(frame, Path(path))
    with atomic_path(path) as temporary:
        Image.fromarray(frame).save(temporary)


def contact_sheet(
    frames: Sequence[Frame], columns: int, *, gap: int = 6, ground: int = 255
) -> Frame:
    """Lay frames ``[H, W, 3]`` of any sizes out in rows of ``columns``, to judge a clip by.

    Returns one picture, uint8. Raises ``ValueError`` without frames or columns.
    """
    if len(frames) == 0 or columns < 1:
        raise ValueError(
            f"a contact sheet needs frames and columns, got {len(frames)} and {columns}"
        )
    columns = min(columns, len(frames))
    height = max(frame.shape[0] for frame in frames) + gap
    width = max(frame.shape[1] for frame in frames) + gap
    rows = -(-len(frames) // columns)
    sheet = np.full((rows * height + gap, columns * width + gap, 3), ground, np.uint8)
    for i, frame in enumerate(frames):
        top, left = gap + i // columns * height, gap + i % columns * width
        sheet[top : top + frame.shape[0], left : left + frame.shape[1]] = frame
    return sheet


def _rest(frames: Iterator[Frame], shape: tuple[int, ...], path: Path) -> Iterator[Frame]:
    for frame in frames:
        frame = _even(_checked(frame, path))
        if frame.shape != shape:
            raise ValueError(f"{path}: a frame of {frame.shape} follows frames of {shape}")
        yield frame


def _checked(frame: Frame | None, path: Path) -> Frame:
    if frame is None:
        raise ValueError(f"{path}: there are no frames to write")
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
        raise ValueError(
            f"{path}: frames are [H, W, 3] of uint8, got {frame.dtype} {list(frame.shape)}"
        )
    return frame


def _even(frame: Frame) -> Frame:
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
