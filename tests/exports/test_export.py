import numpy as np
import pytest

from soke.data.motion_files import read_motion
from soke.exports import EXPORTS, export


def test_an_unknown_kind_names_the_known_ones(tmp_path, body, motion):
    with pytest.raises(ValueError, match="no export 'fbx'; choose from glb, bvh, npz, pose, ply"):
        export("fbx", tmp_path / "x", motion, body, 25)


@pytest.mark.parametrize("kind", EXPORTS)
def test_motions_that_cannot_be_exported(kind, tmp_path, body, motion):
    broken = motion.copy()
    broken[3, 7] = np.nan
    for wrong, fps, message in (
        (broken, 25, r"frame 3 of the motion to export contains NaN .*\(1 of 9 frames do\)"),
        (motion[:0], 25, "needs at least one frame"),
        (motion[:, :100], 25, r"is .frames, 133., got shape .9, 100."),
        (motion[0], 25, r"got shape .133."),
        (motion, 0, "positive and finite, got 0"),
        (motion, float("nan"), "positive and finite, got nan"),
    ):
        with pytest.raises(ValueError, match=message):
            export(kind, tmp_path / "x", wrong, body, fps)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", EXPORTS)
def test_one_frame_is_exported_and_half_files_are_not(kind, tmp_path, body, motion, monkeypatch):
    (path,) = export(kind, tmp_path / "deep" / "a.b", motion[:1], body, 25)
    assert path == tmp_path / "deep" / f"a.b{EXPORTS[kind].suffix}" and path.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        export(kind, tmp_path / "file" / "x", motion, body, 25)

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space left"):
        export(kind, tmp_path / "new" / "x", motion[:1], body, 25)
    assert list((tmp_path / "new").iterdir()) == []


def test_frames_are_chosen_for_meshes_only(tmp_path, body, motion):
    with pytest.raises(ValueError, match=r"glb holds whole clips: .* for ply only"):
        export("glb", tmp_path / "x", motion, body, 25, frames=[1])


def test_parameters_keep_what_is_signed(tmp_path, body, motion):
    tokens = np.arange(6).reshape(2, 3)
    (path,) = export(
        "npz",
        tmp_path / "x.npz",
        motion,
        body,
        24,
        text="Grüße",
        language="de",
        tokens=tokens,
        keywords=["gruß"],
        missing=["x"],
    )
    assert path == tmp_path / "x.npz"
    back = read_motion(path)
    np.testing.assert_allclose(back.motion, motion, atol=1e-6)
    np.testing.assert_array_equal(back.tokens, tokens)
    assert (back.text, back.language, back.fps) == ("Grüße", "de", 24)
    assert back.keywords == ("gruß",) and back.missing == ("x",)

    (bare,) = export("npz", tmp_path / "bare", motion, body, 25)
    assert read_motion(bare).tokens.shape == (0, 0)
