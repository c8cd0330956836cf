import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from soke.blender import FOLDER, BlenderError, BlenderRenderer, draw_meshes
from soke.body import BodyModel
from soke.exports import export
from soke.files import MissingAssetError
from soke.visualization import Camera, Lighting, Rasterizer, body_colors, cameras

WORKER = Path(__file__).with_name("stand_in_worker.py")
FACES = np.array([[0, 1, 2]])
CAMERA = Camera((0.0, 0.0, 0.0), 1.0, 24, 16)
TRIANGLE = np.eye(3, dtype=np.float32)
WHITE = np.ones((3, 3), np.float32)


def environment(folder, command):
    path = folder / "bin" / "python"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
    return folder


@pytest.fixture
def stand_in(tmp_path):
    """An environment without Blender, whose pictures are red above and clear below."""
    return environment(tmp_path / "environment", f'exec {sys.executable} {WORKER} "$@"')


@pytest.fixture(scope="module")
def body():
    return BodyModel()


def meshes(folder, body, count=3, fps=25, **options):
    motion = np.random.default_rng(0).normal(size=(count, 133)) * 0.1
    return export("ply", folder, motion, body, fps, text="Grüße", **options)[0]


def test_pictures_come_back_on_the_ground(stand_in):
    with BlenderRenderer(FACES, environment=stand_in) as renderer:
        assert renderer.version == "0.0"
        for height in (1, 2):
            frame = renderer.render(height * TRIANGLE[[1, 0, 2]], CAMERA, WHITE)
            assert frame.shape == (16, 24, 3) and frame.dtype == np.uint8
            assert (frame[:8] == [255, 0, 10 * height]).all()
            assert (frame[8:] == Lighting().ground).all()
        with pytest.raises(ValueError, match="one RGB per vertex"):
            renderer.render(TRIANGLE, CAMERA, WHITE[:2])
        with pytest.raises(ValueError, match=r"V >= 3, got .*another body"):
            renderer.render(TRIANGLE[:2], CAMERA, WHITE[:2])
    assert renderer._process.returncode == 0 and not renderer._folder.exists()


def test_without_a_ground_pictures_are_transparent(stand_in):
    lighting = Lighting(ground=None)
    with BlenderRenderer(FACES, environment=stand_in, lighting=lighting) as renderer:
        frame = renderer.render(TRIANGLE[[1, 0, 2]], CAMERA, WHITE)
    assert frame.shape == (16, 24, 4) and (frame[8:, :, 3] == 0).all()
    assert (frame[:8] == [255, 0, 10, 255]).all()


def test_what_blender_said_last_is_passed_on(stand_in, tmp_path):
    with (
        BlenderRenderer(FACES, environment=stand_in) as renderer,
        pytest.raises(BlenderError, match="Blender stopped:\nthe device ran out of memory"),
    ):
        renderer.render(100 * TRIANGLE[[1, 0, 2]], CAMERA, WHITE)
    broken = environment(
        tmp_path / "broken", "echo 'libGL.so.1: cannot open shared object file' >&2; exit 1"
    )
    with pytest.raises(BlenderError, match=r"(?s)libGL\.so\.1.*libgl1"):
        BlenderRenderer(FACES, environment=broken)
    with pytest.raises(ValueError, match="1 sample or more, not 0"):
        BlenderRenderer(FACES, environment=stand_in, samples=0)


def test_clips_become_a_video_side_by_side(stand_in, tmp_path, body):
    folders = [meshes(tmp_path / "a", body), meshes(tmp_path / "b", body, 5, title="ours")]
    (path,) = draw_meshes(folders, tmp_path / "out", environment=stand_in, panel_width=64)
    assert path == tmp_path / "out" / "a.mp4"
    with av.open(str(path)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 5 and frames[0].shape[1] == 2 * 64 + 8
    assert frames[0][:, :, 0].max() > 240 and frames[0][:, :, 1].min() < 20


def test_single_frames_become_pictures(stand_in, tmp_path, body):
    folder = meshes(tmp_path / "a", body, 4)
    shorter = meshes(tmp_path / "b", body, 2)
    written = draw_meshes(
        [folder, shorter], tmp_path / "out", frames=[3, 1], environment=stand_in, panel_width=64
    )
    assert [p.name for p in written] == ["a-00001.png", "a-00003.png"]
    for path in written:  # the second clip holds its last frame when it is over, paler
        picture = np.asarray(Image.open(path))
        for left in (0, 72):
            assert (np.ptp(picture[:, left : left + 64].reshape(-1, 3), axis=0) > 60).all()
    gaps = meshes(tmp_path / "c", body, 4, frames=[0, 2])
    names = [p.name for p in draw_meshes([gaps], tmp_path, environment=stand_in, panel_width=64)]
    assert names == ["c-00000.png", "c-00002.png"]
    one = meshes(tmp_path / "d", body, 1)
    assert draw_meshes([one], tmp_path, environment=stand_in, panel_width=64)[0].name == (
        "d-00000.png"
    )


def test_folders_that_do_not_fit(stand_in, tmp_path, body):
    folder = meshes(tmp_path / "a", body)
    with pytest.raises(MissingAssetError, match="--setup"):
        draw_meshes([folder], tmp_path, environment=tmp_path / "no")
    with pytest.raises(ValueError, match=r"b-ply has 30 frames per second, .*a-ply has 25"):
        draw_meshes([folder, meshes(tmp_path / "b", body, fps=30)], tmp_path, environment=stand_in)
    other = BodyModel()
    other.faces = other.faces[:, ::-1]
    with pytest.raises(ValueError, match=r"c-ply and .*a-ply have different bodies"):
        draw_meshes([folder, meshes(tmp_path / "c", other)], tmp_path, environment=stand_in)
    with pytest.raises(ValueError, match="no mesh of frame 3; there are 3, from 0 to 2"):
        draw_meshes([folder], tmp_path, environment=stand_in, frames=[3, 1])
    with pytest.raises(ValueError, match="no view 'feet'"):
        draw_meshes([folder], tmp_path, environment=stand_in, view="feet")


def test_the_verb_says_what_is_missing(tmp_path, body):
    root = Path(__file__).parents[2]
    for arguments, message in (
        ([], "name folders of meshes, or --setup"),
        ([meshes(tmp_path / "a", body), "--environment", tmp_path / "no"], "--setup` makes it"),
    ):
        done = subprocess.run(
            [sys.executable, root / "vis_blender.py", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=root,
            check=False,
        )
        assert done.returncode == 1 and message in done.stderr
        assert "Traceback" not in done.stderr


BLENDER = Path(os.environ.get("SOKE_BLENDER", FOLDER))


@pytest.mark.slow
@pytest.mark.skipif(
    not (BLENDER / "bin" / "python").exists(),
    reason="Blender's environment is not there: python vis_blender.py --setup",
)
@pytest.mark.parametrize("view", ["upper_body", "right_hand"])
def test_blender_sees_what_the_rasterizer_sees(body, view):
    motion = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 133)) * 0.15)
    vertices = body.vertices(motion).numpy()
    colors = body_colors(len(vertices[0]), body.regions, (92, 122, 168), body.faces)
    path = cameras(view, [vertices], body.regions, 320, 240)[0]
    ground = np.array(Lighting().ground, int)
    with BlenderRenderer(body.faces, environment=BLENDER, samples=8) as renderer:
        pairs = [
            [r.render(vertices[t], path[t], colors).astype(int) for t in range(2)]
            for r in (renderer, Rasterizer(body.faces))
        ]
    for drawn, expected in zip(*pairs):
        inside, there = (np.abs(f - ground).max(axis=2) > 25 for f in (drawn, expected))
        assert (inside & there).sum() > 0.95 * (inside | there).sum() > 1000
        both = inside & there
        assert np.abs(drawn[both].mean(axis=0) - expected[both].mean(axis=0)).max() < 30
    assert np.abs(pairs[0][0] - pairs[0][1]).mean() > 3
    clear = Lighting(ground=None)
    with BlenderRenderer(body.faces, environment=BLENDER, samples=4, lighting=clear) as renderer:
        covered = renderer.render(vertices[0], path[0], colors)[..., 3] / 255
    assert covered[0, 0] == 0 and covered.max() == 1
    if path[0].fade is None:  # what fades is partly clear
        seen = np.abs(pairs[1][0] - ground).max(axis=2) > 25
        assert covered.sum() == pytest.approx(seen.sum(), rel=0.05)
