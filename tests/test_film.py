"""Films of clips, for real but small."""

import av
import numpy as np
import pytest
import torch
from PIL import Image

from soke.body import BodyModel
from soke.visualization.clip_video import Look, film
from soke.visualization.clip_view import ClipToShow, System


@pytest.fixture(scope="module")
def body():
    return BodyModel()


def clip(frames=3, **changes):
    steps = torch.randn(frames, 133, generator=torch.Generator().manual_seed(0)) * 0.05
    motion = steps.cumsum(dim=0).numpy()
    system = System("generated", motion, (96, 152, 118), score="3.4 mm")
    return ClipToShow("a", "Grüße", "de", 25.0, (system,), note="a body", **changes)


def test_a_one_frame_clip(body, tmp_path):
    written = film(body, clip(1), tmp_path / "x.mp4", Look("face"))
    assert written == [tmp_path / "x.mp4", tmp_path / "x.png"]
    with av.open(str(written[0])) as container:
        assert sum(1 for _ in container.decode(video=0)) == 1


def test_gif_and_images_on_a_transparent_ground(body, tmp_path):
    look = Look("right_hand", background="transparent")
    film(body, clip(), tmp_path / "x.gif", look)
    film(body, clip(), tmp_path / "x-frames", look, tmp_path / "sheet.png")
    images = sorted((tmp_path / "x-frames").iterdir())
    assert len(images) == 3
    with Image.open(images[0]) as image:
        assert image.mode == "RGBA" and image.getextrema()[3] == (0, 255)
    with Image.open(tmp_path / "x.gif") as image:
        assert image.n_frames == 3
    with pytest.raises(ValueError, match="transparent"):
        film(body, clip(), tmp_path / "x.mp4", look)
    assert not (tmp_path / "x.mp4").exists()


def test_a_film_holds_few_frames_in_memory(body, tmp_path, monkeypatch):
    sizes = []

    def vertices(motion):
        sizes.append(len(motion))
        return BodyModel.vertices(body, motion)

    monkeypatch.setattr(body, "vertices", vertices)
    film(body, clip(70), tmp_path / "x.gif", Look("face"))
    assert max(sizes) <= 32 and sum(sizes) >= 140  # once for the cameras, once to draw


def test_the_recorded_video_stands_beside(body, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(np.full((20, 30, 3), (250, 0, 0), np.uint8)).save(folder / "1.png")
    film(body, clip(original=folder), tmp_path / "x-frames", Look("face"), tmp_path / "s.png")
    with Image.open(tmp_path / "x-frames" / "00000.png") as image:
        picture = np.asarray(image)
    red = (np.abs(picture.astype(int) - (250, 0, 0)) < 4).all(axis=2)
    assert red.sum() == 480 * 320 and not red[:, 488:].any()


def test_wrong_requests(body, tmp_path):
    with pytest.raises(ValueError, match=r"x\.avi should end in one of \.mp4, \.mov, \.gif, -fram"):
        film(body, clip(), tmp_path / "x.avi")
    with pytest.raises(ValueError, match="there is no view 'feet'; choose from"):
        Look("feet")
    assert list(tmp_path.iterdir()) == []
