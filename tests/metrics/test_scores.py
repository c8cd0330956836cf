"""Scores of sums, their intervals and tests against scipy and against closed forms."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from soke.metrics.scores import (
    Score,
    bootstrap,
    interval_over_runs,
    mean_score,
    paired_difference,
    paired_differences,
    ratio_score,
    share_score,
)


def table(**columns):
    """A clip a row, in two corpora."""
    count = len(next(iter(columns.values())))
    corpora = ["how2sign" if i % 2 else "phoenix" for i in range(count)]
    names = [f"clip-{i:04d}" for i in range(count)]
    return pd.DataFrame({"corpus": corpora, "name": names, **columns})


def draws(seed, count):
    return np.random.default_rng(seed).gamma(2.0, 1.5, count)


def test_scores_of_a_table():
    rows = table(x=[1.0, 2.0, 6.0], edits=[0.0, 1.0, 3.0], letters=[4.0, 2.0, 2.0])
    assert mean_score("x")(rows) == 3
    assert mean_score("of x", "x")(rows) == 3
    assert ratio_score("rate", "edits", "letters")(rows) == 0.5
    assert share_score("two or less", "x", lambda x: x <= 2)(rows) == pytest.approx(2 / 3)


def test_a_clip_with_nan_does_not_count():
    rows = table(x=[1.0, math.nan, 3.0], y=[1.0, 1.0, math.nan])
    assert mean_score("x")(rows) == 2
    assert ratio_score("rate", "x", "y")(rows) == 1  # only the first clip has both
    assert share_score("low", "x", lambda x: x <= 1)(rows) == 0.5
    whole = rows.dropna(subset="x")
    assert bootstrap([mean_score("x")], rows) == bootstrap([mean_score("x")], whole)


def test_without_clips_a_score_is_nan():
    rows = table(x=[1.0, 2.0])[:0]
    assert math.isnan(mean_score("x")(rows))
    assert all(map(math.isnan, bootstrap([mean_score("x")], rows)["x"]))
    nothing = paired_difference(mean_score("x"), rows, rows)
    assert nothing.clips == 0 and math.isnan(nothing.p_value) and math.isnan(nothing.difference)


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match=r"x needs the columns \['x'\]"):
        mean_score("x")(table(y=[1.0]))
    with pytest.raises(ValueError, match="name"):
        bootstrap([mean_score("x")], pd.DataFrame({"corpus": ["csl"], "x": [1.0]}))


def test_one_clip_has_no_interval():
    assert all(map(math.isnan, bootstrap([mean_score("x")], table(x=[4.0]))["x"]))
    pair = paired_difference(mean_score("x"), table(x=[4.0]), table(x=[3.0]))
    assert math.isnan(pair.low) and pair.difference == -1 and pair.p_value == 1


def test_bootstrap_is_that_of_scipy():
    values = draws(0, 60)
    low, high = bootstrap([mean_score("x")], table(x=values), 20_000)["x"]
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    spread = values.std() / math.sqrt(60)
    assert low == pytest.approx(theirs.low, abs=0.05 * spread)
    assert high == pytest.approx(theirs.high, abs=0.05 * spread)


def test_bootstrap_of_a_ratio_is_that_of_scipy():
    above, below = draws(1, 80), draws(2, 80)
    rows = table(above=above, below=below)
    low, high = bootstrap([ratio_score("r", "above", "below")], rows, 20_000, level=0.8)["r"]
    theirs = stats.bootstrap(
        (above, below),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        n_resamples=20_000,
        method="percentile",
        confidence_level=0.8,
        rng=np.random.default_rng(5),
    ).confidence_interval
    assert low == pytest.approx(theirs.low, rel=0.01)
    assert high == pytest.approx(theirs.high, rel=0.01)


def test_bootstrap_of_many_clips_is_normal():
    values = draws(3, 3000)
    low, high = bootstrap([mean_score("x")], table(x=values), 5000)["x"]
    half = 1.959964 * values.std() / math.sqrt(3000)
    assert low == pytest.approx(values.mean() - half, abs=0.06 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.06 * half)


def test_intervals_cover_the_truth_as_often_as_they_say():
    hits = 0
    for seed in range(300):
        values = np.random.default_rng(seed).normal(7.0, 2.0, 50)
        low, high = bootstrap([mean_score("x")], table(x=values), 400, seed, level=0.9)["x"]
        hits += low <= 7.0 <= high
    assert 0.85 <= hits / 300 <= 0.95


def test_the_order_of_rows_and_the_other_scores_do_not_matter():
    rows = pd.concat([table(x=draws(4, 40), y=draws(5, 40)).assign(run=run) for run in range(2)])
    rows["x"] *= 1 + 0.1 * rows["run"]
    scores = [mean_score("x"), ratio_score("r", "x", "y")]
    shuffled = rows.sample(frac=1, random_state=1)
    assert bootstrap(scores, rows) == bootstrap(scores, shuffled)
    alone = bootstrap(scores[:1], rows)["x"]
    assert bootstrap(scores[::-1], shuffled)["x"] == pytest.approx(alone, rel=1e-12)
    assert [score(rows) for score in scores] == [score(shuffled) for score in scores]
    better = rows.assign(x=rows["x"] - 0.2)
    pair = paired_difference(scores[0], rows, better)
    assert pair == paired_difference(scores[0], shuffled, better)
    assert bootstrap(scores, rows, seed=1) != bootstrap(scores, rows)


def test_blocks_of_resamples_change_nothing(monkeypatch):
    rows, other = table(x=draws(6, 30)), table(x=draws(7, 30))
    whole = bootstrap([mean_score("x")], rows), paired_difference(mean_score("x"), rows, other)
    monkeypatch.setattr("soke.metrics.scores.significance._BLOCK", 700)
    parts = bootstrap([mean_score("x")], rows), paired_difference(mean_score("x"), rows, other)
    assert parts[0]["x"] == pytest.approx(whole[0]["x"])
    assert (parts[1].low, parts[1].p_value) == pytest.approx((whole[1].low, whole[1].p_value))


def test_runs_of_a_clip_stay_together():
    """Ten equal runs say no more of how clips differ than one."""
    rows = table(x=draws(8, 40))
    runs = pd.concat([rows.assign(run=run) for run in range(10)])
    alone, many = (bootstrap([mean_score("x")], each)["x"] for each in (rows, runs))
    assert many == pytest.approx(alone)
    other = table(x=draws(9, 40))
    alone, many = (paired_difference(mean_score("x"), each, other) for each in (rows, runs))
    assert (many.clips, many.p_value) == (40, alone.p_value)
    assert (many.difference, many.low) == pytest.approx((alone.difference, alone.low))


def test_p_value_is_that_of_scipy_where_all_flips_are_tried():
    a, b = draws(10, 11), draws(11, 11) + 0.8
    theirs = stats.permutation_test(
        (a, b),
        lambda x, y, axis: (y - x).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=10_000,
    )
    ours = paired_difference(mean_score("x"), table(x=a), table(x=b))
    assert ours.p_value == pytest.approx(theirs.pvalue)
    assert ours.difference == pytest.approx(theirs.statistic)


def test_p_value_is_that_of_scipy_where_flips_are_drawn():
    a = draws(12, 100)
    b = a + np.random.default_rng(13).normal(0.15, 1.0, 100)
    theirs = stats.permutation_test(
        (a, b),
        lambda x, y, axis: (y - x).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    )
    ours = paired_difference(mean_score("x"), table(x=a), table(x=b), 20_000)
    assert 0.01 < ours.p_value < 0.99
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=0.015)


def test_p_value_of_a_corpus_score_counts_all_swaps():
    """Approximate randomization by a loop over all ways to swap the two systems' rows."""
    rows = [table(up=draws(seed, 9), low=draws(seed + 1, 9)) for seed in (14, 16)]
    observed = (
        rows[1]["up"].sum() / rows[1]["low"].sum() - rows[0]["up"].sum() / rows[0]["low"].sum()
    )
    extreme = 0
    for flips in itertools.product([False, True], repeat=9):
        mask = np.array(flips)[:, None]
        both = [row[["up", "low"]].to_numpy() for row in rows]
        a, b = np.where(mask, both[1], both[0]), np.where(mask, both[0], both[1])
        ratio_a, ratio_b = (side[:, 0].sum() / side[:, 1].sum() for side in (a, b))
        extreme += abs(ratio_b - ratio_a) >= abs(observed) - 1e-12
    ours = paired_difference(ratio_score("r", "up", "low"), *rows)
    assert ours.p_value == extreme / 2**9
    assert ours.difference == pytest.approx(observed)


def test_p_values_of_like_systems_are_spread_evenly():
    found = []
    for seed in range(200):
        noise = np.random.default_rng(seed).normal(size=(2, 30))
        pair = paired_difference(mean_score("x"), table(x=noise[0]), table(x=noise[1]), 500, seed)
        found.append(pair.p_value)
    assert stats.kstest(found, "uniform").pvalue > 0.001


def test_a_paired_difference_is_surer_than_two_intervals():
    values = draws(18, 200)
    rows, better = table(x=values), table(x=values - 0.1 - 0.05 * draws(19, 200))
    pair = paired_difference(mean_score("x"), rows, better)
    assert pair.low <= pair.difference <= pair.high < 0 and pair.p_value < 0.001
    intervals = [bootstrap([mean_score("x")], each)["x"] for each in (rows, better)]
    assert intervals[1][1] > intervals[0][0]  # they overlap


def test_interval_of_the_difference_is_the_bootstrap_of_differences():
    a, b = draws(20, 50), draws(21, 50)
    pair = paired_difference(mean_score("x"), table(x=a), table(x=b), 5000)
    alone = bootstrap([mean_score("x")], table(x=b - a), 5000)["x"]
    assert (pair.low, pair.high) == pytest.approx(alone)


def test_equal_systems_do_not_differ():
    rows = table(x=draws(22, 30))
    pair = paired_difference(mean_score("x"), rows, rows)
    assert (pair.difference, pair.low, pair.high, pair.p_value) == (0, 0, 0, 1)


def test_only_clips_that_both_have_are_compared():
    rows = table(x=[1.0, 2.0, 3.0, 4.0])
    other = table(x=[2.0, math.nan, 4.0, 9.0])[:3]
    pair = paired_difference(mean_score("x"), rows, other)
    assert (pair.clips, pair.a, pair.b) == (2, 2, 3)


def test_differences_of_scores_with_other_clips_are_kept_apart():
    rows = table(x=draws(23, 20), y=draws(24, 20))
    rows.loc[::2, "y"] = math.nan
    other = table(x=draws(25, 20), y=draws(26, 20))
    scores = [mean_score("x"), mean_score("y")]
    together = paired_differences(scores, rows, other)
    assert together == {s.name: paired_difference(s, rows, other) for s in scores}
    assert [pair.clips for pair in together.values()] == [20, 10]


def test_interval_over_runs_is_students():
    values = [3.1, 2.7, 3.4, 3.0]
    mean, low, high = interval_over_runs(values, 0.9)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert (mean, low, high) == pytest.approx((np.mean(values), theirs.low, theirs.high))
    mean, low, high = interval_over_runs([2.0])
    assert mean == 2 and math.isnan(low) and math.isnan(high)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="at least one run"):
        interval_over_runs([])
    with pytest.raises(ValueError, match="level"):
        bootstrap([mean_score("x")], table(x=[1.0, 2.0]), level=95)
    with pytest.raises(ValueError, match="resample"):
        bootstrap([mean_score("x")], table(x=[1.0, 2.0]), resamples=0)


def test_a_score_of_several_columns_gets_their_sums_in_order():
    score = Score("s", ("b", "a"), lambda sums, clips: sums[..., 0] - sums[..., 1] + 100 * clips)
    assert score(table(a=[1.0, 2.0], b=[10.0, 20.0])) == 30 - 3 + 200
