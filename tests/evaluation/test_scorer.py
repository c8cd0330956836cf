from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from soke.body import BodyModel
from soke.data.corpora import Corpus
from soke.data.listing.annotations import Clip
from soke.evaluation.references import Reference, Signing, nearest_clips, random_clips
from soke.evaluation.scorer import ClipScorer
from soke.evaluation.summary import score_list, summarize
from soke.metrics import dtw_jpe, dtw_pa_jpe
from soke.metrics.aggregate import CorpusMean
from soke.metrics.sign_reading import SignReader


@pytest.fixture(scope="module")
def body():
    return BodyModel()


def motion(seed, frames=12):
    """A smooth random motion [T, 133]."""
    steps = torch.randn(frames, 133, generator=torch.Generator().manual_seed(seed))
    return steps.cumsum(dim=0) * 0.05


MOTIONS = [motion(0), motion(1, 16), motion(2)]
REFERENCES = [
    Reference("a", "how2sign", "ab"),
    Reference("b", "how2sign", "ba"),
    Reference("c", "phoenix", "äß"),
]


def scorer_of(body, gallery=3, motions=MOTIONS, **options):
    return ClipScorer(
        body, REFERENCES, lambda places: [motions[p] for p in places], gallery=gallery, **options
    )


def corpus_row(name):
    return Corpus(name, "csl", "deps", "en_XX", "en_ASL", "sign {i}:", "en", lowercase=True)


def score(scorer, motions, **signing):
    truth = scorer.truth(range(len(REFERENCES)))
    found = [Signing(m, **{k: v[i] for k, v in signing.items()}) for i, m in enumerate(motions)]
    return pd.DataFrame(scorer.score(truth, found))


def summary_of(rows):
    return summarize(rows, score_list(rows.columns))


def test_perfect_and_wrong_systems(body):
    scorer = scorer_of(body)
    perfect = summary_of(score(scorer, MOTIONS))
    assert set(perfect) == {"how2sign", "phoenix", "total"}
    for name in ("hands", "body"):
        assert perfect["total"][f"DTW_JPE_{name}"] < 1e-5
        assert perfect["total"][f"DTW_PA_JPE_{name}"] < 1e-5
        assert perfect["total"][f"DTW_JPE_{name}_per_step"] < 1e-5
    assert perfect["total"]["R@1"] == 1 and perfect["total"]["clips"] == 3
    for name in ("speed_ratio_rhand", "deviation_ratio_body", "length_ratio"):
        assert perfect["total"][name] == pytest.approx(1)
    rotated = summary_of(score(scorer, [MOTIONS[i] for i in (1, 2, 0)]))
    assert rotated["total"]["R@1"] == 0 and rotated["total"]["R@5"] == 1
    assert rotated["total"]["length_ratio"] == pytest.approx((16 / 12 + 12 / 16 + 1) / 3)


def test_scores_are_those_of_the_public_functions(body):
    rows = score(scorer_of(body), [motion(9, 20), motion(8), motion(7)])
    first, second = body.scored_points(motion(9, 20)), body.scored_points(MOTIONS[0])
    hand = first["rhand"].numpy(), second["rhand"].numpy()
    assert rows["DTW_JPE_rhand"][0] == pytest.approx(dtw_jpe(*hand), rel=1e-6)
    assert rows["DTW_PA_JPE_rhand"][0] == pytest.approx(dtw_pa_jpe(*hand), rel=1e-6)
    joints = [body(m).joints.numpy() for m in (motion(9, 20), MOTIONS[0])]
    wanted = [12, 16, 17, 18, 19, 20, 21, 59, 58, 57, 56, 55]
    expected = dtw_pa_jpe(*joints, points=wanted)
    assert rows["DTW_PA_JPE_body"][0] == pytest.approx(expected, rel=1e-5)
    expected = dtw_jpe(*joints, points=wanted, root=0)
    assert rows["DTW_JPE_body"][0] == pytest.approx(expected, rel=1e-5)
    hands = rows[["DTW_JPE_lhand", "DTW_JPE_rhand"]].mean(axis=1)
    np.testing.assert_allclose(rows["DTW_JPE_hands"], hands)
    totals = summary_of(rows)
    assert totals["total"]["DTW_JPE_body"] == pytest.approx(rows["DTW_JPE_body"].mean())


def test_a_frozen_clip_shows(body):
    frozen = [m[:1].repeat(len(m), 1) for m in MOTIONS]
    rows = score(scorer_of(body), frozen)
    assert (rows["speed_ratio_rhand"] < 1e-3).all() and (rows["deviation_ratio_rhand"] < 1e-3).all()


def test_the_own_reference_counts_once_in_any_gallery(body):
    motions = [motion(30 + i) for i in range(3)]
    whole = score(scorer_of(body, gallery=3), motions)["rank"].tolist()
    assert score(scorer_of(body, gallery=100), motions)["rank"].tolist() == whole
    assert score(scorer_of(body, gallery=1), MOTIONS)["rank"].tolist() == [1, 1, 1]
    assert "rank" not in score(scorer_of(body, gallery=0), MOTIONS)
    same = [MOTIONS[0]] * 3  # equal motions for every text must not look like hits
    assert score(scorer_of(body, motions=same), [motion(4)] * 3)["rank"].tolist() == [3, 3, 3]


def test_the_window_reaches_ranks_and_diversity(body):
    delayed = [torch.cat([m[:1].repeat(6, 1), m[:-6]]) for m in MOTIONS]  # best matched with a lag
    samples = [(m, d) for m, d in zip(MOTIONS, delayed)]
    narrow = score(scorer_of(body, window=0.0), delayed, samples=samples)
    free = score(scorer_of(body), delayed, samples=samples)
    assert (narrow["diversity"] > 1.05 * free["diversity"]).all()
    points = [[body.scored_points(m)["rhand"].numpy() for m in ms] for ms in (delayed, MOTIONS)]
    distances = [[dtw_jpe(q, r, window=0.0) for r in points[1]] for q in points[0]]
    expected = [(np.array(row) <= row[i]).sum() for i, row in enumerate(distances)]
    assert narrow["rank"].tolist() == expected


def test_motions_go_to_the_body_s_device_and_points_come_back(body):
    class Elsewhere:
        betas = torch.empty(10, device="meta")

        def scored_points(self, motion, **options):
            assert motion.device.type == "meta"
            return body.scored_points(torch.zeros(motion.shape), **options)

    scorer = scorer_of(Elsewhere())
    assert scorer.watch.device.type == "meta"  # whose work it waits for
    samples = [(m, m) for m in MOTIONS]
    assert (score(scorer, MOTIONS, samples=samples)["DTW_JPE_body"] == 0).all()


def test_reading_counts_edits_only_where_the_text_is_spelled(body):
    points = {k: body.scored_points(motion(50 + i))["rhand"].numpy() for i, k in enumerate("ab")}
    reader = SignReader(list(points), list(points.values()))
    scorer = scorer_of(body, readers={"how2sign": reader})
    rows = score(scorer, [motion(50), motion(51), motion(3)])
    assert rows["read"][0] == "a" and rows["edits"][0] == 1 and rows["truth"][0] == "a b"
    assert pd.isna(rows["edits"][2])
    summary = summary_of(rows)
    assert summary["total"]["sign_error_rate"] == summary["how2sign"]["sign_error_rate"] == 0.5
    assert "sign_error_rate" not in summary["phoenix"]


def test_tokens_and_texts_are_compared_where_a_system_has_them(body):
    tokens = [np.full((3, 2), i) for i in range(3)]
    scorer = scorer_of(
        body,
        tokens=lambda places, _: [tokens[p] for p in places],
        parts=["up", "down"],
        translate=lambda said, corpora: [f"{corpora[i]} {t[0, 0]}" for i, t in enumerate(said)],
        corpora={name: corpus_row(name) for name in ("how2sign", "phoenix")},
    )
    rows = score(scorer, MOTIONS, tokens=tokens)
    summary = summary_of(rows)
    assert summary["total"]["SiBLEU_up"] == pytest.approx(100)
    assert rows["translation"].tolist() == ["how2sign 0", "how2sign 1", "phoenix 2"]
    assert summary["total"]["chrF"] < 10
    assert "SiBLEU_up" not in summary_of(score(scorer, MOTIONS))
    with pytest.raises(ValueError, match=r"generated tokens of how2sign/a .* has 2 parts"):
        score(scorer, MOTIONS, tokens=[np.zeros((3, 4), int)] * 3)


def test_what_cannot_be_scored_is_named(body):
    scorer = scorer_of(body)
    broken = MOTIONS[1].clone()
    broken[5, 3] = float("nan")
    message = "generated motion of how2sign/b has numbers that are not finite, first in frame 5"
    with pytest.raises(ValueError, match=message):
        score(scorer, [MOTIONS[0], broken, MOTIONS[2]])
    with pytest.raises(ValueError, match=r"generated motion of phoenix/c has shape \[0, 133\]"):
        score(scorer, [*MOTIONS[:2], MOTIONS[2][:0]])
    with pytest.raises(ValueError, match="reference motion of how2sign/b"):
        score(scorer_of(body, motions=[MOTIONS[0], broken, MOTIONS[2]]), MOTIONS)
    rows = score(scorer, [m[:1] for m in MOTIONS])  # one frame can be scored
    assert rows["DTW_JPE_body"].notna().all() and (rows["rank"] >= 1).all()


def clip(name, corpus, text):
    return Clip(name, corpus, text, "train", Path(name))


def test_baselines_stay_in_their_corpus():
    train = [clip("1", "how2sign", "abcd"), clip("2", "how2sign", "bb"), clip("3", "phoenix", "äß")]
    assert [c.name for c in nearest_clips(REFERENCES, train)] == ["2", "2", "3"]
    drawn = random_clips(REFERENCES, train, seed=5)
    assert [c.corpus for c in drawn] == ["how2sign", "how2sign", "phoenix"]
    assert drawn == random_clips(REFERENCES, train, seed=5)
    with pytest.raises(ValueError, match=r"training clips of \['phoenix'\]"):
        random_clips(REFERENCES, train[:2], seed=5)


def test_corpus_means_are_weighted():
    means = CorpusMean(["a", "b", "unused"], ["x"])
    means.update("a", {"x": 1.0}, weight=1)
    means.update("a", {"x": 4.0}, weight=2)
    means.update("b", {"x": 10.0}, weight=1)
    assert means.compute() == {"a": {"x": 3.0}, "b": {"x": 10.0}, "total": {"x": 4.75}}
