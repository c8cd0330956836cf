"""Saved predictions through the verb: what users can get wrong ends in one clear message."""

import json
import re
import sys

import numpy as np
import pytest

from soke.body.model_files import locate_body_model, relaxed_hands
from soke.cli.main import run_verb
from soke.cli.test import main
from soke.data.motion.hands import HANDS
from soke.data.predictions import Prediction, prediction_path, write_prediction
from tests.data.conftest import as_library, as_parameters, dump, write_arrays
from tests.helpers import THREE_PARTS


def motion(seed, frames=9):
    return np.random.default_rng(seed).normal(0, 0.2, (frames, 133)).astype(np.float32)


def save(folder, name="a", corpus="csl", **changes):
    fields = {
        "name": name,
        "corpus": corpus,
        "text": f"text of {name}",
        "keywords": (),
        "tokens": np.arange(6).reshape(2, 3),
        "generated": motion(1),
        "reference": motion(2),
        "reference_tokens": np.arange(9).reshape(3, 3),
    }
    prediction = Prediction(**{**fields, **changes})
    write_prediction(prediction_path(folder, corpus, name), prediction)


@pytest.fixture
def verb(tmp_path, monkeypatch, capsys):
    """Runs the verb on the predictions below ``tmp_path``; gives its messages and results."""
    configuration = tmp_path / "run.yaml"
    content = {
        "NAME": "scored",
        "ACCELERATOR": "cpu",
        "PARTS": THREE_PARTS,
        "TEST": {"FOLDER": str(tmp_path / "results"), "BATCH_SIZE": 2},
        "DATASET": {
            "H2S": {"DATASET_NAME": "csl_phoenix", "CSL_ROOT": str(tmp_path / "no")},
            "PACKED": str(tmp_path / "no"),
        },
    }
    configuration.write_text(json.dumps(content), encoding="utf-8")

    def run(*words, expect=0):
        words = ("--cfg", configuration, "--nodebug", "--predictions", tmp_path / "made", *words)
        monkeypatch.setattr(sys, "argv", ["test", *map(str, words)])
        try:
            run_verb(main)
            code = 0
        except SystemExit as stop:
            code = stop.code
        message = capsys.readouterr().err
        assert code == expect, message
        assert "Traceback" not in message and message.count("error: ") == (1 if expect else 0)
        path = tmp_path / "results" / "scored" / "metrics.json"
        return message if expect else json.loads(path.read_text(encoding="utf-8"))

    return run


BAD = {
    "no frames": ({"generated": motion(1)[:0]}, r"generated motion of csl/a has shape \[0, 133\]"),
    "no frames of the reference": ({"reference": motion(2)[:0]}, r"reference motion of csl/a has"),
    "nan": (
        {"generated": np.where(np.arange(9)[:, None] == 4, np.nan, motion(1))},
        "csl/a has numbers that are not finite, first in frame 4",
    ),
    "other features": ({"generated": motion(1)[:, :100]}, r"shape \[9, 100\]; expected"),
    "fewer parts": (
        {"tokens": np.zeros((2, 2), int)},
        r"generated tokens of csl/a have shape \[2, 2\]; the part table has 3 parts",
    ),
    "fewer parts of the reference": (
        {"reference_tokens": np.zeros((3, 1), int)},
        r"reference tokens of csl/a have shape \[3, 1\]",
    ),
    "padding": ({"tokens": np.full((2, 3), -1)}, "csl/a: generated tokens hold negative numbers"),
    "no corpus of the run": ({"corpus": "how2sign"}, "is of the corpus 'how2sign'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_predictions_are_one_message(verb, tmp_path, case):
    changes, expected = BAD[case]
    save(tmp_path / "made", **changes)
    assert re.search(expected, verb(expect=1))


def test_two_predictions_of_a_clip_are_one_message(verb, tmp_path):
    save(tmp_path / "made" / "one")
    save(tmp_path / "made" / "two", generated=motion(3))
    assert "csl/a has two predictions that differ" in verb(expect=1)


def test_single_frames_are_scored(verb, tmp_path):
    save(tmp_path / "made", generated=motion(1)[:1])
    save(tmp_path / "made", "b", reference=motion(2)[:1])
    save(tmp_path / "made", "c", "phoenix", generated=motion(2)[:1], reference=motion(2)[:1])
    found = verb()
    assert found["clips"] == 3 and found["scores"]["csl"]["DTW_JPE_body"] > 0
    assert found["scores"]["phoenix"]["DTW_PA_JPE_hands"] == pytest.approx(0, abs=1e-6)
    assert "speed_ratio_rhand" not in found["scores"]["phoenix"]  # one frame has no speed
    assert "frames_per_second" not in found["timing"]  # nothing was generated
    assert [list(run) for run in found["runs"]] == [["scores"]]  # nor is a seed known


def test_hands_says_how_motion_files_have_theirs(verb, tmp_path):
    frames = np.random.default_rng(0).normal(0, 0.2, (40, 179))
    dump(tmp_path / "no/poses_video_level/a.pkl", as_parameters(frames))
    dump(tmp_path / "no/csl_clean.test", [{"name": "a", "text": "x"}])
    frames[:, HANDS] += relaxed_hands(locate_body_model())
    write_arrays(tmp_path / "made/a.npz", as_library(frames))
    for hands in ("relative", "flat"):
        scores = verb("--hands", hands, "DATASET.H2S.DATASET_NAME=csl")["scores"]["csl"]
        assert (scores["DTW_JPE_hands"] < 1e-3) == (hands == "flat")


def test_options_and_names_that_do_not_exist(verb, tmp_path):
    save(tmp_path / "made")
    assert "METRIC.TYPE has ['rank']; choose from" in verb("METRIC.TYPE=[rank]", expect=1)
    assert "scored by the task t2m" in verb("--task", "m2t", expect=1)
    assert "window: expected a share" in verb("METRIC.WINDOW=12", expect=1)
    assert "METRIC.TRANSLATOR" in verb("METRIC.TYPE=[back_translation]", expect=1)


def test_without_predictions_there_is_one_message(verb):
    assert "Saved predictions not found" in verb(expect=1)


def test_results_of_other_predictions_are_not_written_over_in_silence(verb, tmp_path, caplog):
    save(tmp_path / "made")
    verb()
    assert "is written over" not in caplog.text
    verb()
    assert "is written over" not in caplog.text
    save(tmp_path / "made", generated=motion(8))
    verb()
    assert "results of something else (other predictions) and is written over" in caplog.text
