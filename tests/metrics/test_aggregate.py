import json

import numpy as np
import pytest
import torch
import torch.distributed
import torch.multiprocessing
from hypothesis import given, settings
from hypothesis import strategies as st

from soke.metrics.aggregate import TOTAL, CorpusMean


def share(rank, ranks, folder, work, *arguments):
    """What one rank does: its work, which ends in scores, written to a file of its own."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=ranks
    )
    scores = work(rank, ranks, *arguments)
    (folder / f"{rank}.json").write_text(json.dumps(scores))
    torch.distributed.destroy_process_group()


def on_ranks(ranks, folder, work, *arguments):
    """The scores that each of several processes reports."""
    torch.multiprocessing.spawn(share, (ranks, folder, work, *arguments), ranks)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(ranks)]


CLIPS = [("a", 1.0, 40), ("b", 7.0, 44), ("a", -3.0, 400), ("a", 0.5, 4), ("b", 2.0, 100)]


def mean_of(clips):
    means = CorpusMean(["a", "b", "c"], ["x", "squared"])
    for corpus, value, frames in clips:
        means.update(corpus, {"x": value, "squared": value**2}, weight=frames)
    return means


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.floats(-100, 100), st.integers(1, 400)), min_size=1
    )
)
def test_equals_numpy(clips):
    means = mean_of(clips).compute()
    for corpus in ("a", "b", TOTAL):
        own = [clip for clip in clips if corpus in (clip[0], TOTAL)]
        assert (corpus in means) == bool(own)
        if own:
            values, weights = np.array([clip[1:] for clip in own]).T
            expected = np.average(values, weights=weights), np.average(values**2, weights=weights)
            assert tuple(means[corpus].values()) == pytest.approx(expected, abs=1e-9)
    assert list(means)[-1] == TOTAL


def test_the_value_of_one_update_is_its_own():
    means = mean_of(CLIPS)
    before = means.compute()
    alone = means("b", {"x": 5.0, "squared": 25.0}, 3)
    assert alone == {"b": {"x": 5.0, "squared": 25.0}, TOTAL: {"x": 5.0, "squared": 25.0}}
    assert means.compute() == mean_of([*CLIPS, ("b", 5.0, 3)]).compute() != before


def test_nothing_seen_and_forgotten():
    means = mean_of(CLIPS)
    means.reset()
    assert means.compute() == {}


def test_state_does_not_grow():
    means = mean_of(CLIPS)
    sizes = {name: state.shape for name, state in means.metric_state.items()}
    for corpus, value, frames in CLIPS * 10:
        means.update(corpus, {"x": value, "squared": value**2}, weight=frames)
    assert sizes == {name: state.shape for name, state in means.metric_state.items()}


def shared_means(rank, ranks):
    """Means over both ranks: of unlike numbers of clips, and where the first rank has none."""
    shares = [CLIPS[:4], CLIPS[4:]], [[], CLIPS]
    return [mean_of(share[rank]).compute() for share in shares]


def test_ranks_count_each_clip_once(tmp_path):
    expected = mean_of(CLIPS).compute()
    for reported in on_ranks(2, tmp_path, shared_means):
        for scores in reported:
            assert set(scores) == set(expected)
            for corpus, values in expected.items():
                assert scores[corpus] == pytest.approx(values, rel=1e-12)


def test_bad_input_is_named():
    means = mean_of(CLIPS)
    before = means.compute()
    with pytest.raises(ValueError, match=r"unknown corpus 'd'; scores are kept for \['a', 'b'"):
        means.update("d", {"x": 1, "squared": 1})
    with pytest.raises(ValueError, match=r"no value for \['squared'\]; got \['x'\]"):
        means.update("a", {"x": 1})
    assert means.compute() == before
