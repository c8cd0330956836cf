import av
import numpy as np
import pytest
from PIL import Image

from soke.visualization import contact_sheet, write_image, write_video


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


def test_pictures_are_taken_one_at_a_time(tmp_path):
    alive = []

    def frames():
        for i, frame in enumerate(gradients(5)):
            alive.append(i)
            yield frame

    source = frames()
    next(source)
    assert alive == [0]
    assert write_video(tmp_path / "clip.mp4", source, 25) == 4


def test_nothing_is_left_behind_when_drawing_fails(tmp_path):
    def failing():
        yield from gradients(5)
        raise RuntimeError("out of ideas")

    with pytest.raises(RuntimeError, match="out of ideas"):
        write_video(tmp_path / "clip.mp4", failing(), 25)
    assert list(tmp_path.iterdir()) == []


def test_wrong_input_is_named(tmp_path):
    path = tmp_path / "clip.mp4"
    with pytest.raises(ValueError, match="no frames"):
        write_video(path, [], 25)
    with pytest.raises(ValueError, match=r"\.mp4"):
        write_video(tmp_path / "clip.xyz", gradients(1), 25)
    with pytest.raises(ValueError, match="frames a second"):
        write_video(path, gradients(1), 0)
    with pytest.raises(ValueError, match="uint8"):
        write_video(path, [np.zeros((4, 4, 3))], 25)
    with pytest.raises(ValueError, match="follows"):
        write_video(path, [*gradients(1), *gradients(1, 32, 32)], 25)
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
