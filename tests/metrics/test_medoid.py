import numpy as np
import pytest

from soke.body.points import POINT_SETS
from soke.metrics.medoid import medoid, recording_distances
from tests.metrics.clips import plain_jpe_cost, random_clip, textbook_dtw


def recording(rng, frames):
    sizes = {name: len(points.points) for name, points in POINT_SETS.items()}
    return {name: random_clip(rng, frames, size) for name, size in sizes.items()}


def slower(points, factor):
    """The same motion at another pace: every frame is held."""
    return {name: value.repeat(factor, axis=0) for name, value in points.items()}


def test_distances_by_the_textbook():
    rng = np.random.default_rng(0)
    recordings = [recording(rng, frames) for frames in (3, 5, 4)]
    distances = recording_distances(recordings)
    for i, one in enumerate(recordings):
        for j, other in enumerate(recordings):
            totals = [
                textbook_dtw(plain_jpe_cost(one[name], other[name], points.scored))
                for name, points in POINT_SETS.items()
            ]
            frames = len(one["body"]) + len(other["body"])
            assert distances[i, j] == pytest.approx(np.mean(totals) / frames, abs=1e-12)
    assert np.array_equal(distances, distances.T) and (distances.diagonal() == 0).all()


def test_pace_makes_no_difference_and_the_odd_one_is_not_taken():
    rng = np.random.default_rng(1)
    sign, odd = recording(rng, 8), recording(rng, 8)
    near = {name: value + 0.002 * rng.normal(size=value.shape) for name, value in sign.items()}
    assert recording_distances([sign, slower(sign, 3)])[0, 1] == pytest.approx(0, abs=1e-12)
    for recordings, expected in (
        ([odd, near, slower(sign, 2), sign], {2, 3}),
        ([slower(sign, 2), odd, near], {0, 2}),
    ):
        distances = recording_distances(recordings)
        assert medoid(distances) in expected
        assert medoid(distances) == int(np.argmin([sum(row) for row in distances]))


def test_of_equal_ones_the_first():
    assert medoid(np.array([[0.0]])) == 0
    assert medoid(np.array([[0, 2.0], [2.0, 0]])) == 0
    assert medoid(np.array([[0, 1, 2.0], [1, 0, 1.0], [2, 1, 0]])) == 1
