import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from soke.body.points import ALL_JOINTS, POINT_SETS
from soke.metrics import dtw_jpe, dtw_pa_jpe
from soke.metrics.dtw import warp_jpe, warp_pa_jpe
from soke.metrics.generation import (
    ALL_DTW_NAMES,
    DTW_NAMES,
    dtw_errors,
    generation_errors,
    generation_errors_of_clips,
)
from tests.metrics.clips import plain_pa_cost, random_clip, textbook_dtw

BODY = POINT_SETS["body"]


def posed(rng, frames, dtype=np.float64):
    """Made-up scored points, the body's among all joints."""
    joints = random_clip(rng, frames, points=144, dtype=dtype)
    body = joints[:, [0, *BODY.joints]]
    hands = {name: random_clip(rng, frames, dtype=dtype) for name in ("lhand", "rhand")}
    return {"body": body, **hands, ALL_JOINTS: joints}


def test_every_score_is_that_of_its_points():
    rng = np.random.default_rng(0)
    x, y = posed(rng, 9), posed(rng, 12)
    errors = generation_errors(x, y)
    assert list(errors) == ALL_DTW_NAMES and len(ALL_DTW_NAMES) == 16
    assert list(dtw_errors(x, y)) == DTW_NAMES
    assert dtw_errors(x, y) == {name: errors[name] for name in DTW_NAMES}
    assert errors["DTW_JPE_body"] == dtw_jpe(x["body"], y["body"], points=range(1, 13))
    assert errors["DTW_JPE_rhand"] == dtw_jpe(x["rhand"], y["rhand"])
    assert errors["DTW_PA_JPE_lhand"] == dtw_pa_jpe(x["lhand"], y["lhand"])
    for kind, warp in (("JPE", warp_jpe), ("PA_JPE", warp_pa_jpe)):
        steps = warp(x["lhand"], y["lhand"]).steps
        per_step = errors[f"DTW_{kind}_lhand_per_step"]
        assert per_step == pytest.approx(errors[f"DTW_{kind}_lhand"] / steps)
        for end in ("", "_per_step"):
            hands = [errors[f"DTW_{kind}_{name}{end}"] for name in ("lhand", "rhand")]
            assert errors[f"DTW_{kind}_hands{end}"] == pytest.approx(np.mean(hands))


def test_the_body_is_aligned_over_all_joints_and_twelve_are_scored():
    rng = np.random.default_rng(1)
    x, y = posed(rng, 4), posed(rng, 5)
    wanted = [12, 16, 17, 18, 19, 20, 21, 59, 58, 57, 56, 55]
    expected = textbook_dtw(plain_pa_cost(x[ALL_JOINTS], y[ALL_JOINTS], wanted))
    error = generation_errors(x, y)["DTW_PA_JPE_body"]
    assert error == pytest.approx(expected, abs=1e-10)
    over_few = textbook_dtw(plain_pa_cost(x["body"][:, 1:], y["body"][:, 1:]))
    assert abs(error - over_few) > 1e-3


def test_perfect_predictions_score_zero_at_any_speed():
    rng = np.random.default_rng(2)
    x = posed(rng, 10)
    slow = {name: np.repeat(points, 2, axis=0) for name, points in x.items()}
    for prediction in (x, slow):
        assert generation_errors(prediction, x) == pytest.approx(dict.fromkeys(ALL_DTW_NAMES, 0))
    turn = Rotation.random(rng=rng).as_matrix()
    moved = {name: 1.2 * points @ turn + 1 for name, points in x.items()}
    errors = generation_errors(moved, x)
    assert all((value < 1e-9) == ("PA" in name) for name, value in errors.items())


def test_the_window_reaches_every_score():
    rng = np.random.default_rng(3)
    y = posed(rng, 20)
    x = {name: np.concatenate([clip[:1]] * 5 + [clip[:-5]]) for name, clip in y.items()}  # late
    free, narrow = generation_errors(x, y), generation_errors(x, y, window=0)
    for name in ALL_DTW_NAMES:
        if name.endswith("_per_step"):
            total = narrow[name.removesuffix("_per_step")]
            assert narrow[name] == pytest.approx(total / 20)  # only the diagonal is left
        else:
            assert narrow[name] > free[name]
    assert dtw_errors(x, y, window=0) == {name: narrow[name] for name in DTW_NAMES}


def test_many_clips_are_scored_as_one_by_one_in_their_order():
    rng = np.random.default_rng(4)
    frames = rng.integers(1, 30, size=(15, 2))
    pairs = [(posed(rng, t, np.float32), posed(rng, u, np.float32)) for t, u in frames]
    expected = [generation_errors(x, y, window=0.2) for x, y in pairs]
    for threads in (None, 1, 3):
        assert list(generation_errors_of_clips(pairs, window=0.2, threads=threads)) == expected
    assert list(generation_errors_of_clips([])) == []


def test_clips_are_drawn_only_a_few_ahead():
    rng = np.random.default_rng(5)
    clip, drawn = posed(rng, 3), []

    def pairs():
        for i in range(50):
            drawn.append(i)
            yield clip, clip

    scored = generation_errors_of_clips(pairs(), threads=2)
    next(scored)
    assert len(drawn) == 5
    assert len(list(scored)) == 49


def broken(clip, name, value):
    return {**clip, name: value}


def test_bad_clips_are_named():
    rng = np.random.default_rng(6)
    x, y = posed(rng, 4), posed(rng, 5)
    for name in (*POINT_SETS, ALL_JOINTS):
        holes = x[name].copy()
        holes[2, 1, 0] = np.nan
        with pytest.raises(ValueError, match=f"{name}: generated: positions must be finite"):
            generation_errors(broken(x, name, holes), y)
        with pytest.raises(ValueError, match=f"{name}: reference: positions must be finite"):
            generation_errors(y, broken(x, name, holes))
        with pytest.raises(ValueError, match=f"{name}: generated: .*at least one frame"):
            generation_errors(broken(x, name, x[name][:0]), y)
        with pytest.raises(ValueError, match=f"{name}: all clips need the same points"):
            generation_errors(broken(x, name, x[name][:, 1:]), y)
        missing = {key: points for key, points in y.items() if key != name}
        with pytest.raises(ValueError, match=f"reference: no points '{name}', only"):
            generation_errors(x, missing)
    with pytest.raises(ValueError, match="all_joints=True"):
        generation_errors({name: x[name] for name in POINT_SETS}, y)
    with pytest.raises(ValueError, match="rhand: generated: positions must be finite"):
        dtw_errors(broken(x, "rhand", x["rhand"] + np.inf), y)


def test_a_bad_clip_among_many_is_named():
    rng = np.random.default_rng(7)
    x, y = posed(rng, 4), posed(rng, 5)
    pairs = [(x, y), (x, broken(y, "lhand", y["lhand"] * np.nan))]
    with pytest.raises(ValueError, match="clip 1: lhand: reference: positions must be finite"):
        list(generation_errors_of_clips(pairs))
    with pytest.raises(ValueError, match="csl/b: lhand: reference"):
        list(generation_errors_of_clips(pairs, names=["csl/a", "csl/b"]))
    with pytest.raises(ValueError, match="shorter"):
        list(generation_errors_of_clips(pairs[:1] * 2, names=["csl/a"]))
