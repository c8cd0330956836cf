import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from soke.body.alignment import similarity_align
from soke.metrics import dtw_pa_jpe
from soke.metrics.dtw import aligned_pairwise_cost
from tests.metrics.clips import plain_pa_cost, random_clip, textbook_dtw

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=40, deadline=None)
ATOL = 1e-10


def svd_cost(x, y, points=slice(None)):
    """The same costs by the singular value decomposition of every pair at once."""
    a, b = np.broadcast_arrays(x[:, None], y[None])
    aligned = similarity_align(torch.tensor(a), torch.tensor(b)).numpy()
    return np.linalg.norm((aligned - b)[:, :, points], axis=-1).mean(axis=-1)


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(1, 6), st.integers(1, 6))
def test_equals_scipy_in_loops(seed, frames, others):
    rng = np.random.default_rng(seed)
    x, y = random_clip(rng, frames), random_clip(rng, others)
    for points in (None, [0, 3, 20]):
        cost = plain_pa_cost(x, y, slice(None) if points is None else points)
        assert np.allclose(aligned_pairwise_cost(x, y, points), cost, rtol=0, atol=ATOL)
        assert dtw_pa_jpe(x, y, points) == pytest.approx(textbook_dtw(cost), abs=ATOL)


@few
@given(seeds, st.floats(0.01, 100))
def test_similarity_transforms_of_the_generated_clip_change_nothing(seed, scale):
    rng = np.random.default_rng(seed)
    x, y = random_clip(rng, 5), random_clip(rng, 7)
    turn = Rotation.random(5, rng=rng).as_matrix()
    moved = scale * x @ turn + rng.normal(size=(5, 1, 3))
    assert dtw_pa_jpe(moved, y) == pytest.approx(dtw_pa_jpe(x, y), abs=ATOL)


@pytest.mark.parametrize("scale", [1e-150, 0.1, 1, 10, 1e150])
def test_perfect_up_to_scale(scale):
    x = random_clip(np.random.default_rng(0), 20)
    x -= x.mean(axis=1, keepdims=True)
    assert dtw_pa_jpe(scale * x, x) == pytest.approx(0, abs=1e-12)
    assert dtw_pa_jpe(np.repeat(x, 3, axis=0), x) == pytest.approx(0, abs=1e-12)
    assert dtw_pa_jpe(x, scale * x) / scale == pytest.approx(0, abs=1e-12)


def test_a_mirrored_hand_is_not_turned_inside_out():
    x = random_clip(np.random.default_rng(1), 12)
    mirrored = x * [-1, 1, 1]
    cost = aligned_pairwise_cost(mirrored, x)
    assert np.allclose(cost, plain_pa_cost(mirrored, x), rtol=0, atol=ATOL)
    assert np.diag(cost).min() > 1e-3
    flat = x * [1, 1, 0]  # a plane figure is turned over, which is no reflection
    assert np.allclose(np.diag(aligned_pairwise_cost(flat * [-1, 1, 1], flat)), 0, atol=1e-12)


def test_large_and_small_reflections_equal_scipy():
    rng = np.random.default_rng(5)
    x, y = random_clip(rng, 4), random_clip(rng, 5)
    for scale in (0.1, 10):
        for mirror in np.diag([-1, 1, 1]), -np.eye(3), np.diag([1, -1, 1]) + 0.1:
            moved = scale * x @ mirror + 3
            expected = plain_pa_cost(moved, y)
            assert np.allclose(aligned_pairwise_cost(moved, y), expected, rtol=0, atol=ATOL)
            near = aligned_pairwise_cost(scale * y @ mirror, y)
            assert np.allclose(near, plain_pa_cost(scale * y @ mirror, y), rtol=0, atol=ATOL)


@pytest.mark.parametrize("place", [0.0, 0.1, 1e6])
def test_coinciding_points_go_to_the_centroid(place):
    y = random_clip(np.random.default_rng(2), 6)
    point = np.full((3, 21, 3), place)
    from_centroid = y - y.mean(axis=1, keepdims=True)
    expected = np.linalg.norm(from_centroid, axis=-1).mean(axis=1)
    assert np.allclose(aligned_pairwise_cost(point, y), expected[None], rtol=0, atol=ATOL)
    # the other way round, scale 0 is the best scale
    assert np.allclose(aligned_pairwise_cost(y, point), 0, rtol=0, atol=1e-9)
    assert np.allclose(aligned_pairwise_cost(point, point), 0, rtol=0, atol=1e-9)
    assert np.allclose(aligned_pairwise_cost(y[:, :1], y[:, 1:2]), 0)


def test_points_on_a_line():
    rng = np.random.default_rng(3)
    line = rng.normal(size=(5, 21, 1)) * rng.normal(size=(5, 1, 3)) + rng.normal(size=3)
    y = random_clip(rng, 6)
    for a, b in ((line, y), (y, line), (line, line)):
        assert np.allclose(aligned_pairwise_cost(a, b), svd_cost(a, b), rtol=0, atol=1e-9)
    pairs = random_clip(rng, 4, points=2)
    assert np.allclose(aligned_pairwise_cost(pairs, pairs[::-1]), 0, atol=1e-12)


@few
@given(seeds, st.integers(0, 9), st.booleans())
def test_nearly_flat_and_nearly_straight_points(seed, digits, mirror):
    # a hair from a line, in both directions: the fast path has to hand over to Jacobi in time
    rng = np.random.default_rng(seed)
    thickness = 10.0**-digits
    x = random_clip(rng, 4) @ np.diag([1, thickness, thickness**2])
    y = x + thickness * 0.1 * rng.normal(size=x.shape)
    x = (x * [-1, 1, 1] if mirror else x) @ Rotation.random(rng=rng).as_matrix()
    assert np.allclose(aligned_pairwise_cost(x, y), svd_cost(x, y), rtol=0, atol=1e-9)


def test_nothing_correlates():
    # orthogonal motions of the points: the correlation vanishes, and with it the best scale
    x = np.array([[[1.0, 0, 0], [-1, 0, 0], [0, 0, 0], [0, 0, 0]]])
    y = np.array([[[0, 0, 0], [0, 0, 0], [1.0, 0, 0], [-1, 0, 0]]])
    assert aligned_pairwise_cost(x, y) == pytest.approx(0.5)


def test_many_joints_and_a_choice_of_them():
    rng = np.random.default_rng(4)
    x, y = random_clip(rng, 9, points=144), random_clip(rng, 11, points=144)
    wanted = [12, 16, 17, 55]
    expected = svd_cost(x, y, wanted)
    assert np.allclose(aligned_pairwise_cost(x, y, wanted), expected, rtol=0, atol=ATOL)
    single = torch.tensor(x).float(), torch.tensor(y).float()
    assert np.allclose(aligned_pairwise_cost(*single, wanted), expected, rtol=0, atol=1e-6)


def test_bad_input_is_named():
    good = np.zeros((4, 5, 3))
    with pytest.raises(ValueError, match="generated has 4, reference 5"):
        dtw_pa_jpe(good[:, :4], good)
    with pytest.raises(ValueError, match="at least one frame"):
        dtw_pa_jpe(good, good[:0])
    with pytest.raises(ValueError, match="must be finite"):
        dtw_pa_jpe(good + np.nan, good)
    with pytest.raises(ValueError, match="indices run from 0 to 4"):
        dtw_pa_jpe(good, good, [5])
