"""Write frames as H.264 video, GIF, images or contact sheets.

Writers take frames one at a time, so memory does not grow with the clip. A file or folder gets its
name only when it is complete: nothing is left behind if drawing or writing fails. A full disk or a
folder without write permission raises `NotWrittenError`, a ``ValueError``.
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
from soke.visualization.write_errors import clear_errors, new_file, new_folder

VIDEO_SUFFIXES = (".mp4", ".mov")
FASTEST_GIF = 50  # frames per second: browsers slow down faster ones


def write_video(path: str | Path, frames: Iterable[Frame], fps: float, crf: int = 18) -> int:
    """Write ``frames`` ``[H, W, 3]`` (uint8, all of one size) as H.264; returns their number.

    Odd sizes are padded by repeating the last row or column, since the format needs even ones.
    A smaller ``crf`` means higher quality. Raises ``ValueError`` for a suffix that is not in
    `VIDEO_SUFFIXES`, for no frames, frames of differing size or with transparency, and a file that
    cannot be written.
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
        # Declare the colour space, or players guess it from the picture's size.
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
            with clear_errors(path):
                container.mux(stream.encode(picture))
            count += 1
        with clear_errors(path):
            container.mux(stream.encode())
            container.close()
    return count


def write_gif(path: str | Path, frames: Iterable[Frame], fps: float) -> int:
    """Write ``frames`` ``[H, W, 3 or 4]`` (uint8, all of one size) as a GIF; returns their number.

    It loops forever. Each frame has its own palette of 256 colours. The format has no partial
    transparency: pixels that are covered less than half become transparent. Times are rounded to
    0.01 s without accumulating errors. Raises ``ValueError`` for another suffix, more than
    `FASTEST_GIF` frames per second, no frames, frames of differing size, and a file that cannot be
    written.
    """
    path = Path(path)
    rate = _checked_rate(path, fps, (".gif",))
    if fps > FASTEST_GIF:
        raise ValueError(f"{path}: a GIF shows at most {FASTEST_GIF} frames per second, not {fps}")
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
                with clear_errors(path):
                    container.mux(stream.encode(drawn))
            count += 1
        graph.push(None)
        with clear_errors(path):
            for drawn in _pulled(graph):
                container.mux(stream.encode(drawn))
            container.mux(stream.encode())
            container.close()
    return count


def write_image(path: str | Path, frame: Frame) -> None:
    """Write one frame ``[H, W, 3 or 4]`` (uint8); the suffix (.png, .jpg) selects the format.

    Raises ``ValueError`` for an array of another shape or type, a transparent JPEG, and a file that
    cannot be written.
    """
    path = Path(path)
    image = Image.fromarray(_checked(frame, path))
    if image.mode == "RGBA" and path.suffix.lower() in (".jpg", ".jpeg"):
        raise ValueError(f"{path}: a JPEG cannot be transparent; write .png")
    with new_file(path) as temporary, clear_errors(path):
        image.save(temporary)


def write_frames(folder: str | Path, frames: Iterable[Frame]) -> int:
    """Write ``frames`` ``[H, W, 3 or 4]`` (uint8, all of one size) as PNG files 00000.png, ...

    Returns their number. The folder appears when it is complete; frames of an earlier run are
    replaced. Raises ``ValueError`` for no frames, frames of differing size, a folder that holds
    anything else, and one that cannot be written.
    """
    folder = Path(folder)
    with new_folder(folder) as temporary:
        count = 0
        for frame in _alike(frames, folder):
            with clear_errors(folder):
                Image.fromarray(frame).save(temporary / f"{count:05d}.png")
            count += 1
    return count


def contact_sheet(
    frames: Sequence[Frame], columns: int, *, gap: int = 6, ground: int = 255
) -> Frame:
    """Arrange frames ``[H, W, 3 or 4]`` of any sizes in rows of ``columns``, as an overview.

    ``gap`` is in pixels, ``ground`` the grey level of the background. Returns one uint8 picture,
    transparent if any frame is. Raises ``ValueError`` without frames or columns.
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
        raise ValueError(f"{path}: {fps} is not a valid number of frames per second")
    return Fraction(fps).limit_denominator(1001)


def _open(stack: ExitStack, path: Path, **options: Any) -> av.container.OutputContainer:
    """A container on a temporary file, which is renamed if the stack ends without an error."""
    temporary = stack.enter_context(new_file(path))
    with clear_errors(path):
        container = av.open(str(temporary), "w", **options)
    stack.callback(_close, container)
    return container


def _close(container: av.container.OutputContainer) -> None:
    """Close a container after an error, without a second error that would hide the first."""
    with suppress(OSError):
        container.close()


def _palettes(width: int, height: int, kind: str, rate: Fraction) -> av.filter.Graph:
    """A filter graph that computes a palette of 256 colours per frame and applies it."""
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
    """The frames that a graph has ready."""
    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _alike(frames: Iterable[Frame], path: Path) -> Iterator[Frame]:
    """The frames, checked: at least one, all of one size."""
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
