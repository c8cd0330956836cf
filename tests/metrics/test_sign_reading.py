from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from soke.metrics.sign_reading import SignReader, error_rate, error_rate_of

ALPHABET = "ABCDEFGHIJKL"


def smooth(rng, frames, spread, base):
    """A hand shape that moves a little; the wrist, point 0, stays at the origin."""
    time = np.linspace(0, np.pi, frames)[:, None, None]
    clip = base + 0.3 * spread * np.sin(time) * rng.normal(size=(1, 21, 3))
    clip[:, 0] = 0
    return clip


def dictionary(rng):
    shapes = rng.normal(size=(len(ALPHABET), 21, 3)) * 0.03
    return {
        name: smooth(rng, int(rng.integers(9, 18)), 0.03, shape)
        for name, shape in zip(ALPHABET, shapes, strict=True)
    }


def stretched(clip, frames):
    position = np.linspace(0, len(clip) - 1, frames)
    before = np.minimum(position.astype(int), len(clip) - 2)
    weight = (position - before)[:, None, None]
    return (1 - weight) * clip[before] + weight * clip[before + 1]


def spell(signs, word, rng, noise=0.004):
    """Signs in a row, stretched in time, with transitions between them and rest at both ends."""
    rest = np.broadcast_to(rng.normal(size=(21, 3)) * 0.03, (1, 21, 3))
    pieces = [np.repeat(rest, 8, axis=0)]
    for name in [*word, None]:
        clip = rest if name is None else stretched(signs[name], int(rng.integers(9, 26)))
        bridge = np.stack([pieces[-1][-1], clip[0]])
        pieces += [stretched(bridge, 6)[1:-1], clip]
    pieces.append(np.repeat(rest, 8, axis=0))
    clip = np.concatenate(pieces)
    clip = clip + noise * rng.normal(size=clip.shape)
    return clip - clip[:, :1]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    # no doubled signs: without a gap in between they are one long sign
    st.lists(st.sampled_from(ALPHABET), min_size=0, max_size=8).filter(
        lambda word: all(a != b for a, b in pairwise(word))
    ),
)
def test_concatenated_signs_are_read_back(seed, word):
    rng = np.random.default_rng(seed)
    signs = dictionary(rng)
    reader = SignReader(list(signs), list(signs.values()))
    assert reader.read(spell(signs, word, rng)) == word


def test_every_sign_alone_and_after_every_other():
    rng = np.random.default_rng(0)
    signs = dictionary(rng)
    reader = SignReader(list(signs), list(signs.values()))
    for first in ALPHABET:
        assert reader.read(signs[first]) == [first]
        for second in ALPHABET.replace(first, ""):
            assert reader.read(np.concatenate([signs[first], signs[second]])) == [first, second]


def test_a_moving_sign_may_be_repeated_without_a_gap():
    rng = np.random.default_rng(1)
    ends = rng.normal(size=(2, 21, 3)) * 0.06
    ends[:, 0] = 0
    sweep = stretched(ends, 14)
    reader = SignReader(["sweep"], [sweep])
    assert reader.read(np.concatenate([sweep, sweep, sweep])) == ["sweep"] * 3
    assert reader.read(sweep[::-1]) == []


def brute_force(cost, filler_cost, penalty):
    """All ways to put signs and filler in a row, by recursion over the state of a frame."""
    frames, signs, length = cost.shape

    def outside(t):
        if t == frames:
            return [(0.0, ())]
        found = [(filler_cost + c, word) for c, word in outside(t + 1)]
        for sign in range(signs):
            found += [(penalty + c, (sign, *word)) for c, word in inside(t, sign, 0)]
        return found

    def inside(t, sign, n):
        if n >= length or t == frames:
            return []
        after = [item for step in range(3) for item in inside(t + 1, sign, n + step)]
        after += outside(t + 1) if n == length - 1 else []
        return [(cost[t, sign, n] + c, word) for c, word in after]

    return min(outside(0))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_the_path_is_the_cheapest_of_all(seed, frames):
    rng = np.random.default_rng(seed)
    templates = rng.normal(size=(2, 5, 3, 3)) * 0.01
    clip = rng.normal(size=(frames, 3, 3)) * 0.01
    reader = SignReader("ab", templates, 0.02, 0.01, template_length=5)
    rooted = [points - points[:, :1] for points in (clip, *templates)]
    cost = np.stack(
        [[np.linalg.norm(x - t, axis=-1).mean(-1) for t in rooted[1:]] for x in rooted[0]]
    )[:, :, 1:-1]
    _, word = brute_force(cost, 0.02, 0.01)
    assert reader.read(clip) == ["ab"[sign] for sign in word]


def test_kinds_of_input_and_variants():
    rng = np.random.default_rng(2)
    signs = dictionary(rng)
    clip = spell(signs, "CAB", rng)
    reader = SignReader(list(signs), [torch.tensor(t).float() for t in signs.values()])
    assert reader.read(torch.tensor(clip).float()) == list("CAB")
    variants = SignReader(["X", "X", "B"], [signs["C"], signs["A"], signs["B"]])
    assert variants.read(clip) == ["X", "X", "B"]
    assert reader.read(clip[:1]) == []


def test_error_rate():
    assert error_rate([["A", "B"]], [["A", "B"]]) == 0
    assert error_rate([["A"], ["C", "C", "D"]], [["A", "B"], ["C", "D"]]) == 0.5
    assert error_rate([["CH", "A"]], [["C", "A"]]) == 0.5
    assert error_rate([list("GOD")], ["GOOD"]) == 0.25
    assert error_rate([["A", "B", "C"]], [["D"]]) == 3
    assert error_rate([[], []], [["A"], []]) == 1


def test_errors_on_some_signs():
    truth = ["AVA", "BP", "CC"]
    assert error_rate_of("VP", ["AVA", "BP", "CC"], truth) == 0
    assert error_rate_of("VP", ["AUA", "BP", "DDD"], truth) == 0.5
    assert error_rate_of("VP", ["AA", "BPP", "CC"], truth) == 0.5  # an extra sign is no miss
    assert error_rate_of("VP", ["", "P", ""], truth) == 0.5
    assert error_rate_of({"B", "C"}, [list("AVA"), list("XP"), []], truth) == 1
    with pytest.raises(ValueError, match="none of the signs"):
        error_rate_of("Z", truth, truth)


def test_bad_input_is_named():
    good = np.zeros((5, 21, 3))
    with pytest.raises(ValueError, match="2 labels and 1 templates"):
        SignReader(["A", "B"], [good])
    with pytest.raises(ValueError, match="at least one"):
        SignReader([], [])
    with pytest.raises(ValueError, match=r"template of 'B': expected positions"):
        SignReader(["A", "B"], [good, good[0]])
    with pytest.raises(ValueError, match="same points"):
        SignReader(["A", "B"], [good, good[:, :20]])
    with pytest.raises(ValueError, match="template_length"):
        SignReader(["A"], [good], template_length=2)
    with pytest.raises(ValueError, match="filler_cost"):
        SignReader(["A"], [good], filler_cost=-1)
    with pytest.raises(ValueError, match="entry_penalty"):
        SignReader(["A"], [good], entry_penalty=float("nan"))
    reader = SignReader(["A"], [good])
    for clip in (good[:0], good[0], good + np.nan, good[:, :20]):
        with pytest.raises(ValueError):
            reader.read(clip)
    with pytest.raises(ValueError, match="1 for 2 clips"):
        error_rate([["A"]], [["A"], ["B"]])
    with pytest.raises(ValueError, match="at least one true sign"):
        error_rate([["A"]], [[]])
