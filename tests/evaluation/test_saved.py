"""Predictions that are scored without the models that made them."""

import pickle
import shutil

import numpy as np
import pytest
import torch

from soke.data.predictions import Prediction, prediction_path, write_prediction
from soke.evaluation.saved import SavedPredictions
from soke.files import MissingAssetError
from soke.parts import features_to_frames


def motion(seed, frames=9):
    return np.random.default_rng(seed).normal(size=(frames, 133)).astype(np.float32)


def write(folder, name, corpus="csl", **changes):
    fields = {
        "name": name, "corpus": corpus, "text": f"text of {name}", "keywords": ("a", "b"),
        "tokens": np.arange(6).reshape(2, 3), "generated": motion(1), "reference": motion(2),
        "missing": ("c",), "reference_tokens": np.arange(9).reshape(3, 3),
    }  # fmt: skip
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
        ("csl", "b/2", "text of b/2"), ("phoenix", "a", "text of a"),
    ]  # fmt: skip
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
        ("csl", "S000001_P0000_T00", "你好"), ("phoenix", "x", "guten Tag"),
    ]  # fmt: skip
    np.testing.assert_array_equal(saved.system().sign([0])[0].motion, motion(1))
    np.testing.assert_array_equal(saved.motions([0])[0], motion(2))


def test_the_corpus_of_a_pickle(tmp_path):
    release(tmp_path, "x")
    with pytest.raises(ValueError, match="of which corpus is it"):
        SavedPredictions(tmp_path, ["csl", "phoenix"])
    assert SavedPredictions(tmp_path, ["csl"]).references[0].corpus == "csl"
    known = SavedPredictions(tmp_path, ["csl", "phoenix"], {"x": "phoenix"})
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
    with pytest.raises(ValueError, match="not a file that SOKE reads"):
        SavedPredictions(tmp_path, ["csl"])
    shutil.rmtree(tmp_path / "test_rank_0")
    (tmp_path / "y.npz").write_bytes(b"PK nonsense")
    with pytest.raises(ValueError, match=r"y\.npz is not a prediction"):
        SavedPredictions(tmp_path, ["csl"])
