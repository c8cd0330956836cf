"""Clips shared by processes, resumed after a kill, and put together to results."""

import json

import pandas as pd
import pytest
import torch

from soke.body import BodyModel
from soke.evaluation.distributed import Evaluation, measure_portions
from soke.evaluation.journal import Journal, Record
from soke.evaluation.references import Reference, Signing, System
from soke.evaluation.results import clip_table, commit, timing, versions, write_results
from soke.evaluation.scorer import ClipScorer
from soke.evaluation.summary import intervals, named, over_runs, score_list, summarize
from soke.evaluation.text_to_motion import signing_measures

COUNT, SIZE = 7, 2


def motion(seed, frames=12):
    steps = torch.randn(frames, 133, generator=torch.Generator().manual_seed(seed))
    return steps.cumsum(dim=0) * 0.05


REFERENCES = [Reference(f"clip-{i}", ("csl", "phoenix")[i % 2], "text") for i in range(COUNT)]
SYSTEMS = [
    System("generated", lambda places: [Signing(motion(100 + p, 10 + p)) for p in places], run=3),
    System("truth", lambda places: [Signing(motion(p)) for p in places]),
]
KEYS = [system.key for system in SYSTEMS]


@pytest.fixture(scope="module")
def scorer():
    return ClipScorer(
        BodyModel(), REFERENCES, lambda places: [motion(place) for place in places], gallery=4
    )


def opened(folder, rank=0):
    journal = Journal(folder, rank)
    journal.open({})
    return journal


def score_systems(systems, scorer, journal, before=(), rank=0, world=1, keep=None):
    measures = signing_measures(scorer, systems, keep)
    evaluation = Evaluation(journal.folder, {}, {}, REFERENCES, measures, SIZE)
    measure_portions(evaluation, journal, before, rank, world)


@pytest.fixture(scope="module")
def whole(scorer, tmp_path_factory):
    journal = opened(tmp_path_factory.mktemp("whole"))
    score_systems(SYSTEMS, scorer, journal)
    return clip_table(journal.records(), KEYS, REFERENCES)


def test_every_clip_counts_once(whole):
    assert len(whole) == 2 * COUNT
    assert whole["name"].tolist() == 2 * [reference.name for reference in REFERENCES]
    assert whole["run"].tolist() == COUNT * [3] + COUNT * [0]
    assert (whole[whole["system"] == "truth"]["rank"] == 1).all()


@pytest.mark.parametrize("world", [2, 3, 9])
def test_any_number_of_processes_gives_the_same_numbers(scorer, whole, tmp_path, world):
    for rank in range(world):
        score_systems(SYSTEMS, scorer, opened(tmp_path, rank), (), rank, world)
    table = clip_table(Journal(tmp_path).records(), KEYS, REFERENCES)
    pd.testing.assert_frame_equal(table, whole, check_exact=True)


def test_an_interrupted_evaluation_goes_on(scorer, whole, tmp_path):
    calls = []

    def dies(places):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(places)
        return SYSTEMS[0].sign(places)

    journal = opened(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        score_systems([System("generated", dies, 3), SYSTEMS[1]], scorer, journal)
    before = journal.records()
    assert 0 < len(before) < 8
    counted = []

    def counts(places):
        counted.extend(places)
        return SYSTEMS[0].sign(places)

    systems = [System("generated", counts, 3), SYSTEMS[1]]
    score_systems(systems, scorer, journal, before)
    done = {row["name"] for r in before if r.system == "generated" for row in r.rows}
    assert {REFERENCES[place].name for place in counted}.isdisjoint(done)
    table = clip_table(journal.records(), KEYS, REFERENCES)
    pd.testing.assert_frame_equal(table, whole, check_exact=True)


def test_a_missing_or_a_second_row_is_an_error(scorer, tmp_path):
    row = {"corpus": "csl", "name": "clip-0"}
    with pytest.raises(ValueError, match="csl/clip-0 was scored twice for x"):
        clip_table([Record("x", 0, 0, [row, row])], [("x", 0)], REFERENCES[:1])
    with pytest.raises(ValueError, match=r"1 clips have no score for x, run 0: \['phoenix/clip-1"):
        clip_table([Record("x", 0, 0, [row])], [("x", 0)], REFERENCES[:2])


def test_what_was_signed_can_be_kept(scorer, tmp_path):
    kept = []
    journal = opened(tmp_path)

    def keep(truth, signings):
        assert len(journal.records()) == 2 * len(kept)  # it is kept before there is a record
        kept.append([*truth.places, *(len(signing.motion) for signing in signings)])

    score_systems(SYSTEMS, scorer, journal, keep=keep)
    assert kept == [[0, 1, 10, 11], [2, 3, 12, 13], [4, 5, 14, 15], [6, 16]]


def test_summaries_intervals_and_names(whole):
    rows = whole[whole["system"] == "generated"]
    scores = score_list(rows.columns)
    summary, bounds = summarize(rows, scores), intervals(rows, scores)
    for corpus, values in summary.items():
        low, high = bounds[corpus]["DTW_PA_JPE_rhand"]
        assert low <= values["DTW_PA_JPE_rhand"] <= high
    of_csl = rows[rows["corpus"] == "csl"]["DTW_JPE_body"].mean()
    assert named(summary)["csl_DTW_JPE_body"] == pytest.approx(of_csl)
    assert not any(name.startswith("total") for name in named(summary))
    runs = over_runs([{"total": {"x": 1.0, "clips": 3}}, {"total": {"x": 2.0, "clips": 3}}])
    mean, low, high = runs["total"]["x"]
    # Student's t of one degree of freedom at 97.5 %: 12.706
    assert mean == 1.5 and high - mean == pytest.approx(12.706 * 0.5, rel=1e-4)
    assert mean - low == pytest.approx(high - mean) and "clips" not in runs["total"]


def test_seconds_are_added_up_by_stage():
    rows = [{"name": "a"}, {"name": "b"}]
    records = [
        Record("generated", 0, 0, rows, {"decoding": 1.0, "tokenizer": 0.5}, 60),
        Record("generated", 0, 1, rows[:1], {"decoding": 2.0}, 10),
        Record("truth", 0, 0, rows, {"body_model": 100.0}, 60),
    ]
    found = timing(records, "generated")
    assert found == {"decoding": 1.0, "tokenizer": pytest.approx(0.5 / 3), "frames_per_second": 20}
    assert timing(records, "truth") == {"body_model": 50.0}  # nothing was generated


def test_results_are_written_as_promised(tmp_path):
    scores = {"how2sign": {"R@1": 0.5, "clips": 2}, "total": {"R@1": 0.5, "clips": 2}}
    about = {"name": "run", "body": "some body"}
    clips, bounds = pd.DataFrame({"name": ["a"]}), {"total": {"R@1": (0.25, 0.75)}}
    write_results(tmp_path, about, scores, {"floor": scores}, clips, bounds, timing={"x": 1})
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["scores"]["total"]["R@1"] == 0.5 and content["timing"] == {"x": 1}
    assert content["baselines"]["floor"]["how2sign"]["R@1"] == 0.5
    assert content["intervals"]["total"]["R@1"] == [0.25, 0.75]
    table = (tmp_path / "table.txt").read_text()
    assert "some body" in table and "floor" in table and "0.250 - 0.750" in table
    assert (tmp_path / "clips.csv").read_text() == "name\na\n"


def test_where_numbers_come_from():
    assert {"python", "torch", "numpy"} <= set(versions())
    code = commit()
    assert code is None or len(code.rstrip("+")) == 40
