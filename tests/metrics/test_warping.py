"""The window, the steps of the path, and another library's opinion."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tslearn.metrics import dtw_path_from_metric

from soke.metrics import dtw_jpe, dtw_pa_jpe
from soke.metrics.dtw import (
    Warping,
    accumulate,
    dtw_jpe_matrix,
    warp,
    warp_jpe,
    warp_pa_jpe,
)
from soke.metrics.threads import run_in_blocks
from soke.metrics.warping import band
from tests.metrics.clips import (
    plain_jpe_cost,
    plain_pa_cost,
    random_clip,
    textbook_band,
    textbook_dtw,
    textbook_steps,
)

seeds = st.integers(0, 2**32 - 1)
lengths = st.integers(1, 14)
shares = st.integers(0, 20).map(lambda n: Fraction(n, 20))
few = settings(max_examples=60, deadline=None)


@few
@given(lengths, lengths, shares)
def test_the_band_is_that_of_the_definition(frames, others, share):
    columns = band(frames, others, float(share))
    allowed = [[first <= j < last for j in range(others)] for first, last in columns]
    assert allowed == textbook_band(frames, others, share)


def test_a_band_of_frames():
    for frames in (5, 12, 101):
        for radius in range(frames):
            apart = np.abs(np.arange(frames)[:, None] - np.arange(frames)) <= radius
            columns = band(frames, frames, radius / (frames - 1))
            assert (columns[:, 0] == apart.argmax(axis=1)).all()
            assert (columns[:, 1] == frames - apart[:, ::-1].argmax(axis=1)).all()


@few
@given(seeds, lengths, lengths, shares, st.booleans())
def test_cost_and_steps_equal_the_textbook(seed, frames, others, share, ties):
    rng = np.random.default_rng(seed)
    cost = rng.normal(size=(frames, others))
    if ties:
        cost = np.round(cost)
    for window, allowed in ((None, None), (float(share), textbook_band(frames, others, share))):
        path = warp(cost, window)
        assert path.cost == textbook_dtw(cost, allowed) == accumulate(cost, window)
        assert path.steps == textbook_steps(cost, allowed)
        assert path.per_step == path.cost / path.steps


def test_the_fewest_steps_of_equal_paths_count():
    still = np.zeros((5, 3))
    assert warp(still) == Warping(0.0, 5)
    # the way along the diagonal costs 2, as does the longer one round the corner
    assert warp(np.array([[0.0, 1], [1, 1]])) == Warping(1.0, 2)
    assert warp(np.array([[0.0, 0], [9, 0]])) == Warping(0.0, 2)
    assert warp(np.array([[0.0, 0, 9], [9, 5, 0], [9, 9, 0]])) == Warping(0.0, 4)


@pytest.mark.parametrize(
    ("frames", "others", "radius"),  # the library's band does not follow the slope
    [(24, 17, None), (5, 31, None), *((n, n, r) for n in (9, 24) for r in (None, 0, 1, 3, 8))],
)
def test_another_library_agrees(frames, others, radius):
    rng = np.random.default_rng(frames)
    x, y = random_clip(rng, frames), random_clip(rng, others)
    options, window = {}, None
    if radius is not None:
        options = {"global_constraint": "sakoe_chiba", "sakoe_chiba_radius": radius}
        window = min(1.0, radius / (frames - 1))
    for cost, ours in (
        (plain_jpe_cost(x, y), warp_jpe(x, y, window=window)),
        (plain_pa_cost(x, y), warp_pa_jpe(x, y, window=window)),
    ):
        path, expected = dtw_path_from_metric(np.array(cost), metric="precomputed", **options)
        assert ours.cost == pytest.approx(expected, abs=1e-9)
        assert ours.steps == len(path)


@settings(max_examples=15, deadline=None)
@given(seeds, lengths, lengths, shares)
def test_windowed_scores_equal_the_textbook(seed, frames, others, share):
    rng = np.random.default_rng(seed)
    x, y = random_clip(rng, frames), random_clip(rng, others)
    window, allowed = float(share), textbook_band(frames, others, share)
    cost, points = plain_jpe_cost(x, y, [1, 5]), [1, 5]
    expected = textbook_dtw(cost, allowed)
    assert dtw_jpe(x, y, points, window=window) == pytest.approx(expected, abs=1e-12)
    assert dtw_jpe_matrix([x], [y], points, window=window) == pytest.approx(expected, abs=1e-12)
    assert warp_jpe(x, y, points, window=window).steps == textbook_steps(cost, allowed)
    expected = textbook_dtw(plain_pa_cost(x, y, points), allowed)
    assert dtw_pa_jpe(x, y, points, window) == pytest.approx(expected, abs=1e-10)


@few
@given(seeds, lengths, lengths, shares, shares)
def test_windows_only_ever_raise_the_score(seed, frames, others, share, other_share):
    rng = np.random.default_rng(seed)
    x, y = random_clip(rng, frames), random_clip(rng, others)
    narrow, wide = sorted((float(share), float(other_share)))
    for score in (dtw_jpe, dtw_pa_jpe):
        free = score(x, y)
        assert score(x, y, window=1) == free <= score(x, y, window=wide) + 1e-12
        assert np.isfinite(score(x, y, window=narrow))
        assert score(x, y, window=wide) <= score(x, y, window=narrow) + 1e-12
    assert dtw_jpe(y, x, window=narrow) == dtw_jpe(x, y, window=narrow)
    assert warp_jpe(y, x, window=narrow) == warp_jpe(x, y, window=narrow)


def test_a_delayed_clip_is_matched_only_by_a_window_wide_enough():
    x = random_clip(np.random.default_rng(0), 41)
    x[-5:] = x[-5]  # it ends standing still, so that nothing is lost
    late = np.concatenate([np.repeat(x[:1], 4, axis=0), x[:-4]])
    assert dtw_jpe(late, x, window=4 / 40) == pytest.approx(0, abs=1e-12)
    assert dtw_jpe(late, x, window=3 / 40) > 1e-3


def test_uniform_changes_of_speed_need_no_window():
    x = random_clip(np.random.default_rng(1), 12)
    slow = np.repeat(x, 2, axis=0)[:-1]  # frame 2 i is frame i
    assert dtw_jpe(slow, x, window=0) == 0
    assert warp_jpe(slow, x, window=0).steps == len(slow)


def test_one_frame_meets_all_others():
    rng = np.random.default_rng(2)
    x, y = random_clip(rng, 1), random_clip(rng, 9)
    for window in (None, 0, 0.1):
        assert warp_jpe(x, y, window=window).steps == 9
        assert dtw_jpe(x, y, window=window) == pytest.approx(np.sum(plain_jpe_cost(x, y)))
        assert warp_pa_jpe(y, x, window=window).steps == 9
        assert warp_pa_jpe(x, x, window=window) == Warping(pytest.approx(0, abs=1e-12), 1)


@pytest.mark.parametrize("window", [None, 0.1])
def test_threads_and_blocks_of_rows_change_nothing(window, monkeypatch):
    monkeypatch.setattr("soke.metrics.dtw.threads_worth", lambda work: 3)
    rng = np.random.default_rng(3)
    for frames, others in ((200, 183), (121, 64), (122, 64), (123, 64)):
        x, y = random_clip(rng, frames), random_clip(rng, others)
        alone = warp_pa_jpe(x, y, window=window, alone=True)
        assert alone == warp_pa_jpe(x, y, window=window)
        assert alone.cost == dtw_pa_jpe(x, y, window=window)
        assert warp_jpe(x, y, window=window).cost == dtw_jpe(x, y, window=window)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("rows", [1, 16, 33, 200])
def test_every_row_is_in_one_block(rows, threads):
    found = []
    run_in_blocks(lambda begin, end: found.extend(range(begin, end)), rows, threads)
    assert sorted(found) == list(range(rows))


def test_what_goes_wrong_in_a_thread_is_raised():
    def call(begin, end):
        raise ValueError("here")

    with pytest.raises(ValueError, match="here"):
        run_in_blocks(call, 50, 2)


@pytest.mark.parametrize("window", [-0.1, 1.5, 5, float("nan"), float("inf"), "0.1", True])
def test_bad_windows_are_named(window):
    x = np.zeros((4, 5, 3))
    for call in (dtw_jpe, dtw_pa_jpe, warp_jpe, warp_pa_jpe):
        with pytest.raises(ValueError, match=r"window: expected a share .* from 0 to 1.*got"):
            call(x, x, window=window)
    with pytest.raises(ValueError, match="window: expected a share"):
        dtw_jpe_matrix([x], [x], window=window)
    with pytest.raises(ValueError, match="window: expected a share"):
        accumulate(np.zeros((3, 3)), window=window)
