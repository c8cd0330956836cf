import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from soke.metrics import dtw_jpe
from soke.metrics.dtw import accumulate, dtw_jpe_matrix, pairwise_cost
from tests.metrics.clips import plain_jpe_cost, random_clip, textbook_dtw

seeds = st.integers(0, 2**32 - 1)
lengths = st.integers(1, 12)
few = settings(max_examples=40, deadline=None)


@few
@given(seeds, lengths, lengths)
def test_equals_the_textbook(seed, frames, others):
    rng = np.random.default_rng(seed)
    x, y = random_clip(rng, frames, points=6), random_clip(rng, others, points=6)
    cost = plain_jpe_cost(x, y, points=[1, 4, 5], root=2)
    assert np.allclose(pairwise_cost(x, y, [1, 4, 5], root=2), cost, rtol=0, atol=1e-14)
    assert dtw_jpe(x, y, [1, 4, 5], root=2) == pytest.approx(textbook_dtw(cost), abs=1e-12)


@few
@given(seeds, lengths, lengths)
def test_recurrence_equals_the_textbook(seed, frames, others):
    cost = np.random.default_rng(seed).normal(size=(frames, others))
    assert accumulate(cost) == pytest.approx(textbook_dtw(cost), abs=1e-12)


def test_the_score_is_a_sum_over_the_path():
    # one point 1 m off in three frames: three steps of cost 1/2, the root counting as a point
    x = np.zeros((3, 2, 3))
    y = x.copy()
    y[:, 1, 0] = 1
    assert dtw_jpe(x, y) == 1.5
    assert dtw_jpe(x, y, points=[1]) == 3
    assert dtw_jpe(x, y[:1], points=[1]) == 3


@few
@given(seeds, lengths, lengths)
def test_moving_either_clip_changes_nothing(seed, frames, others):
    rng = np.random.default_rng(seed)
    x, y = random_clip(rng, frames), random_clip(rng, others)
    wander = rng.normal(size=(frames, 1, 3)) * 3
    assert dtw_jpe(x + wander, y - [1, 2, 3]) == pytest.approx(dtw_jpe(x, y), abs=1e-12)


@few
@given(seeds, lengths, lengths)
def test_symmetric(seed, frames, others):
    rng = np.random.default_rng(seed)
    x, y = random_clip(rng, frames), random_clip(rng, others)
    assert dtw_jpe(x, y) == dtw_jpe(y, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_perfect_and_slowed_predictions_score_zero(dtype):
    x = random_clip(np.random.default_rng(0), 30, dtype=dtype)
    assert dtw_jpe(x, x) == 0
    assert dtw_jpe(np.repeat(x, 3, axis=0), x) == 0
    assert dtw_jpe(x, np.repeat(x, np.arange(30) % 3 + 1, axis=0)) == 0


def test_kinds_of_input_agree():
    rng = np.random.default_rng(1)
    x, y = random_clip(rng, 50), random_clip(rng, 40)
    expected = dtw_jpe(x, y)
    single = torch.tensor(x, dtype=torch.float32, requires_grad=True), torch.tensor(y).float()
    assert dtw_jpe(torch.tensor(x), y) == expected
    assert dtw_jpe(*single) == pytest.approx(expected, rel=1e-6)
    assert dtw_jpe(x[:, ::-1], y[:, ::-1], root=20) == pytest.approx(expected, abs=1e-12)
    assert dtw_jpe(x.tolist(), y.tolist()) == expected
    assert isinstance(dtw_jpe(*single), float)
    assert dtw_jpe((x * 1000).astype(int), (y * 1000).astype(int)) > 0


def test_inputs_are_left_alone():
    rng = np.random.default_rng(2)
    x, y = random_clip(rng, 5), random_clip(rng, 7)
    before = x.copy(), y.copy()
    dtw_jpe(x, y, [3, 4])
    assert (x == before[0]).all() and (y == before[1]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matrix_equals_single_calls(dtype):
    rng = np.random.default_rng(3)
    queries = [random_clip(rng, frames, dtype=dtype) for frames in (1, 9, 33, 4)]
    references = [random_clip(rng, frames, dtype=dtype) for frames in (12, 1, 25)]
    scores = dtw_jpe_matrix(queries, references, points=range(1, 21), root=0)
    single = [[dtw_jpe(q, r, range(1, 21), root=0) for r in references] for q in queries]
    assert scores.shape == (4, 3)
    assert np.allclose(scores, single, rtol=1e-12 if dtype == np.float64 else 1e-6)


def wrong(change):
    clip = np.zeros((4, 5, 3))
    clip[1, 2, 0] = change
    return clip


GOOD = np.zeros((4, 5, 3))


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (GOOD[0], GOOD, {}, r"generated: expected positions \[frames, points, 3\].*\(5, 3\)"),
        (GOOD, GOOD[..., :2], {}, r"reference: expected positions.*\(4, 5, 2\)"),
        (GOOD[:0], GOOD, {}, "at least one frame"),
        (GOOD[:, :0], GOOD, {}, "at least one frame"),
        (wrong(np.nan), GOOD, {}, "generated: positions must be finite"),
        (GOOD, wrong(np.inf), {}, "reference: positions must be finite"),
        (GOOD[:, :4], GOOD, {}, "generated has 4, reference 5"),
        (GOOD, GOOD, {"points": [0, 5]}, "indices run from 0 to 4"),
        (GOOD, GOOD, {"points": [-1]}, "indices run from 0 to 4"),
        (GOOD, GOOD, {"points": []}, "list of point indices"),
        (GOOD, GOOD, {"points": [0.5]}, "list of point indices"),
        (GOOD, GOOD, {"root": 5}, "indices run from 0 to 4"),
        (GOOD, GOOD, {"root": -1}, "indices run from 0 to 4"),
        (GOOD, GOOD, {"root": 1.0}, "indices run from 0 to 4"),
    ],
)
def test_bad_input_is_named(x, y, options, message):
    with pytest.raises(ValueError, match=message):
        dtw_jpe(x, y, **options)


def test_bad_input_of_the_matrix_and_the_recurrence():
    with pytest.raises(ValueError, match="no clips"):
        dtw_jpe_matrix([], [GOOD])
    with pytest.raises(ValueError, match="reference 1 has 4, query 0 5"):
        dtw_jpe_matrix([GOOD], [GOOD, GOOD[:, :4]])
    with pytest.raises(ValueError, match="query 1: positions must be finite"):
        dtw_jpe_matrix([GOOD, wrong(np.nan)], [GOOD])
    for cost in (np.zeros(3), np.zeros((0, 3)), np.full((2, 2), np.nan)):
        with pytest.raises(ValueError, match="finite cost matrix"):
            accumulate(cost)
