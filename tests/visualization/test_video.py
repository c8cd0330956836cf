import errno
import os
import resource
import weakref
from contextlib import contextmanager

import av
import numpy as np
import pytest
from PIL import Image

from soke.visualization import (
    NotWrittenError,
    contact_sheet,
    write_frames,
    write_gif,
    write_image,
    write_video,
)

WRITERS = {
    "clip.mp4": lambda path, frames: write_video(path, frames, 25),
    "clip.gif": lambda path, frames: write_gif(path, frames, 25),
    "frames": write_frames,
}
writers = pytest.mark.parametrize("name", WRITERS)


def gradients(count, height=64, width=96):
    ys, xs = np.mgrid[:height, :width]
    for i in range(count):
        red = np.full_like(ys, 30 + 150 * i // max(count, 1))
        frame = np.stack([red, 255 * xs / width, 255 * ys / height], -1)
        yield frame.astype(np.uint8)


def read(path):
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        stream = container.streams.video[0]
        return frames, stream.average_rate, stream.codec_context


def test_a_video_decodes_to_the_same_frames(tmp_path):
    path = tmp_path / "deep" / "clip.mp4"
    assert write_video(path, gradients(50), 25) == 50
    frames, rate, codec = read(path)
    assert len(frames) == 50 and rate == 25
    assert codec.name == "h264" and codec.pix_fmt == "yuv420p"
    for got, wanted in zip(frames, gradients(50)):
        assert np.abs(got.astype(int) - wanted).mean() < 2.5
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "a browser can start before it has it all"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("fps", [24, 30, 29.97, 12.5])
def test_the_rate_is_kept(tmp_path, fps):
    write_video(tmp_path / "clip.mp4", gradients(10), fps)
    assert float(read(tmp_path / "clip.mp4")[1]) == pytest.approx(fps, rel=1e-3)


def test_one_frame_and_odd_sizes(tmp_path):
    write_video(tmp_path / "odd.mp4", gradients(1, 33, 51), 25)
    frames, _, _ = read(tmp_path / "odd.mp4")
    assert [frame.shape for frame in frames] == [(34, 52, 3)]
    wanted = next(gradients(1, 33, 51))
    assert np.abs(frames[0][:33, :51].astype(int) - wanted).mean() < 4


def gif_frames(path, mode="RGB"):
    with Image.open(path) as image:
        frames = []
        times = []
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.asarray(image.convert(mode)))
            times.append(image.info["duration"])
        return frames, times, image.info.get("loop")


@pytest.mark.parametrize("fps", [25, 24, 12.5, 30])
def test_a_gif_shows_the_same_frames_in_the_same_time(tmp_path, fps):
    path = tmp_path / "deep" / "clip.gif"
    assert write_gif(path, gradients(30, 33, 51), fps) == 30
    frames, times, loop = gif_frames(path)
    assert len(frames) == 30 and loop == 0, "0 is for ever"
    assert sum(times) == pytest.approx(1000 * 30 / fps, abs=10)
    for got, wanted in zip(frames, gradients(30, 33, 51)):
        assert got.shape == wanted.shape, "odd sizes stay as they are"
        assert np.abs(got.astype(int) - wanted).mean() < 5
    assert list(path.parent.iterdir()) == [path]


def transparent(count):
    for i, frame in enumerate(gradients(count)):
        share = np.where(np.arange(96) < 30 + i, 40, 220).astype(np.uint8)
        yield np.concatenate([frame, np.broadcast_to(share[None, :, None], (64, 96, 1))], axis=-1)


def test_what_is_transparent_stays_so_or_is_refused(tmp_path):
    assert write_gif(tmp_path / "clip.gif", transparent(6), 25) == 6
    frames, _, _ = gif_frames(tmp_path / "clip.gif", "RGBA")
    for i, frame in enumerate(frames):
        np.testing.assert_array_equal(frame[..., 3] > 0, np.tile(np.arange(96) >= 30 + i, (64, 1)))
    assert write_frames(tmp_path / "frames", transparent(2)) == 2
    wanted = list(transparent(2))
    with Image.open(tmp_path / "frames" / "00001.png") as image:
        np.testing.assert_array_equal(np.asarray(image), wanted[1])
    with pytest.raises(ValueError, match="cannot be transparent"):
        write_video(tmp_path / "clip.mp4", transparent(2), 25)
    with pytest.raises(ValueError, match="cannot be transparent"):
        write_image(tmp_path / "clip.jpg", wanted[0])
    assert not (tmp_path / "clip.mp4").exists() and not (tmp_path / "clip.jpg").exists()
    sheet = contact_sheet([wanted[0], wanted[1][..., :3]], 2, gap=4)
    assert sheet[0, 0, 3] == 0 and sheet[10, 10, 3] == 40 and sheet[10, 110, 3] == 255


def test_frames_are_numbered_files_and_replace_those_of_an_earlier_run(tmp_path):
    folder = tmp_path / "deep" / "frames"
    for count in (7, 3):
        assert write_frames(folder, gradients(count, 33, 51)) == count
        assert sorted(path.name for path in folder.iterdir()) == [
            f"{i:05d}.png" for i in range(count)
        ]
        for path, wanted in zip(sorted(folder.iterdir()), gradients(count, 33, 51)):
            with Image.open(path) as image:
                np.testing.assert_array_equal(np.asarray(image), wanted)
    assert list(folder.parent.iterdir()) == [folder]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(NotWrittenError, match=r"notes\.txt"):
        write_frames(folder, gradients(2))
    assert len(list(folder.iterdir())) == 4


@writers
def test_a_clip_of_one_frame(tmp_path, name):
    assert WRITERS[name](tmp_path / name, gradients(1)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


@writers
def test_frames_are_taken_one_at_a_time_and_let_go(tmp_path, name):
    drawn = []
    most = 0

    def frames():
        nonlocal most
        for frame in gradients(40):
            drawn.append(weakref.ref(frame))
            yield frame
            del frame
            most = max(most, sum(ref() is not None for ref in drawn))

    source = frames()
    next(source)
    assert len(drawn) == 1
    assert WRITERS[name](tmp_path / name, source) == 39
    assert most <= 5, "memory would grow with the clip"


@writers
def test_nothing_is_left_behind_when_drawing_fails(tmp_path, name):
    def failing():
        yield from gradients(5)
        raise OSError("out of ideas")

    with pytest.raises(OSError, match="out of ideas"):
        WRITERS[name](tmp_path / name, failing())
    assert list(tmp_path.iterdir()) == []


def noise(count):
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)


@contextmanager
def small_files(size):
    """Let the system refuse to write files of more bytes than that."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@writers
@pytest.mark.parametrize("count", [1, 60])
def test_a_write_that_the_system_refuses_is_said_and_leaves_nothing(tmp_path, name, count):
    path = tmp_path / name
    frames = list(noise(count))
    WRITERS[name](path, frames[:1])
    before = path.stat().st_mtime_ns
    with small_files(2000), pytest.raises(NotWrittenError) as caught:
        WRITERS[name](path, frames)
    assert str(path) in str(caught.value) and "File too large" in str(caught.value)
    assert list(tmp_path.iterdir()) == [path] and path.stat().st_mtime_ns == before


@writers
@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "No space left on device.*Free some space"), (errno.EACCES, "may write to")],
)
def test_a_full_disk_and_missing_permission_are_said(tmp_path, name, monkeypatch, number, said):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("PIL.Image.Image.save", refuse)
    monkeypatch.setattr("soke.visualization.video.av.open", refuse)
    with pytest.raises(NotWrittenError, match=said):
        WRITERS[name](tmp_path / name, gradients(3))
    with pytest.raises(NotWrittenError, match=said):
        write_image(tmp_path / "one.png", next(gradients(1)))
    assert list(tmp_path.iterdir()) == []


@writers
def test_a_folder_that_cannot_be_is_said(tmp_path, name):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(NotWrittenError, match=r"file.*could not be written"):
        WRITERS[name](tmp_path / "file" / name, gradients(2))
    assert (tmp_path / "file").read_text() == "not a folder"


@writers
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_said(tmp_path, name):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(NotWrittenError, match="may write to"):
            WRITERS[name](tmp_path / name, gradients(2))
    finally:
        tmp_path.chmod(0o700)


def test_a_name_that_is_taken_by_the_other_kind_is_said(tmp_path):
    (tmp_path / "clip.mp4").mkdir()
    (tmp_path / "frames").write_text("a file")
    with pytest.raises(NotWrittenError, match="is a folder"):
        write_video(tmp_path / "clip.mp4", gradients(2), 25)
    with pytest.raises(NotWrittenError, match="is not a frame"):
        write_frames(tmp_path / "frames", gradients(2))


def test_wrong_input_is_named(tmp_path):
    path = tmp_path / "clip.mp4"
    with pytest.raises(ValueError, match="no frames"):
        write_video(path, [], 25)
    with pytest.raises(ValueError, match=r"\.mp4"):
        write_video(tmp_path / "clip.xyz", gradients(1), 25)
    with pytest.raises(ValueError, match="frames per second"):
        write_video(path, gradients(1), 0)
    with pytest.raises(ValueError, match="uint8"):
        write_video(path, [np.zeros((4, 4, 3))], 25)
    with pytest.raises(ValueError, match="follows"):
        write_video(path, [*gradients(1), *gradients(1, 32, 32)], 25)
    for write in (
        write_frames,
        lambda path, frames: write_gif(path.with_suffix(".gif"), frames, 9),
    ):
        with pytest.raises(ValueError, match="no frames"):
            write(tmp_path / "clip", [])
        with pytest.raises(ValueError, match="follows"):
            write(tmp_path / "clip", [*gradients(1), *gradients(1, 32, 32)])
    with pytest.raises(ValueError, match=r"\.gif"):
        write_gif(path, gradients(1), 25)
    with pytest.raises(ValueError, match="at most 50"):
        write_gif(tmp_path / "clip.gif", gradients(1), 60)
    assert list(tmp_path.iterdir()) == []


def test_images_and_contact_sheets(tmp_path):
    frames = list(gradients(5))
    sheet = contact_sheet(frames, 2, gap=4)
    assert sheet.shape == (3 * 68 + 4, 2 * 100 + 4, 3)
    np.testing.assert_array_equal(sheet[4 + 68 : 68 + 68, 104 : 104 + 96], frames[3])
    write_image(tmp_path / "sheet.png", sheet)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "sheet.png")), sheet)
    with pytest.raises(ValueError, match="contact sheet"):
        contact_sheet([], 2)
