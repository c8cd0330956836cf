import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from soke.body.alignment import root_align, similarity_align

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=40, deadline=None)


def points(seed, *shape):
    return torch.randn(
        *shape, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def test_root_align():
    x = points(0, 2, 5, 21)
    aligned = root_align(x, 3)
    assert (aligned[:, :, 3] == 0).all()
    assert torch.allclose(aligned[..., 1, :] - aligned[..., 0, :], x[..., 1, :] - x[..., 0, :])


@few
@given(seeds)
def test_equals_scipy(seed):
    x, y = points(seed, 21), points(seed + 1, 21)
    aligned = similarity_align(x, y)
    rotation, _ = Rotation.align_vectors((y - y.mean(0)).numpy(), (x - x.mean(0)).numpy())
    turned = rotation.apply((x - x.mean(0)).numpy())
    scale = (turned * y.numpy()).sum() / (turned**2).sum()
    expected = scale * turned + y.mean(0).numpy()
    assert np.allclose(aligned.numpy(), expected, rtol=0, atol=1e-12)


@few
@given(seeds)
def test_equals_scipy_procrustes_where_no_reflection_is_better(seed):
    y = points(seed, 21)
    x = y + 0.1 * points(seed + 1, 21)
    _, _, disparity = procrustes(y.numpy(), x.numpy())  # over the squared size of y
    residual = (similarity_align(x, y) - y).square().sum() / (y - y.mean(0)).square().sum()
    assert residual.item() == pytest.approx(disparity, abs=1e-12)


@few
@given(seeds, st.sampled_from([0.1, 1.0, 10.0]))
def test_a_similarity_is_undone(seed, scale):
    y = points(seed, 4, 21)
    turn = torch.tensor(Rotation.random(rng=seed).as_matrix())
    x = scale * y @ turn + points(seed + 1, 4, 1)
    assert torch.allclose(similarity_align(x, y), y, rtol=0, atol=1e-10)


def test_batches_equal_single_frames():
    x, y = points(1, 2, 3, 21), points(2, 2, 3, 21)
    together = similarity_align(x, y)
    for i in range(2):
        for j in range(3):
            assert torch.allclose(together[i, j], similarity_align(x[i, j], y[i, j]))
    assert similarity_align(x[:0], y[:0]).shape == (0, 3, 21, 3)


def test_reflections_are_excluded():
    y = points(3, 21)
    aligned = similarity_align(y * torch.tensor([-1.0, 1, 1]), y)
    assert (aligned - y).norm(dim=-1).mean() > 0.1
    flat = y * torch.tensor([1.0, 1, 0])
    turned_over = similarity_align(flat * torch.tensor([-1.0, 1, 1]), flat)
    assert torch.allclose(turned_over, flat, rtol=0, atol=1e-12)


@pytest.mark.parametrize("place", [0.0, 0.1, 1e6])
def test_coinciding_points(place):
    y, point = points(4, 6, 21), torch.full((6, 21, 3), place, dtype=torch.float64)
    assert torch.allclose(similarity_align(point, y), y.mean(dim=1, keepdim=True).expand_as(y))
    assert torch.allclose(similarity_align(y, point), point)
    assert torch.allclose(similarity_align(y[:, :1], y[:, 1:2]), y[:, 1:2])


def test_collinear_points():
    along = points(5, 7, 1)[..., :1]
    x = along * points(6, 21)[:, :1] * torch.tensor([1.0, 2, 3])
    y = along * points(6, 21)[:, :1] * torch.tensor([0.0, 0, 1]) + 5
    aligned = similarity_align(x, y)
    assert torch.allclose(aligned, y, rtol=0, atol=1e-10)


def test_type_is_that_of_the_source():
    x, y = points(7, 21).float(), points(8, 21)
    assert similarity_align(x, y).dtype == torch.float32
    exact = similarity_align(x.double(), y).float()
    assert torch.allclose(similarity_align(x, y), exact)


def test_bad_input_is_named():
    x = points(9, 21)
    with pytest.raises(ValueError, match=r"expected points \[..., J, 3\]"):
        similarity_align(x[..., :2], x)
    with pytest.raises(ValueError, match=r"one shape, got \(20, 3\) and \(21, 3\)"):
        similarity_align(x[:20], x)
    with pytest.raises(ValueError, match="must be finite"):
        similarity_align(x * torch.nan, x)
    with pytest.raises(ValueError, match="indices run from 0 to 20"):
        root_align(x, 21)
    with pytest.raises(ValueError, match="source: expected points"):
        similarity_align(x[:0], x[:0])
