"""Frames to files: H.264 video that plays everywhere, GIF, images, contact sheets.

Writers take frames one at a time, so memory does not grow with the clip, and a file or folder takes
its name only when it is complete: nothing is left behind if drawing or writing fails. Where the
disk is full or a folder may not be written to, `NotWrittenError` (a ``ValueError``) says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image

from soke.visualization.background import put
from soke.visualization.renderer import Frame
from soke.visualization.write_errors import new_file, new_folder, saying

VIDEO_SUFFIXES = (".mp4", ".mov")
FASTEST_GIF = 50  # frames a second: browsers slow down what is faster


def write_video(path: str | Path, frames: Iterable[Frame], fps: float, crf: int = 18) -> int:
    """Write ``frames`` ``[H, W, 3]`` (uint8, all of one size) as H.264; returns their number.

    Odd sizes are padded by repeating the last row or column, since the format wants even ones.
    Raises ``ValueError`` for a suffix other than those in `VIDEO_SUFFIXES`, no frames at all,
    frames that do not fit or are transparent, and a file that cannot be written.
    """
    path = Path(path)
    rate = _checked_rate(path, fps, VIDEO_SUFFIXES)
    frames = _alike(frames, path)
    first = next(frames)
    if first.shape[2] == 4:
        raise ValueError(
            f"{path}: a video cannot be transparent; choose a colour as background, or write GIF "
            "or PNG frames"
        )
    with ExitStack() as stack:
        container = _open(stack, path, options={"movflags": "+faststart"})
        stream = container.add_stream("libx264", rate=rate, options={"crf": str(crf)})
        stream.height, stream.width = (size + size % 2 for size in first.shape[:2])
        stream.pix_fmt = "yuv420p"
        # Say which colours these are, or players guess by the size of the picture.
        context = stream.codec_context
        context.colorspace = Colorspace.ITU709.value
        context.color_primaries = ColorPrimaries.BT709.value
        context.color_trc = ColorTrc.BT709.value
        context.color_range = ColorRange.MPEG.value
        count = 0
        for frame in chain([first], frames):
            picture = av.VideoFrame.from_ndarray(_even(frame), format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            picture.pts = count
            picture.time_base = 1 / rate
            with saying(path):
                container.mux(stream.encode(picture))
            count += 1
        with saying(path):
            container.mux(stream.encode())
            container.close()
    return count


def write_gif(path: str | Path, frames: Iterable[Frame], fps: float) -> int:
    """Write ``frames`` ``[H, W, 3 or 4]`` (uint8, all of one size) as a GIF; returns their number.

    It repeats for ever. Each frame has 256 colours of its own; what is covered less than half is
    transparent, as the format knows no shades of that. Times are rounded to 0.01 s without adding
    up. Raises ``ValueError`` for another suffix, more than `FASTEST_GIF` frames a second, no frames
    at all, frames that do not fit, and a file that cannot be written.
    """
    path = Path(path)
    rate = _checked_rate(path, fps, (".gif",))
    if fps > FASTEST_GIF:
        raise ValueError(f"{path}: a GIF shows at most {FASTEST_GIF} frames a second, not {fps}")
    frames = _alike(frames, path)
    first = next(frames)
    height, width, channels = first.shape
    kind = "rgba" if channels == 4 else "rgb24"
    with ExitStack() as stack:
        container = _open(stack, path, format="gif")
        stream = container.add_stream("gif", rate=rate)
        stream.height = height
        stream.width = width
        stream.pix_fmt = "pal8"
        graph = _palettes(width, height, kind, rate)
        count = 0
        for frame in chain([first], frames):
            picture = av.VideoFrame.from_ndarray(frame, format=kind)
            picture.pts = count
            picture.time_base = 1 / rate
            graph.push(picture)
            for drawn in _pulled(graph):
                with saying(path):
                    container.mux(stream.encode(drawn))
            count += 1
        graph.push(None)
        with saying(path):
            for drawn in _pulled(graph):
                container.mux(stream.encode(drawn))
            container.mux(stream.encode())
            container.close()
    return count


def write_image(path: str | Path, frame: Frame) -> None:
    """Write one frame ``[H, W, 3 or 4]`` (uint8); the suffix (.png, .jpg) chooses the format.

    Raises ``ValueError`` for another array, a format that cannot hold it, and a file that cannot
    be written.
    """
    path = Path(path)
    image = Image.fromarray(_checked(frame, path))
    if image.mode == "RGBA" and path.suffix.lower() in (".jpg", ".jpeg"):
        raise ValueError(f"{path}: a JPEG cannot be transparent; write .png")
    with new_file(path) as temporary, saying(path):
        image.save(temporary)


def write_frames(folder: str | Path, frames: Iterable[Frame]) -> int:
    """Write ``frames`` ``[H, W, 3 or 4]`` (uint8, all of one size) as PNG files 00000.png, ...

    Returns their number. The folder is there when it is complete; frames of an earlier run are
    replaced. Raises ``ValueError`` for no frames at all, frames that do not fit, a folder that
    holds anything else, and one that cannot be written.
    """
    folder = Path(folder)
    with new_folder(folder) as temporary:
        count = 0
        for frame in _alike(frames, folder):
            with saying(folder):
                Image.fromarray(frame).save(temporary / f"{count:05d}.png")
            count += 1
    return count


def contact_sheet(
    frames: Sequence[Frame], columns: int, *, gap: int = 6, ground: int = 255
) -> Frame:
    """Lay frames ``[H, W, 3 or 4]`` of any sizes out in rows of ``columns``, to judge a clip by.

    Returns one picture, uint8, transparent if a frame is. Raises ``ValueError`` without frames or
    columns.
    """
    if len(frames) == 0 or columns < 1:
        raise ValueError(
            f"a contact sheet needs frames and columns, got {len(frames)} and {columns}"
        )
    columns = min(columns, len(frames))
    height = max(frame.shape[0] for frame in frames) + gap
    width = max(frame.shape[1] for frame in frames) + gap
    rows = -(-len(frames) // columns)
    channels = max(frame.shape[2] for frame in frames)
    sheet = np.full((rows * height + gap, columns * width + gap, channels), ground, np.uint8)
    sheet[..., 3:] = 0
    for i, frame in enumerate(frames):
        top = gap + i // columns * height
        left = gap + i % columns * width
        put(sheet, frame, top, left)
    return sheet


def _checked_rate(path: Path, fps: float, suffixes: tuple[str, ...]) -> Fraction:
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{path} should end in {' or '.join(suffixes)}")
    if not 0 < fps < np.inf:
        raise ValueError(f"{path}: {fps} frames a second cannot be shown")
    return Fraction(fps).limit_denominator(1001)


def _open(stack: ExitStack, path: Path, **options: Any) -> av.container.OutputContainer:
    """A container that is written to a temporary file until the stack ends without an error."""
    temporary = stack.enter_context(new_file(path))
    with saying(path):
        container = av.open(str(temporary), "w", **options)
    stack.callback(_close, container)
    return container


def _close(container: av.container.OutputContainer) -> None:
    """Close what an error has left open: a second error would hide the first one."""
    with suppress(OSError):
        container.close()


def _palettes(width: int, height: int, kind: str, rate: Fraction) -> av.filter.Graph:
    """A graph of filters that finds 256 colours for each frame and draws it in them."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=kind, time_base=1 / rate)
    both = graph.add("split")
    colors = graph.add("palettegen", f"stats_mode=single:reserve_transparent={int(kind == 'rgba')}")
    drawn = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=5:alpha_threshold=128")
    source.link_to(both)
    both.link_to(drawn, 0, 0)
    both.link_to(colors, 1, 0)
    colors.link_to(drawn, 0, 1)
    drawn.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _pulled(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    """Frames that a graph has ready."""
    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _alike(frames: Iterable[Frame], path: Path) -> Iterator[Frame]:
    """The frames, at least one, each checked; all are of one size."""
    shape = None
    for frame in frames:
        frame = _checked(frame, path)
        if frame.shape != (shape or frame.shape):
            raise ValueError(f"{path}: a frame of {frame.shape} follows frames of {shape}")
        shape = frame.shape
        yield frame
    if shape is None:
        raise ValueError(f"{path}: there are no frames to write")


def _checked(frame: Frame, path: Path) -> Frame:
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] not in (3, 4) or not frame.size:
        raise ValueError(
            f"{path}: frames are [H, W, 3] or [H, W, 4] of uint8, got {frame.dtype} "
            f"{list(frame.shape)}"
        )
    return np.ascontiguousarray(frame)


def _even(frame: Frame) -> Frame:
    height, width = frame.shape[:2]
    if height % 2 == width % 2 == 0:
        return frame
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
