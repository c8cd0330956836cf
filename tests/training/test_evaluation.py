import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from soke.body import BodyModel
from soke.data.annotations import Clip
from soke.metrics import dtw_jpe
from soke.metrics.aggregate import CorpusMean
from soke.metrics.sign_reading import SignReader
from soke.training.evaluation import (
    GenerationEvaluator,
    Reference,
    nearest_clips,
    random_clips,
    summarize,
    write_results,
)


@pytest.fixture(scope="module")
def body():
    return BodyModel()


def motion(seed, frames=12):
    """A smooth random motion [T, 133]."""
    steps = torch.randn(frames, 133, generator=torch.Generator().manual_seed(seed))
    return steps.cumsum(dim=0) * 0.05


REFERENCES = [
    Reference("a", "how2sign", "ab", motion(0)),
    Reference("b", "how2sign", "ba", motion(1, 16)),
    Reference("c", "phoenix", "äß", motion(2)),
]


def test_perfect_and_wrong_systems(body):
    evaluator = GenerationEvaluator(body, REFERENCES)
    perfect = summarize(evaluator.score("x", [r.motion for r in REFERENCES]))
    assert set(perfect) == {"how2sign", "phoenix", "total"}
    assert perfect["total"]["DTW_JPE_hands"] < 1e-5 and perfect["total"]["R@1"] == 1
    rotated = summarize(evaluator.score("y", [REFERENCES[i].motion for i in (1, 2, 0)]))
    assert rotated["total"]["R@1"] == 0 and rotated["total"]["R@5"] == 1
    assert rotated["total"]["length_ratio"] == pytest.approx((16 / 12 + 12 / 16 + 1) / 3)


def test_scores_are_those_of_the_public_function(body):
    evaluator = GenerationEvaluator(body, REFERENCES)
    rows = evaluator.score("x", [motion(9, 20), motion(8), motion(7)])
    first = body.scored_points(motion(9, 20))["rhand"].numpy()
    second = body.scored_points(REFERENCES[0].motion)["rhand"].numpy()
    assert rows["DTW_JPE_rhand"][0] == pytest.approx(dtw_jpe(first, second), rel=1e-6)
    hands = rows[["DTW_JPE_lhand", "DTW_JPE_rhand"]].mean(axis=1)
    np.testing.assert_allclose(rows["DTW_JPE_hands"], hands)
    totals = summarize(rows)
    assert totals["total"]["DTW_JPE_body"] == pytest.approx(rows["DTW_JPE_body"].mean())


def test_reading_counts_edits_only_where_the_text_is_spelled(body):
    points = {k: body.scored_points(motion(50 + i))["rhand"].numpy() for i, k in enumerate("ab")}
    reader = SignReader(list(points), list(points.values()))
    evaluator = GenerationEvaluator(body, REFERENCES, {"how2sign": reader})
    rows = evaluator.score("x", [motion(50), motion(51), motion(3)])
    assert rows["read"][0] == "a" and rows["edits"][0] == 1 and rows["truth"][0] == "a b"
    assert pd.isna(rows["edits"][2])
    summary = summarize(rows)
    assert summary["total"]["sign_error_rate"] == summary["how2sign"]["sign_error_rate"] == 0.5
    assert "sign_error_rate" not in summary["phoenix"]


def clip(name, corpus, text):
    return Clip(name, corpus, text, "train", Path(name))


def test_baselines_stay_in_their_corpus():
    train = [clip("1", "how2sign", "abcd"), clip("2", "how2sign", "bb"), clip("3", "phoenix", "äß")]
    assert [c.name for c in nearest_clips(REFERENCES, train)] == ["2", "2", "3"]
    drawn = random_clips(REFERENCES, train, seed=5)
    assert [c.corpus for c in drawn] == ["how2sign", "how2sign", "phoenix"]
    assert drawn == random_clips(REFERENCES, train, seed=5)


def test_results_are_written_as_promised(tmp_path):
    scores = {"how2sign": {"R@1": 0.5}, "total": {"R@1": 0.5}}
    about = {"name": "run", "body": "some body"}
    write_results(tmp_path, about, scores, {"floor": scores}, pd.DataFrame({"name": ["a"]}))
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["scores"]["total"]["R@1"] == 0.5
    assert content["baselines"]["floor"]["how2sign"]["R@1"] == 0.5
    table = (tmp_path / "table.txt").read_text()
    assert "some body" in table and "floor" in table
    assert (tmp_path / "clips.csv").read_text() == "name\na\n"


def test_corpus_means_are_weighted():
    means = CorpusMean(["a", "b", "unused"], ["x"])
    means.update("a", {"x": 1.0}, weight=1)
    means.update("a", {"x": 4.0}, weight=2)
    means.update("b", {"x": 10.0}, weight=1)
    assert means.compute() == {"a": {"x": 3.0}, "b": {"x": 10.0}, "total": {"x": 4.75}}
