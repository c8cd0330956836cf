"""Comparing two runs: the numbers of the table, the picture, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

from soke.cli import compare as command
from soke.cli.comparison import compare
from soke.cli.run_results import read_results
from soke.files import MissingAssetError
from tests.prepare.made_up_results import write_made_up_results


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run and one that is better."""
    root = tmp_path_factory.mktemp("results")
    first = write_made_up_results(root / "first", clips=20)
    return first, write_made_up_results(root / "second", clips=20, level=3.5, seed=1)


def changed(folder, target, **about):
    """A copy of results of which something else is said."""
    target.mkdir()
    (target / "clips.csv").write_bytes((folder / "clips.csv").read_bytes())
    content = json.loads((folder / "metrics.json").read_text(encoding="utf-8")) | about
    (target / "metrics.json").write_text(json.dumps(content), encoding="utf-8")
    return target


def test_differences_are_those_of_the_clips(runs):
    a, b = map(read_results, runs)
    found = compare(a, b)
    assert list(found.differences) == ["how2sign", "csl", "phoenix", "total"]
    columns = [r.rows().query("corpus == 'csl'")["DTW_JPE_hands"].to_numpy() for r in (a, b)]
    pair = found.differences["csl"]["DTW_JPE_hands"]
    assert (pair.clips, found.differences["total"]["DTW_JPE_hands"].clips) == (20, 60)
    assert pair.difference == pytest.approx((columns[1] - columns[0]).mean())
    normal = stats.ttest_rel(columns[1], columns[0])
    interval = normal.confidence_interval()
    assert (pair.low, pair.high) == pytest.approx((interval.low, interval.high), abs=0.2)
    assert (pair.p_value < 0.05) == (normal.pvalue < 0.05)
    assert found.verdict(pair) == "B better"
    scores = {name: score["total"] for name, score in [("b", b.about["scores"])]}
    bleu = found.differences["total"]["token_BLEU_hands"]
    assert bleu.b == pytest.approx(scores["b"]["token_BLEU_hands"]) and bleu.difference > 0
    assert found.verdict(bleu) == "B better"


def test_the_other_way_round_the_signs_turn(runs):
    a, b = map(read_results, runs)
    pair = compare(a, b, ["R@5"]).differences["total"]["R@5"]
    turned = compare(b, a, ["R@5"]).differences["total"]["R@5"]
    assert turned.difference == pytest.approx(-pair.difference)
    assert turned.p_value == pytest.approx(pair.p_value, abs=0.02)


def test_a_run_does_not_differ_from_itself(runs):
    found = compare(*[read_results(runs[0])] * 2, every=True)
    for pairs in found.differences.values():
        for pair in pairs.values():
            assert (pair.difference, pair.low, pair.high, pair.p_value) == (0, 0, 0, 1)
            assert found.verdict(pair) == ""


def test_several_runs_of_a_clip_count_once(tmp_path, runs):
    several = write_made_up_results(tmp_path / "several", clips=20, runs=3)
    found = compare(read_results(runs[0]), read_results(several), ["DTW_JPE_body"])
    assert found.differences["total"]["DTW_JPE_body"].clips == 60


def test_table_and_picture(runs, capsys):
    first, second = runs
    command.main([str(first), str(second), "--metric", "DTW_JPE_hands", "SiBLEU_body"])
    printed = capsys.readouterr().out
    assert str(first) in printed and "stand-in" in printed
    assert printed.count("DTW_JPE_hands [m]") == 4 and "B better" in printed
    assert "csl: 20 clips" in printed and "total: 60 clips" in printed
    assert max(map(len, printed.splitlines())) <= 100
    with Image.open(second / "compare-first.png") as picture:
        colors = {color for _, color in picture.convert("RGB").getcolors(1 << 24)}
    assert (0, 0x72, 0xB2) in colors  # what is better is drawn in blue


def test_all_scores_and_another_place(runs, tmp_path, capsys):
    out = tmp_path / "picture.png"
    command.main([*map(str, runs), "--all", "--out", str(out)])
    printed = capsys.readouterr().out
    assert "DTW_PA_JPE_body_per_step" in printed and "BLEU-1" in printed
    assert out.exists()


def test_clips_that_one_lacks_are_left_out(tmp_path, runs, caplog):
    fewer = write_made_up_results(tmp_path / "fewer", clips=15, corpora=("how2sign", "csl"))
    caplog.set_level("WARNING")
    found = compare(read_results(runs[0]), read_results(fewer), ["DTW_JPE_body"])
    assert found.differences["total"]["DTW_JPE_body"].clips == 30
    assert "only the 30 clips that both have are compared; 30 are in A alone, 0 in B" in caplog.text


def test_runs_of_other_settings_are_told(tmp_path, runs, caplog):
    windowed = changed(runs[1], tmp_path / "windowed", configuration={"METRIC": {"WINDOW": 0.1}})
    compare(read_results(runs[0]), read_results(windowed), ["DTW_JPE_body"])
    assert "the settings of METRIC differ" in caplog.text


@pytest.mark.parametrize(
    "about, message",
    [
        ({"split": "val"}, "different splits \\('test' and 'val'\\)"),
        ({"body": "SMPL-X neutral"}, "different body models"),
        ({"system": "random_clip"}, "different systems"),
    ],
)
def test_what_is_not_alike_is_refused(tmp_path, runs, about, message):
    other = changed(runs[1], tmp_path / "other", **about)
    with pytest.raises(ValueError, match=message):
        compare(read_results(runs[0]), read_results(other))


def test_no_clip_in_common(tmp_path, runs):
    a = read_results(write_made_up_results(tmp_path / "a", clips=4, corpora=("csl",)))
    b = read_results(write_made_up_results(tmp_path / "b", clips=4, corpora=("phoenix",)))
    with pytest.raises(ValueError, match="no clip in common"):
        compare(a, b)


def test_an_unknown_score_is_named(runs):
    a, b = map(read_results, runs)
    with pytest.raises(ValueError, match=r"'DTW_JPE_hand' is not one of .* did you mean DTW_JPE_"):
        compare(a, b, ["DTW_JPE_hand"])
    with pytest.raises(ValueError, match=r"\.png"):
        command.main([*map(str, runs), "--out", "picture.pdf"])


def test_missing_and_damaged_results(tmp_path, runs):
    with pytest.raises(MissingAssetError, match="folder of results not found"):
        read_results(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingAssetError, match=r"metrics\.json.*python -m test"):
        read_results(tmp_path / "empty")
    alone = changed(runs[0], tmp_path / "alone")
    (alone / "clips.csv").unlink()
    with pytest.raises(MissingAssetError, match=r"clips\.csv"):
        read_results(alone)
    (alone / "metrics.json").write_text('{"name": ', encoding="utf-8")
    (alone / "clips.csv").write_bytes((runs[0] / "clips.csv").read_bytes())
    with pytest.raises(ValueError, match=r"damaged.*python -m test"):
        read_results(alone)


def test_results_of_an_earlier_version(tmp_path, runs):
    old = changed(runs[0], tmp_path / "old")
    content = json.loads((old / "metrics.json").read_text(encoding="utf-8"))
    del content["stand_in"]
    (old / "metrics.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match="does not say stand_in; an earlier version"):
        read_results(old)


def test_a_clip_that_is_there_twice(tmp_path, runs):
    twice = changed(runs[0], tmp_path / "twice")
    clips = pd.read_csv(twice / "clips.csv")
    pd.concat([clips, clips[:1]]).to_csv(twice / "clips.csv", index=False)
    with pytest.raises(ValueError, match="how2sign/clip-000 twice for the system 'generated'"):
        read_results(twice)
    clips.drop(columns="run").to_csv(twice / "clips.csv", index=False)
    with pytest.raises(ValueError, match="no column run"):
        read_results(twice)


def test_texts_that_look_like_nothing_are_texts(tmp_path):
    texts = dict.fromkeys(("how2sign", "csl", "phoenix"), "NA")
    results = read_results(write_made_up_results(tmp_path / "a", clips=3, texts=texts))
    assert set(results.rows()["text"]) == {"NA"}
    assert results.rows()["keywords"].isna().sum() == 6
    assert np.isfinite(results.scores()["chrF"](results.rows()))
