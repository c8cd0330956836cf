"""Predictions on disk: all that was retrieved comes back, also from files of earlier versions."""

import numpy as np
import pytest

from soke.data.predictions import Prediction, prediction_path, read_predictions, write_prediction


def prediction(*retrieved):
    draw = np.random.default_rng(0)
    return Prediction(
        "test/x",
        "phoenix",
        "grüße",
        ("Gruß", "h-i"),
        draw.integers(0, 9, (3, 3)),
        draw.normal(size=(12, 133)),
        draw.normal(size=(9, 133)),
        *retrieved,
    )


def written(folder, saved):
    path = prediction_path(folder, saved.corpus, saved.name)
    write_prediction(path, saved)
    return path


def test_what_was_retrieved_comes_back(tmp_path):
    codes = (np.array([[1, 2, 3]]), np.arange(12).reshape(4, 3))
    written(tmp_path, prediction(("köln", "天"), codes, ("lemma", "spelled")))
    (loaded,) = read_predictions(tmp_path, "phoenix")
    assert loaded.keywords == ("Gruß", "h-i") and loaded.matches == ("lemma", "spelled")
    assert loaded.missing == ("köln", "天")
    assert [sign.tolist() for sign in loaded.codes] == [sign.tolist() for sign in codes]


@pytest.mark.parametrize(
    "later", [("matches",), ("matches", "missing", "codes", "code_lengths")], ids=len
)
def test_files_of_earlier_versions_are_read(tmp_path, later):
    sign = np.ones((2, 3), dtype=int)
    saved = prediction(("köln",), (sign, sign), ("exact", "exact"))
    path = written(tmp_path, saved)
    with np.load(path) as file:
        kept = {key: file[key] for key in file.files if key not in later}
        assert len(kept) == len(file.files) - len(later)
    np.savez(path, **kept)
    (old,) = read_predictions(tmp_path, "phoenix")
    assert old.matches == () and old.keywords == saved.keywords
    assert (old.missing == ()) == ("missing" in later) == (old.codes == ())
    np.testing.assert_allclose(old.reference, saved.reference, atol=1e-6)
    np.testing.assert_array_equal(old.tokens, saved.tokens)
