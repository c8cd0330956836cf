from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soke.body.points import POINT_SETS
from soke.metrics.motion_statistics import deviation, motion_ratios, speed
from tests.metrics.clips import random_clip

SPEEDS = [f"speed_ratio_{name}" for name in (*POINT_SETS, "hands")]
DEVIATIONS = [f"deviation_ratio_{name}" for name in (*POINT_SETS, "hands")]


def posed(rng, frames):
    return {
        name: random_clip(rng, frames, points=len(points.points))
        for name, points in POINT_SETS.items()
    }


def each(clip, change):
    return {name: change(points) for name, points in clip.items()}


def test_closed_forms():
    to_and_fro = np.zeros((9, 1, 3))
    to_and_fro[1::2, 0, 1] = 3  # 5 frames at 0, 4 at 3
    assert speed(to_and_fro) == 3
    assert deviation(to_and_fro) == pytest.approx(3 * np.sqrt(5 * 4) / 9)
    two = np.concatenate([to_and_fro, np.zeros((9, 1, 3))], axis=1)  # one of two points moves
    assert speed(two) == 1.5
    assert deviation(two) == pytest.approx(3 * np.sqrt(5 * 4) / 9 / np.sqrt(2))
    assert speed(to_and_fro[:1]) == deviation(to_and_fro[:1]) == 0


def test_equals_plain_loops():
    rng = np.random.default_rng(0)
    x, y = posed(rng, 8), posed(rng, 11)
    found = motion_ratios(x, y)
    assert list(found) == [*SPEEDS, *DEVIATIONS]
    for name, points in POINT_SETS.items():
        speeds, deviations = [], []
        for clip in (x[name], y[name]):
            rooted = [[frame[p] - frame[0] for p in points.scored] for frame in clip]
            pairs = pairwise(rooted)
            speeds.append(np.mean([np.linalg.norm(b - a) for f, g in pairs for a, b in zip(f, g)]))
            mean = np.mean(rooted, axis=0)
            squares = [np.sum((p - m) ** 2) for frame in rooted for p, m in zip(frame, mean)]
            deviations.append(np.sqrt(np.mean(squares)))
        assert found[f"speed_ratio_{name}"] == pytest.approx(speeds[0] / speeds[1])
        assert found[f"deviation_ratio_{name}"] == pytest.approx(deviations[0] / deviations[1])
    for what in ("speed", "deviation"):
        hands = [found[f"{what}_ratio_{name}"] for name in ("lhand", "rhand")]
        assert found[f"{what}_ratio_hands"] == pytest.approx(np.mean(hands))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
def test_place_does_not_count_and_size_does(seed, size):
    rng = np.random.default_rng(seed)
    x = posed(rng, 9)
    wander = rng.normal(size=(9, 1, 3))
    found = motion_ratios(each(x, lambda points: size * points + wander), x)
    assert all(value == pytest.approx(size) for value in found.values())


def test_frozen_and_trembling_clips_show():
    rng = np.random.default_rng(1)
    x = posed(rng, 30)
    frozen = motion_ratios(each(x, lambda points: np.repeat(points[:1], 30, axis=0)), x)
    assert all(value == pytest.approx(0, abs=1e-12) for value in frozen.values())
    single = motion_ratios(each(x, lambda points: points[:1]), x)
    assert set(single.values()) == {0}
    noise = 0.2 * rng.normal(size=(30, 30, 3))
    trembling = motion_ratios(each(x, lambda p: p + noise[:, : p.shape[1]]), x)
    assert all(trembling[name] > 3 for name in SPEEDS)


def test_still_references_have_no_ratio():
    rng = np.random.default_rng(2)
    x = posed(rng, 6)
    for reference in (
        each(x, lambda points: points[:1]),
        each(x, lambda points: np.repeat(points[:1], 5, axis=0)),
        each(x, lambda points: points[:1] + 1e-8 * rng.normal(size=(5, 1, 1))),
    ):
        for generated in (x, reference):
            assert all(np.isnan(value) for value in motion_ratios(generated, reference).values())
    one_hand = {**x, "lhand": np.repeat(x["lhand"][:1], 6, axis=0)}
    found = motion_ratios(x, one_hand)
    assert np.isnan([found["speed_ratio_lhand"], found["speed_ratio_hands"]]).all()
    assert found["speed_ratio_rhand"] == found["speed_ratio_body"] == 1


def test_bad_input_is_named():
    rng = np.random.default_rng(3)
    x = posed(rng, 4)
    with pytest.raises(ValueError, match="lhand: generated: positions must be finite"):
        motion_ratios({**x, "lhand": x["lhand"] * np.nan}, x)
    with pytest.raises(ValueError, match=r"body: reference: .*at least one frame"):
        motion_ratios(x, {**x, "body": x["body"][:0]})
    with pytest.raises(ValueError, match="expected positions"):
        speed(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="expected positions"):
        deviation(np.zeros((0, 4, 3)))
