import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from soke.body import alignment
from soke.body.alignment import root_align, similarity_align, similarity_errors

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=40, deadline=None)


def points(seed, *shape):
    return torch.randn(
        *shape, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


@pytest.fixture(params=["compiled", "torch"])
def path(request, monkeypatch):
    """Runs a test on either implementation; torch takes two frames of 21 points at a time."""
    if request.param == "torch":
        monkeypatch.setattr(alignment, "_is_compiled", lambda x, y: False)
        monkeypatch.setattr(alignment, "_CHUNK_POINTS", 50)


def scipy_aligned(x, y):
    """Best similarity transform of the points [J, 3] onto others."""
    x = x - x.mean(axis=0)
    target = y - y.mean(axis=0)
    turned = Rotation.align_vectors(target, x)[0].apply(x)
    return (turned * target).sum() / (x**2).sum() * turned + y.mean(axis=0)


def best_by_search(x, y):
    """The same by trying rotations: [J, 3], for clouds where the closed form may go wrong."""
    x = x - x.mean(axis=0)
    target = y - y.mean(axis=0)

    def gain(turn):
        return -(Rotation.from_rotvec(turn).apply(x) * target).sum()

    starts = Rotation.random(30, rng=0).as_rotvec()
    found = min((minimize(gain, start, tol=1e-14) for start in starts), key=lambda best: best.fun)
    scale = -found.fun / (x**2).sum()
    return scale * Rotation.from_rotvec(found.x).apply(x) + y.mean(axis=0)


def test_root_align():
    x = points(0, 2, 5, 21)
    aligned = root_align(x, 3)
    assert (aligned[:, :, 3] == 0).all()
    assert torch.allclose(aligned[..., 1, :] - aligned[..., 0, :], x[..., 1, :] - x[..., 0, :])


@few
@given(seeds, st.integers(3, 40), st.sampled_from([torch.float32, torch.float64]))
def test_equals_scipy(seed, count, dtype):
    x = points(seed, 3, count).to(dtype)
    y = points(seed + 1, 3, count).to(dtype)
    wide = [p.double().numpy() for p in (x, y)]
    expected = np.stack([scipy_aligned(*pair) for pair in zip(*wide)])
    distances = np.linalg.norm(expected - wide[1], axis=-1)
    accuracy = 1e-12 if dtype == torch.float64 else 1e-6
    for result, value, atol in (
        (similarity_align(x, y), expected, accuracy),
        (similarity_errors(x, y), distances.mean(axis=1), 1e-12),
        (similarity_errors(x, y, [2, 0]), distances[:, [2, 0]].mean(axis=1), 1e-12),
    ):
        assert np.allclose(result.numpy(), value, rtol=0, atol=atol)


def test_a_whole_body_equals_scipy(path):
    # enough points for several threads of the kernel, and an odd number of frames
    x = points(10, 31, 10475) * torch.tensor([0.3, 0.5, 0.15])
    y = x + 0.02 * points(11, 31, 10475)
    errors = similarity_errors(x, y)
    for frame in (0, 15, 30):
        a = x[frame].numpy()
        b = y[frame].numpy()
        expected = np.linalg.norm(scipy_aligned(a, b) - b, axis=-1).mean()
        assert errors[frame].item() == pytest.approx(expected, abs=1e-12)
    alone = torch.cat([similarity_errors(x[i : i + 1], y[i : i + 1]) for i in range(31)])
    assert torch.equal(errors, alone)  # threads share out whole frames: one sums up like many


@pytest.mark.parametrize("call", ["similarity_errors", "similarity_align"])
def test_the_number_of_torch_threads_stays(call):
    # numba and torch may share one OpenMP, whose threads numba's first parallel kernel resets
    code = (
        "import torch; from soke.body import alignment; torch.set_num_threads(1);"
        f"alignment.{call}(torch.randn(2, 5, 3), torch.randn(2, 5, 3));"
        "assert torch.get_num_threads() == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@few
@given(seeds, st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_errors_ignore_similarities_of_the_source_and_scale_with_the_target(seed, scale, unit):
    x = points(seed, 5, 21)
    y = points(seed + 1, 5, 21)
    errors = similarity_errors(x, y)
    turns = torch.tensor(Rotation.random(5, rng=seed).as_matrix())
    moved = scale * (x @ turns + points(seed + 2, 5, 1))
    assert torch.allclose(similarity_errors(moved, y), errors, rtol=1e-9)
    target = unit * (y @ turns + points(seed + 3, 5, 1))
    assert torch.allclose(similarity_errors(x, target), unit * errors, rtol=1e-9)


@few
@given(seeds)
def test_equals_scipy_procrustes_where_no_reflection_is_better(seed):
    y = points(seed, 21)
    x = y + 0.1 * points(seed + 1, 21)
    _, _, disparity = procrustes(y.numpy(), x.numpy())  # over the squared size of y
    residual = (similarity_align(x, y) - y).square().sum() / (y - y.mean(0)).square().sum()
    assert residual.item() == pytest.approx(disparity, abs=1e-12)


@pytest.mark.parametrize("dtype, atol", [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_a_similarity_is_undone(path, scale, dtype, atol):
    y = points(12, 7, 21)
    turns = torch.tensor(Rotation.random(7, rng=0).as_matrix())
    x = (scale * y @ turns + points(13, 7, 1)).to(dtype)
    y = y.to(dtype)
    assert torch.allclose(similarity_align(x, y), y, rtol=0, atol=atol)
    assert torch.allclose(similarity_errors(x, y), torch.zeros(7).double(), atol=atol)


def test_batches_equal_single_frames(path):
    x = points(1, 2, 3, 21)
    y = points(2, 2, 3, 21)
    together = similarity_align(x, y)
    errors = similarity_errors(x, y)
    assert errors.shape == (2, 3)
    assert torch.allclose(errors, (together - y).norm(dim=-1).mean(dim=-1))
    for i in range(2):
        for j in range(3):
            assert torch.allclose(together[i, j], similarity_align(x[i, j], y[i, j]))
            assert torch.allclose(errors[i, j], similarity_errors(x[i, j], y[i, j]))
    assert similarity_align(x[:0], y[:0]).shape == (0, 3, 21, 3)
    assert similarity_errors(x[:0], y[:0]).shape == (0, 3)
    scattered = x.mT.contiguous().mT
    assert torch.allclose(similarity_errors(scattered, y), errors)


def test_reflections_are_excluded(path):
    y = points(3, 21)
    mirrored = y * torch.tensor([-1.0, 1, 1])
    expected = best_by_search(mirrored.numpy(), y.numpy())
    assert np.allclose(similarity_align(mirrored, y).numpy(), expected, rtol=0, atol=1e-5)
    error = similarity_errors(mirrored, y).item()
    assert error == pytest.approx(np.linalg.norm(expected - y.numpy(), axis=-1).mean(), abs=1e-6)
    assert error > 0.1
    flat = y * torch.tensor([1.0, 1, 0])
    turned_over = similarity_align(flat * torch.tensor([-1.0, 1, 1]), flat)
    assert torch.allclose(turned_over, flat, rtol=0, atol=1e-12)


@few
@given(seeds, st.integers(0, 6), st.booleans())
def test_nearly_flat_and_nearly_straight_points(seed, digits, mirror):
    thickness = 10.0**-digits
    x = points(seed, 21) * torch.tensor([1.0, thickness, thickness**2])
    y = x + thickness * 0.1 * points(seed + 1, 21)
    x = x * torch.tensor([-1.0, 1, 1]) if mirror else x
    x = x @ torch.tensor(Rotation.random(rng=seed).as_matrix())
    expected = scipy_aligned(x.numpy(), y.numpy())
    expected = np.linalg.norm(expected - y.numpy(), axis=-1).mean()
    assert similarity_errors(x, y).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("place", [0.0, 0.1, 1e6])
def test_coinciding_points(path, place):
    y = points(4, 6, 21)
    point = torch.full((6, 21, 3), place, dtype=torch.float64)
    centroid = y.mean(dim=1, keepdim=True)
    from_centroid = (y - centroid).norm(dim=-1).mean(dim=-1)
    blurred = point * (1 + 1e-16 * points(5, 6, 21).sign())  # coincide but for rounding
    for source in (point, blurred):
        assert torch.allclose(similarity_align(source, y), centroid.expand_as(y))
        assert torch.allclose(similarity_errors(source, y), from_centroid)
        assert torch.allclose(similarity_errors(source, point), torch.zeros(6).double(), atol=1e-9)
    assert torch.allclose(similarity_align(y, point), point)
    assert torch.allclose(similarity_align(y[:, :1], y[:, 1:2]), y[:, 1:2])
    assert torch.allclose(similarity_errors(y[:, :1], y[:, 1:2]), torch.zeros(6).double())


def test_points_far_from_the_origin(path):
    x = points(14, 5, 21)
    y = points(15, 5, 21)
    far = torch.tensor([1e6, -3e6, 2e6])
    assert torch.allclose(similarity_errors(x + far, y - far), similarity_errors(x, y), atol=1e-8)


def test_collinear_points(path):
    along = points(5, 7, 1)[..., :1]
    x = along * points(6, 21)[:, :1] * torch.tensor([1.0, 2, 3])
    y = along * points(6, 21)[:, :1] * torch.tensor([0.0, 0, 1]) + 5
    aligned = similarity_align(x, y)
    assert torch.allclose(aligned, y, rtol=0, atol=1e-10)
    assert similarity_errors(x, y).max() < 1e-10
    pairs = points(16, 5, 2)  # two points always lie on a line and always fit
    assert similarity_errors(pairs, points(17, 5, 2)).max() < 1e-12
    # a line onto a cloud: any turn about the line is a best one, and all are equally good
    cloud = points(18, 21)
    expected = np.linalg.norm(best_by_search(x[0].numpy(), cloud.numpy()) - cloud.numpy(), axis=-1)
    assert similarity_errors(x[0], cloud).item() == pytest.approx(expected.mean(), abs=1e-6)


def test_type_is_that_of_the_source(path):
    x = points(7, 21).float()
    y = points(8, 21)
    assert similarity_align(x, y).dtype == torch.float32
    exact = similarity_align(x.double(), y).float()
    assert torch.allclose(similarity_align(x, y), exact)
    assert similarity_errors(x, y.float()).dtype == torch.float64
    half = x.bfloat16()
    assert similarity_align(half, y).dtype == torch.bfloat16
    assert torch.equal(similarity_errors(half, y), similarity_errors(half.double(), y))


def test_gradients_pass():
    x = points(19, 2, 4).requires_grad_()
    y = points(20, 2, 4)
    assert torch.autograd.gradcheck(similarity_align, (x, y))
    assert torch.allclose(similarity_align(x, y), similarity_align(x.detach(), y))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("place", [0, 20])
def test_values_that_are_not_finite(path, value, side, place):
    pair = [points(9, 4, 21), points(10, 4, 21)]
    pair[side][2, place, 1] = value
    for call in (similarity_align, similarity_errors, lambda x, y: similarity_errors(x, y, [3])):
        with pytest.raises(ValueError, match="must be finite"):
            call(*pair)


def test_bad_input_is_named():
    x = points(9, 21)
    for call in (similarity_align, similarity_errors):
        with pytest.raises(ValueError, match=r"expected points \[..., J, 3\]"):
            call(x[..., :2], x)
        with pytest.raises(ValueError, match=r"differ in shape: \(20, 3\) and \(21, 3\)"):
            call(x[:20], x)
        with pytest.raises(ValueError, match="source: expected points"):
            call(x[:0], x[:0])
    for chosen in ([], [0.5], [[1]]):
        with pytest.raises(ValueError, match="expected a list of point indices"):
            similarity_errors(x, x, chosen)
    for chosen in ([21], [-1]):
        with pytest.raises(ValueError, match="indices run from 0 to 20"):
            similarity_errors(x, x, chosen)
    with pytest.raises(ValueError, match="indices run from 0 to 20"):
        root_align(x, 21)
