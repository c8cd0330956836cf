"""Predictions that are scored without the models that made them."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from soke.body import STAND_IN
from soke.data.listing.annotations import Clip
from soke.data.motion.hands import Hands
from soke.data.predictions import Prediction, prediction_path, write_prediction
from soke.evaluation.saved import SavedPredictions
from soke.files import MissingAssetError
from soke.parts import features_to_frames


def motion(seed, frames=9):
    return np.random.default_rng(seed).normal(size=(frames, 133)).astype(np.float32)


def write(folder, name, corpus="csl", **changes):
    fields = {
        "name": name,
        "corpus": corpus,
        "text": f"text of {name}",
        "keywords": ("a", "b"),
        "tokens": np.arange(6).reshape(2, 3),
        "generated": motion(1),
        "reference": motion(2),
        "missing": ("c",),
        "reference_tokens": np.arange(9).reshape(3, 3),
    }
    prediction = Prediction(**{**fields, **changes})
    write_prediction(prediction_path(folder, corpus, name), prediction)


def release(folder, name, rank=0, **changes):
    path = folder / f"test_rank_{rank}" / f"{name}.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"feats_rst": motion(1), "feats_ref": motion(2), "text": "你好"} | changes
    path.write_bytes(pickle.dumps(content))
    return path


def test_our_own_files(tmp_path):
    write(tmp_path, "b/2")
    write(tmp_path, "a", corpus="phoenix")
    saved = SavedPredictions(tmp_path, ["csl", "phoenix"])
    assert [(r.corpus, r.name, r.text) for r in saved.references] == [
        ("csl", "b/2", "text of b/2"),
        ("phoenix", "a", "text of a"),
    ]
    [signing] = saved.system().sign([1])
    assert signing.motion.numpy().tobytes() == motion(1).tobytes()
    assert signing.keywords == ("a", "b") and signing.retrieval.missing == ("c",)
    assert signing.tokens.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert saved.motions([0])[0].numpy().tobytes() == motion(2).tobytes()
    assert saved.tokens()([0], [])[0].shape == (3, 3)


def test_the_references_beside_them(tmp_path):
    write(tmp_path, "a")
    [signing] = SavedPredictions(tmp_path, ["csl"]).truth().sign([0])
    assert signing.motion.numpy().tobytes() == motion(2).tobytes()
    assert signing.tokens.tolist() == np.arange(9).reshape(3, 3).tolist()


def test_the_checksum_is_of_what_is_in_the_files(tmp_path):
    for folder in ("one", "two"):
        write(tmp_path / folder, "a")
    one, two = (SavedPredictions(tmp_path / folder, ["csl"]).code for folder in ("one", "two"))
    assert one == two
    write(tmp_path / "two", "a", text="another")
    assert SavedPredictions(tmp_path / "two", ["csl"]).code != one


def test_files_without_reference_tokens_compare_no_tokens(tmp_path):
    write(tmp_path, "a", reference_tokens=None)
    saved = SavedPredictions(tmp_path, ["csl"])
    assert saved.tokens() is None and saved.system().sign([0])[0].tokens is None


@pytest.mark.parametrize("shape", ["plain", "frames", "batch"])
def test_pickles_of_the_release(tmp_path, shape):
    generated = motion(1)
    if shape == "frames":
        generated = features_to_frames(torch.from_numpy(generated), torch.zeros(10)).numpy()
    if shape == "batch":
        generated = generated[None]
    release(tmp_path / "csl", "S000001_P0000_T00", feats_rst=generated)
    release(tmp_path / "phoenix", "x", rank=1, text=["guten Tag"])
    saved = SavedPredictions(tmp_path, ["csl", "phoenix"])
    assert [(r.corpus, r.name, r.text) for r in saved.references] == [
        ("csl", "S000001_P0000_T00", "你好"),
        ("phoenix", "x", "guten Tag"),
    ]
    np.testing.assert_array_equal(saved.system().sign([0])[0].motion, motion(1))
    np.testing.assert_array_equal(saved.motions([0])[0], motion(2))


def test_the_corpus_of_a_pickle(tmp_path):
    release(tmp_path, "x")
    with pytest.raises(ValueError, match="cannot tell which corpus this belongs to"):
        SavedPredictions(tmp_path, ["csl", "phoenix"])
    assert SavedPredictions(tmp_path, ["csl"]).references[0].corpus == "csl"
    known = SavedPredictions(
        tmp_path, ["csl", "phoenix"], {"x": Clip("x", "phoenix", "", "test", Path())}
    )
    assert known.references[0].corpus == "phoenix"
    release(tmp_path / "other", "csl/y")
    inside = SavedPredictions(tmp_path / "other", ["csl", "phoenix"])
    assert [(r.corpus, r.name) for r in inside.references] == [("csl", "y")]


def test_two_predictions_of_a_clip(tmp_path):
    release(tmp_path, "x", rank=0)
    release(tmp_path, "x", rank=1)  # a rank repeats clips to have as many as the others
    assert len(SavedPredictions(tmp_path, ["csl"]).clips) == 1
    release(tmp_path, "x", rank=1, feats_rst=motion(5))
    with pytest.raises(ValueError, match=r"csl/x has two predictions that differ.*test_rank_1"):
        SavedPredictions(tmp_path, ["csl"])


def test_bad_files_are_named(tmp_path):
    with pytest.raises(MissingAssetError, match="Saved predictions"):
        SavedPredictions(tmp_path, ["csl"])
    path = release(tmp_path, "x", feats_rst=np.zeros((4, 20)))
    with pytest.raises(ValueError, match=r"x\.pkl: 'feats_rst' is float64 of shape \[4, 20\]"):
        SavedPredictions(tmp_path, ["csl"])
    path.write_bytes(pickle.dumps({"feats_rst": motion(1)}))
    with pytest.raises(ValueError, match=r"x\.pkl: expected a dict with"):
        SavedPredictions(tmp_path, ["csl"])
    path.write_bytes(pickle.dumps({"a": print}))
    with pytest.raises(ValueError, match="expected a dict with"):
        SavedPredictions(tmp_path, ["csl"])
    shutil.rmtree(tmp_path / "test_rank_0")
    (tmp_path / "y.npz").write_bytes(b"PK nonsense")
    with pytest.raises(ValueError, match=r"y\.npz is not a prediction"):
        SavedPredictions(tmp_path, ["csl"])


with np.load(STAND_IN, allow_pickle=False) as model:
    RELAXED = np.concatenate([model["hands_meanl"], model["hands_meanr"]]).ravel()
HANDS = Hands("auto", tuple(RELAXED.tolist()))


def six(axis_angle, mirrored=False):
    """The first two rows of each joint's matrix, [6 J, T]; of a mirrored hand those of a right."""
    turned = Rotation.from_rotvec(axis_angle.reshape(-1, 3)).as_matrix()
    if mirrored:
        flip = np.diag([1.0, -1.0, -1.0])
        turned = flip @ turned @ flip
    return turned[:, :2].reshape(len(axis_angle), -1).T.astype(np.float32)


def padded(stream, size=24):
    """A stream as a batch has it: the last frame repeated."""
    return np.pad(stream, ((0, 0), (0, size - stream.shape[1])), mode="edge")


def sampled(folder, clips, extra_axis=False, **changes):
    """Streams of SignSparK: clips are (name, text, generated, reference), features [T, 133]."""

    def stream(name, motion):
        body, hands, jaw = motion[:, :30], motion[:, 30:120] + RELAXED, motion[:, 120:123]
        if name == "body":
            return [six(body)]
        if name == "hand":
            return [six(hands[:, :45], mirrored=True), six(hands[:, 45:])]
        return [np.concatenate([six(jaw), motion[:, 123:].T, np.ones((40, len(motion)))])]

    for name in ("body", "hand", "face"):
        times = 2 if name == "hand" else 1
        arrays = {
            key: np.stack([padded(s) for clip in clips for s in stream(name, clip[place])])
            for key, place in (("pred_poses", 2), ("gt_poses", 3))
        }
        if extra_axis:
            arrays = {key: value[:, :, None] for key, value in arrays.items()}
        arrays["lengths"] = np.repeat([len(clip[2]) for clip in clips], times)
        arrays["text"] = np.repeat([f"<CSL> {clip[1]}" for clip in clips], times)
        arrays["video_names"] = np.repeat([clip[0] for clip in clips], times)
        arrays["keyframes"] = np.zeros((len(clips) * times, 24), bool)
        content = {
            key: np.stack([value, value + 0 if value.dtype.kind == "f" else value])
            for key, value in arrays.items()
        } | {"num_samples": 64}  # two draws
        content |= changes.get(name, {})
        path = folder / name / "seed102_clampstep0_CSLDaily.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, content, allow_pickle=True)


@pytest.mark.parametrize("extra_axis", [False, True])
def test_streams_of_signspark(tmp_path, extra_axis):
    clips = [
        ("S1", "你好", 0.3 * motion(1), 0.3 * motion(2)),
        ("S2", "再见", 0.3 * motion(3, 12), 0.3 * motion(4, 12)),
    ]
    sampled(tmp_path, clips, extra_axis)
    saved = SavedPredictions(tmp_path, ["csl"], hands=HANDS)
    assert [(r.name, r.corpus, r.text) for r in saved.references] == [
        ("S1", "csl", "你好"),
        ("S2", "csl", "再见"),
    ]
    for place, (_, _, generated, reference) in enumerate(clips):
        [signing] = saved.system().sign([place])
        np.testing.assert_allclose(signing.motion, generated, atol=1e-5)
        np.testing.assert_allclose(saved.motions([place])[0], reference, atol=1e-5)
    shutil.rmtree(tmp_path / "face")  # only the face is optional
    [bare] = SavedPredictions(tmp_path, ["csl"], hands=HANDS).system().sign([1])
    np.testing.assert_allclose(bare.motion[:, :120], clips[1][2][:, :120], atol=1e-5)
    assert not bare.motion[:, 120:].any()


def test_streams_that_do_not_fit_are_named(tmp_path):
    clips = [("S1", "a", motion(1), motion(2))]
    sampled(tmp_path, clips, hand={"video_names": np.array([["S1", "S2"]] * 2)})
    with pytest.raises(ValueError, match=r"hand.*has other clips than .*body"):
        SavedPredictions(tmp_path, ["csl"], hands=HANDS)
    shutil.rmtree(tmp_path / "hand")
    with pytest.raises(ValueError, match="has no stream of the hand"):
        SavedPredictions(tmp_path, ["csl"], hands=HANDS)
    sampled(tmp_path, clips)
    sampled(tmp_path / "another", clips)
    with pytest.raises(ValueError, match="are both of the body: name the folder of one run"):
        SavedPredictions(tmp_path, ["csl"], hands=HANDS)


def test_every_stream_counts_and_has_to_be_whole(tmp_path):
    clips = [("S1", "a", motion(1), motion(2))]
    sampled(tmp_path, clips)
    before = SavedPredictions(tmp_path, ["csl"], hands=HANDS).code
    for changes, message in (
        ({"hand": {"pred_poses": np.zeros((2, 2, 90, 24), np.float32)}}, None),
        ({"body": {"lengths": np.array([[99], [99]])}}, "'lengths' has to be"),
        ({"body": {"lengths": np.array(3)}}, "do not fit each other"),
        ({"face": {"pred_poses": np.zeros(3)}}, "do not fit each other"),
        ({"body": {"pred_poses": np.full((2, 1, 60, 24), np.nan, np.float32)}}, "not finite"),
    ):
        sampled(tmp_path, clips, **changes)
        if message is None:
            assert SavedPredictions(tmp_path, ["csl"], hands=HANDS).code != before
            continue
        with pytest.raises(ValueError, match=message) as error:
            SavedPredictions(tmp_path, ["csl"], hands=HANDS)
        assert str(tmp_path) in str(error.value)


def test_motion_files_are_compared_with_the_data_set(tmp_path):
    """Files of other tools hold no reference: it is read from the clip of their name."""
    generated, reference = (
        features_to_frames(torch.from_numpy(motion(seed, 48)), torch.zeros(10)).numpy()
        for seed in (1, 2)
    )
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data/x.npy", reference)
    clip = Clip("x", "csl", "text of x", "test", tmp_path / "data/x.npy", target_fps=25)
    path = tmp_path / "predictions/x.npz"
    path.parent.mkdir()
    poses = np.zeros((48, 165))
    poses[:, 3:66], poses[:, 66:69] = generated[:, 3:66], generated[:, 156:159]
    poses[:, 75:] = generated[:, 66:156] + RELAXED
    np.savez(path, poses=poses, expressions=generated[:, 169:], mocap_frame_rate=25)
    saved = SavedPredictions(path.parent, ["csl"], {"x": clip}, hands=HANDS)
    [signing] = saved.system().sign([0])
    np.testing.assert_allclose(signing.motion, motion(1, 48), atol=1e-5)
    np.testing.assert_allclose(saved.motions([0])[0], motion(2, 48), atol=1e-6)
    assert saved.references[0].text == "text of x"
    path.rename(path.with_name("y.npz"))
    with pytest.raises(ValueError, match=r"y\.npz holds motion without its reference"):
        SavedPredictions(path.parent, ["csl"], {"x": clip}, hands=HANDS)
