import numpy as np
import pytest

from soke.metrics.diversity import diversity
from tests.metrics.clips import plain_jpe_cost, random_clip, textbook_dtw, textbook_steps


def test_equals_the_textbook():
    rng = np.random.default_rng(0)
    samples = [random_clip(rng, frames) for frames in (9, 4, 12)]
    points, expected = [1, 7, 20], []
    for i, j in ((0, 1), (0, 2), (1, 2)):
        cost = plain_jpe_cost(samples[i], samples[j], points, root=2)
        expected.append(textbook_dtw(cost) / textbook_steps(cost))
    assert diversity(samples, points, root=2) == pytest.approx(np.mean(expected), abs=1e-12)
    assert diversity(samples[::-1], points, root=2) == pytest.approx(np.mean(expected), abs=1e-12)


def test_samples_that_differ_in_timing_or_place_are_the_same():
    x = random_clip(np.random.default_rng(1), 10)
    assert diversity([x, np.repeat(x, 2, axis=0), x]) == 0
    assert diversity([x, x + np.array([1, 2, 3])]) == pytest.approx(0, abs=1e-12)


def test_length_does_not_count():
    # one point 1 m off in every frame, and the root: half a metre a step
    x = np.zeros((3, 2, 3))
    y = x.copy()
    y[:, 1, 0] = 1
    assert diversity([x, y]) == 0.5
    assert diversity([np.repeat(x, 5, axis=0), np.repeat(y, 5, axis=0)]) == 0.5
    assert diversity([x, y, y]) == pytest.approx((0.5 + 0.5 + 0) / 3)


def test_one_sample_and_bad_ones():
    x = random_clip(np.random.default_rng(2), 5)
    assert np.isnan(diversity([x]))
    with pytest.raises(ValueError, match="expected samples of one text, got none"):
        diversity([])
    with pytest.raises(ValueError, match="sample 1: positions must be finite"):
        diversity([x, x * np.nan])
    with pytest.raises(ValueError, match=r"sample 0: .*at least one frame"):
        diversity([x[:0]])
    with pytest.raises(ValueError, match="sample 2 has 20, sample 0 21"):
        diversity([x, x, x[:, 1:]])
    with pytest.raises(ValueError, match="window: expected a share"):
        diversity([x, x], window=3)
