"""Clips of a test run: which are chosen, and what is shown of them."""

import json

import numpy as np
import pandas as pd
import pytest

from soke.assemble.run import Run
from soke.cli.show.output import Output
from soke.cli.show.test_clips import render_test_clips
from soke.config import load_config
from soke.data.predictions import Prediction, prediction_path, read_predictions, write_prediction
from soke.files import MissingAssetError

MOTION = np.zeros((4, 133), np.float32)


def write(results, name, value=1.0, corpus="csl", **changes):
    fields = {"keywords": ("fox",), "missing": ("天",), **changes}
    prediction = Prediction(
        name=name,
        corpus=corpus,
        text="今天",
        tokens=np.zeros((1, 3), int),
        generated=MOTION + 0.01 * value,
        reference=MOTION,
        **fields,
    )
    write_prediction(prediction_path(results, corpus, name), prediction)


def table(results, scores):
    rows = [
        {"system": system, "run": 0, "corpus": "csl", "name": name, "DTW_JPE_hands_per_step": value}
        for system, shift in (("generated", 0), ("random_clip", 1))
        for name, value in ((name, value + shift) for name, value in scores.items())
    ]
    results.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(results / "clips.csv", index=False)


@pytest.fixture
def config(small, tmp_path):
    return load_config(small, [f"TEST.FOLDER={tmp_path / 'results'}", "RENDER.CLIPS=2"])


def shown(filmed):
    return [call["clip"].name for call in filmed]


def test_a_prediction_without_keywords(tmp_path):
    bare = Prediction("a", "csl", "b", (), np.zeros((1, 3), int), MOTION, MOTION)
    write_prediction(prediction_path(tmp_path, "csl", "a"), bare)
    (back,) = read_predictions(tmp_path, "csl")
    assert back.keywords == back.missing == back.codes == () and back.reference_tokens is None


def test_what_is_shown_of_a_clip(config, tmp_path, filmed):
    results = tmp_path / "results" / "small"
    codes = (np.ones((2, 3), int), np.full((4, 3), 5))
    write(results, "clip/1", keywords=("fox", "hi"), codes=codes)
    table(results, {"clip/1": 0.0123})
    (back,) = read_predictions(results, "csl")
    assert [codes.tolist() for codes in back.codes] == [[[1] * 3] * 2, [[5] * 3] * 4]
    written = render_test_clips(Run(config), "csl", Output(tmp_path / "out"), ["clip/1"])
    (call,) = filmed
    reference, generated = call["clip"].systems
    assert (reference.title, generated.title) == ("reference", "generated")
    assert reference.tint != generated.tint
    assert generated.score == "hands 12.3 mm a step" and reference.score == ""
    assert call["clip"].text == "今天" and call["clip"].language == "zh"
    assert "not found: 天" in call["clip"].note and "retrieved signs: fox, hi" in call["clip"].note
    assert written == [tmp_path / "out" / "csl" / f"clip_1{end}" for end in (".mp4", ".png")]

    path = prediction_path(results, "csl", "clip/1")
    with np.load(path) as file:  # as earlier versions wrote them
        later = ("missing", "codes", "code_lengths")
        np.savez(path, **{key: file[key] for key in file.files if key not in later})
    (old,) = read_predictions(results, "csl")
    assert old.missing == old.codes == () and old.keywords == ("fox", "hi")


def test_clips_are_chosen_by_their_score(config, tmp_path, filmed):
    results = tmp_path / "results" / "small"
    scores = {"a": 0.5, "b": 0.1, "c": 0.3, "d": 0.9, "e": 0.2}
    for name in scores:
        write(results, name)
    table(results, scores)
    expected = {"best": ["b", "e"], "worst": ["a", "d"], "median": ["e", "c"], "first": ["a", "b"]}
    for choice, names in expected.items():
        filmed.clear()
        render_test_clips(Run(config), "csl", Output(tmp_path / choice), choice=choice)
        assert shown(filmed) == names, choice
    for _ in range(2):
        filmed.clear()
        render_test_clips(Run(config), "csl", Output(tmp_path / "random"), choice="random")
        drawn = shown(filmed)
        assert len(set(drawn)) == 2 and set(drawn) <= set(scores)
    (results / "clips.csv").unlink()
    with pytest.raises(ValueError, match=r"--choose best needs the scores of clips"):
        render_test_clips(Run(config), "csl", Output(tmp_path), choice="best")


def test_other_systems_stand_beside(config, tmp_path, filmed):
    for i, run in enumerate(("small", "older", "theirs")):
        write(tmp_path / "results" / run, "a", value=i)
    table(tmp_path / "results" / "older", {"a": 0.02})
    render_test_clips(Run(config), "csl", Output(tmp_path / "out"), compare=["older", "theirs"])
    systems = filmed[0]["clip"].systems
    assert [system.title for system in systems] == ["reference", "generated", "older", "theirs"]
    assert [system.score for system in systems] == ["", "", "hands 20.0 mm a step", ""]
    assert len({system.tint for system in systems}) == 4
    assert systems[3].motion[0, 0] == pytest.approx(0.02)
    write(tmp_path / "results" / "small", "b")
    with pytest.raises(ValueError, match=r"the test run older has no predictions of \['b'\]"):
        render_test_clips(Run(config), "csl", Output(tmp_path / "out"), compare=["older"])


def test_wrong_requests(config, tmp_path):
    with pytest.raises(MissingAssetError, match=r"TEST\.SAVE_PREDICTIONS=true"):
        render_test_clips(Run(config), "csl", Output(tmp_path))
    write(tmp_path / "results" / "small", "a")
    with pytest.raises(ValueError, match=r"no predictions of \['x'\]; there are \['a'\]"):
        render_test_clips(Run(config), "csl", Output(tmp_path), ["x"])
    with pytest.raises(ValueError, match="--demo_dataset is 'dutch'"):
        render_test_clips(Run(config), "dutch", Output(tmp_path))
    with pytest.raises(MissingAssetError):
        render_test_clips(Run(config), "csl", Output(tmp_path), compare=["never"])


def test_a_page_and_exports(config, tmp_path):
    results = tmp_path / "results" / "small"
    write(results, "a", reference_tokens=np.zeros((1, 3), int))
    output = Output(tmp_path / "out", (), html=True, exports=("npz", "bvh"))
    written = render_test_clips(Run(config), "csl", output)
    names = [path.relative_to(tmp_path / "out").as_posix() for path in written]
    assert sorted(names) == [
        "csl.html",
        "csl/a-generated.bvh",
        "csl/a-generated.npz",
        "csl/a-reference.bvh",
        "csl/a-reference.npz",
    ]
    assert "今天" in (tmp_path / "out" / "csl.html").read_text(encoding="utf-8") or json.dumps(
        "今天"
    ).strip('"') in (tmp_path / "out" / "csl.html").read_text(encoding="utf-8")
