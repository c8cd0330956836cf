"""SiBLEU against a plain count, BLEU of tokens against sacrebleu's score of the corpus."""

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import sacrebleu

from soke.metrics.token_scores import token_scores, token_statistics

PARTS = ["body", "lhand", "rhand"]


def clips(seed=0, count=20, codes=8):
    """Generated and reference tokens that partly agree."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        reference = rng.integers(codes, size=(rng.integers(1, 30), 3))
        generated = np.where(rng.random(reference.shape) < 0.3, rng.integers(codes), reference)
        pairs.append((generated[: rng.integers(0, 30)], reference))
    return pairs


def rows_of(pairs, parts=PARTS):
    return pd.DataFrame([token_statistics(*pair, parts) for pair in pairs])


def scores_of(pairs, parts=PARTS):
    rows = rows_of(pairs, parts)
    return {score.name: score(rows) for score in token_scores(parts)}


def plain_sibleu(pairs, p):
    matched = generated = reference = 0
    for ours, theirs in pairs:
        counts = Counter(theirs[:, p].tolist())
        matched += sum(min(n, counts[code]) for code, n in Counter(ours[:, p].tolist()).items())
        generated, reference = generated + len(ours), reference + len(theirs)
    penalty = math.exp(1 - reference / generated) if generated <= reference else 1
    return 100 * matched / generated * penalty


def corpus_bleu(pairs, p):
    ours, theirs = ([" ".join(map(str, pair[side][:, p])) for pair in pairs] for side in (0, 1))
    return sacrebleu.corpus_bleu(ours, [theirs], tokenize="none", force=True).score


@pytest.mark.parametrize("longer", [False, True])
def test_scores_are_those_of_plain_code_and_of_sacrebleu(longer):
    pairs = clips()
    if longer:  # no brevity penalty
        pairs = [(np.concatenate([ours, theirs, ours]), theirs) for ours, theirs in pairs]
    found = scores_of(pairs)
    for p, part in enumerate(PARTS):
        assert found[f"SiBLEU_{part}"] == pytest.approx(plain_sibleu(pairs, p))
        assert found[f"token_BLEU_{part}"] == pytest.approx(corpus_bleu(pairs, p))
        assert 0 < found[f"token_BLEU_{part}"] < found[f"SiBLEU_{part}"] < 100


@pytest.mark.parametrize("seed", range(12))
def test_smoothing_and_short_clips_are_those_of_sacrebleu(seed):
    """Few clips of many codes: some n-grams never match, some lengths do not occur at all."""
    pairs = clips(seed, count=2, codes=[3, 6, 15, 400][seed % 4])
    pairs = [(ours[: seed % 7], theirs[: 1 + seed % 5]) for ours, theirs in pairs]
    found = scores_of(pairs)
    for p, part in enumerate(PARTS):
        assert found[f"token_BLEU_{part}"] == pytest.approx(corpus_bleu(pairs, p))


def test_scores_of_many_sums_at_once_are_those_of_each():
    rows = rows_of(clips())
    for score in token_scores(PARTS):
        values = score.values(rows)
        sums = np.stack([values[:i].sum(axis=0) for i in range(1, 6)])
        at_once = score.of_sums(sums, np.arange(1, 6))
        assert at_once == pytest.approx([score(rows[:i]) for i in range(1, 6)])


def test_hands_are_the_mean_of_both():
    found = scores_of(clips())
    for measure in ("SiBLEU", "token_BLEU"):
        both = [found[f"{measure}_{part}"] for part in ("lhand", "rhand")]
        assert found[f"{measure}_hands"] == pytest.approx(np.mean(both))


@pytest.mark.parametrize(
    "parts, names",
    [
        (["all"], ["all"]),
        (["body", "hands"], ["body", "hands"]),
        (["body", "lhand", "rhand"], ["body", "lhand", "rhand", "hands"]),
        (["body", "rhand"], ["body", "rhand"]),
        (["body", "lhand", "rhand", "face"], ["body", "lhand", "rhand", "face", "hands"]),
    ],
)
def test_any_part_table_has_scores(parts, names):
    tokens = np.arange(6 * len(parts)).reshape(6, len(parts))
    found = scores_of([(tokens, tokens)], parts)
    assert found == pytest.approx(
        {f"{measure}_{name}": 100 for measure in ("SiBLEU", "token_BLEU") for name in names}
    )


def test_order_matters_to_bleu_alone():
    tokens = np.arange(60).reshape(20, 3)
    found = scores_of([(tokens[::-1], tokens)])
    assert found["SiBLEU_body"] == 100 and found["token_BLEU_body"] < 10


def test_nothing_generated_scores_zero():
    tokens = np.arange(12).reshape(4, 3)
    assert set(scores_of([(tokens[:0], tokens)]).values()) == {0}
    assert set(scores_of([(tokens, tokens[:0])]).values()) == {0}
    assert set(scores_of([(tokens + 50, tokens)]).values()) == {0}


@pytest.mark.parametrize(
    "tokens, message",
    [
        (np.zeros((4, 2), int), r"\[4, 2\], expected \[steps, 3\]"),
        (np.zeros(4, int), r"\[4\], expected"),
        (np.zeros((4, 3)), "float64, expected whole numbers"),
        (np.full((4, 3), -1), "negative"),
    ],
)
def test_what_are_no_tokens_is_refused(tokens, message):
    with pytest.raises(ValueError, match=message):
        token_statistics(tokens, np.zeros((4, 3), int), PARTS)
    with pytest.raises(ValueError, match="reference"):
        token_statistics(np.zeros((4, 3), int), tokens, PARTS)
