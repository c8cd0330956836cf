import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soke.data import length_rule, thin_frames


def paper_rule(n):
    return length_rule(n, minimum=40, maximum=400, unit=4)


@pytest.mark.parametrize(
    ("n", "size", "first", "last"),
    [
        (1, 40, 0, 0),
        (3, 40, 0, 2),
        (4, 40, 0, 3),
        (39, 40, 0, 38),
        (40, 40, 0, 39),
        (41, 40, 0, 39),
        (42, 40, 1, 40),
        (43, 40, 1, 40),
        (44, 44, 0, 43),
        (400, 400, 0, 399),
        (401, 400, 0, 400),
        (1000, 400, 0, 999),
    ],
)
def test_lengths_of_the_paper(n, size, first, last):
    indices = paper_rule(n)
    assert indices.dtype == np.int64
    assert (len(indices), indices[0], indices[-1]) == (size, first, last)


def test_stretching_and_squeezing_round_down():
    np.testing.assert_array_equal(length_rule(3, 8, 16, 4), [0, 0, 0, 0, 1, 1, 1, 2])
    np.testing.assert_array_equal(length_rule(10, 4, 4, 4), [0, 3, 6, 9])
    np.testing.assert_array_equal(paper_rule(43), np.arange(1, 41))


@given(
    n=st.integers(1, 3000),
    unit=st.integers(1, 8),
    low=st.integers(1, 40),
    more=st.integers(0, 80),
)
def test_any_length_suits_the_tokenizer(n, unit, low, more):
    minimum, maximum = low * unit, (low + more) * unit
    indices = length_rule(n, minimum, maximum, unit)
    assert minimum <= len(indices) <= maximum and len(indices) % unit == 0
    assert indices.min() >= 0 and indices.max() < n
    assert (np.diff(indices) >= 0).all()
    if minimum <= n <= maximum:
        assert (np.diff(indices) == 1).all()
        left, right = indices[0], n - 1 - indices[-1]
        assert 0 <= right - left <= 1 and left + right < unit
    else:
        assert indices[0] == 0 and (len(indices) == 1 or indices[-1] == n - 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 40, 400, 4), "at least one frame"),
        ((50, 42, 400, 4), "MIN_MOTION_LEN is 42"),
        ((50, 40, 401, 4), "MAX_MOTION_LEN is 401"),
        ((50, 0, 400, 4), "MIN_MOTION_LEN is 0"),
        ((50, 80, 40, 4), "above MAX_MOTION_LEN"),
        ((50, 40, 400, 0), "UNIT_LEN is 0"),
    ],
)
def test_unusable_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        length_rule(*arguments)


def test_thinning_follows_the_formula():
    np.testing.assert_array_equal(thin_frames(10, 30), [0, 1, 2, 3, 5, 6, 7, 8])
    np.testing.assert_array_equal(thin_frames(5, 60), [0, 2])
    np.testing.assert_array_equal(thin_frames(1, 60), [0])
    for fps in (23.976, 24, 15):
        np.testing.assert_array_equal(thin_frames(7, fps), np.arange(7))


@given(n=st.integers(1, 2000), fps=st.floats(1, 240))
def test_thinning_keeps_order_and_never_empties(n, fps):
    indices = thin_frames(n, fps)
    size = max(1, int(24 * n / fps)) if fps > 24 else n
    assert indices.tolist() == [i * n // size for i in range(size)]
    assert (np.diff(indices) > 0).all() and indices[-1] < n


@pytest.mark.parametrize(
    ("n", "fps"), [(0, 30), (5, 0), (5, -1), (5, float("nan")), (5, float("inf"))]
)
def test_thinning_refuses_what_is_no_clip(n, fps):
    with pytest.raises(ValueError):
        thin_frames(n, fps)
