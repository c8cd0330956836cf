import numpy as np
import pytest
import smplx
import torch

from soke.body import SIGNER_BETAS, STAND_IN, BodyModel
from soke.data.motion_files import SignedText, read_motion, write_motion
from soke.files import MissingAssetError


@pytest.fixture(scope="module")
def body():
    return BodyModel()


@pytest.fixture(scope="module")
def signed():
    draw = np.random.default_rng(0)
    return SignedText(
        text="schöne Grüße, 今天",
        language="de",
        tokens=draw.integers(0, 8, (3, 3)),
        motion=draw.normal(size=(12, 133)).astype(np.float32) * 0.3,
        keywords=("schön", "g-r-ü-ß-e"),
        missing=("今天",),
        fps=25.0,
    )


@pytest.fixture
def written(tmp_path, body, signed):
    path = tmp_path / "deep" / "signed.npz"
    write_motion(path, signed, np.array(SIGNER_BETAS), body.hand_mean.numpy(), body.name)
    return path


def test_a_file_is_read_back(written, signed):
    back = read_motion(written)
    np.testing.assert_allclose(back.motion, signed.motion, atol=1e-6)
    np.testing.assert_array_equal(back.tokens, signed.tokens)
    for key in ("text", "language", "keywords", "missing", "fps"):
        assert getattr(back, key) == getattr(signed, key)


def test_the_smplx_library_poses_the_same_body_from_the_file(written, body, signed):
    with np.load(written, allow_pickle=False) as file:
        values = {key: file[key] for key in file.files}
    assert values["gender"] == "neutral" and values["mocap_frame_rate"] == 25
    tensors = {key: torch.from_numpy(v) for key, v in values.items() if v.dtype == np.float32}
    # As files of this layout are read elsewhere: hand rotations with nothing added to them.
    model = smplx.SMPLX(
        str(STAND_IN),
        use_pca=False,
        flat_hand_mean=True,
        num_betas=10,
        num_expression_coeffs=10,
        batch_size=12,
    )
    with torch.no_grad():
        posed = model(
            betas=tensors["betas"].expand(12, -1),
            transl=tensors["trans"],
            global_orient=tensors["root_orient"],
            body_pose=tensors["pose_body"],
            jaw_pose=tensors["pose_jaw"],
            leye_pose=tensors["pose_eye"][:, :3],
            reye_pose=tensors["pose_eye"][:, 3:],
            left_hand_pose=tensors["pose_hand"][:, :45],
            right_hand_pose=tensors["pose_hand"][:, 45:],
            expression=tensors["expression"],
            return_full_pose=True,
        )
    ours = body.vertices(torch.from_numpy(signed.motion))
    torch.testing.assert_close(posed.vertices, ours, atol=2e-6, rtol=0)
    torch.testing.assert_close(posed.full_pose, tensors["poses"])


def test_a_clip_without_keywords_that_is_read_back(tmp_path, body, signed):
    path = tmp_path / "x.npz"
    bare = SignedText("a", "en", np.zeros((0, 3), np.int64), np.zeros((1, 133)), (), (), 24)
    write_motion(path, bare, np.array(SIGNER_BETAS), body.hand_mean.numpy(), body.name)
    back = read_motion(path)
    assert back.keywords == back.missing == () and back.motion.shape == (1, 133)


def test_files_that_are_no_such_files(tmp_path, written, signed):
    with pytest.raises(MissingAssetError, match="motion file"):
        read_motion(tmp_path / "no.npz")
    with pytest.raises(ValueError, match=r"end in \.npz"):
        write_motion(tmp_path / "x.npy", signed, np.zeros(10), np.zeros(90), "")

    (tmp_path / "cut.npz").write_bytes(written.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"cut\.npz cannot be read"):
        read_motion(tmp_path / "cut.npz")

    with np.load(written) as file:
        content = {key: file[key] for key in file.files}
    changes = {
        "SOKE motion.*'pose_hand' is missing": {"pose_hand": None, "poses": None},
        "one number of frames above 0, found .*'pose_jaw': 11": {
            "pose_jaw": content["pose_jaw"][:11]
        },
        "'expression' holds nan": {"expression": content["expression"] + np.nan},
        "'pose_body' has shape .12, 62.": {"pose_body": content["pose_body"][:, :62]},
        "'pose_body' has shape ..,": {"pose_body": np.float32(3)},
    }
    for message, change in changes.items():
        wrong = {k: v for k, v in {**content, **change}.items() if v is not None}
        np.savez(tmp_path / "wrong.npz", **wrong)
        with pytest.raises(ValueError, match=message):
            read_motion(tmp_path / "wrong.npz")


def test_a_failed_write_leaves_the_old_file_and_no_half(written, signed, body, monkeypatch):
    before = written.read_bytes()

    def broken(path, **_):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", broken)
    with pytest.raises(OSError, match="disk full"):
        write_motion(written, signed, np.zeros(10), np.zeros(90), body.name)
    assert written.read_bytes() == before
    assert [path.name for path in written.parent.iterdir()] == [written.name]
