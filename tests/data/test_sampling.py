"""Which clips make up which batch, on which rank."""

import pickle
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soke.data.datasets import LengthLimits
from soke.data.samplers import (
    EvaluationBatches,
    SeededIndex,
    TrainingBatches,
    draws_of,
    padding_share,
)

sizes = st.integers(1, 40)
counts = st.integers(1, 400)
ranks = st.integers(1, 5)


def drawn(count, size, ranks, seed=0, epoch=0, lengths=None):
    """The batches of every rank in an epoch."""
    samplers = [TrainingBatches(count, lengths, size, seed, ranks, r) for r in range(ranks)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    return [list(sampler) for sampler in samplers]


@settings(deadline=None)
@given(count=counts, size=sizes, ranks=ranks, seed=st.integers(0, 2**32), grouped=st.booleans())
def test_training_gives_every_rank_the_same_number_of_full_batches(
    count, size, ranks, seed, grouped
):
    if count < ranks:
        with pytest.raises(ValueError, match=f"{count} clips cannot be shared by {ranks}"):
            TrainingBatches(count, None, size, seed, ranks)
        return
    lengths = np.random.default_rng(seed).integers(40, 400, count) if grouped else None
    batches = drawn(count, size, ranks, seed, 3, lengths)
    clips = [int(pick) for rank in batches for batch in rank for pick in batch]
    assert len(set(clips)) == len(clips) and set(clips) <= set(range(count))
    used = min(size, count // ranks)
    assert {len(batch) for rank in batches for batch in rank} == {used}
    assert {len(rank) for rank in batches} == {count // (used * ranks)}
    assert all(
        len(TrainingBatches(count, lengths, size, seed, ranks, r)) == len(batches[r])
        for r in range(ranks)
    )
    assert count - len(clips) < used * ranks  # no more is left out than must be


@settings(deadline=None)
@given(count=counts, size=sizes, ranks=ranks)
def test_evaluation_sees_every_clip_once_over_ranks_and_batches(count, size, ranks):
    if count < ranks:
        with pytest.raises(ValueError, match="cannot be shared"):
            EvaluationBatches(count, size, ranks)
        return
    samplers = [EvaluationBatches(count, size, ranks, rank) for rank in range(ranks)]
    batches = [list(sampler) for sampler in samplers]
    assert [len(sampler) for sampler in samplers] == [len(rank) for rank in batches]
    assert sorted(chain(*chain(*batches))) == list(range(count))
    assert all(1 <= len(batch) <= size for batch in chain(*batches))
    assert max(map(len, batches)) - min(map(len, batches)) <= 1
    if ranks == 1:
        assert list(chain(*batches[0])) == list(range(count))  # in order


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 1000),
    size=st.integers(4, 32),
    ranks=st.integers(1, 3),
    spread=st.floats(0.3, 1.2),
)
def test_clips_of_like_length_meet(seed, size, ranks, spread):
    draw = np.random.default_rng(seed)
    raw = draw.lognormal(np.log(110), spread, 40 * size * ranks).astype(int) + 1
    lengths = LengthLimits().sizes(raw)
    shares = [
        padding_share(lengths, list(chain(*drawn(len(raw), size, ranks, seed, lengths=by))))
        for by in (lengths, None)
    ]
    assert shares[0] < 0.35 * shares[1]
    # The ranks of one step are neighbours too: none has to wait long for another.
    steps = TrainingBatches(len(raw), lengths, size, seed, ranks).steps()
    assert (lengths[steps[:, :-1]].max(axis=2) <= lengths[steps[:, 1:]].min(axis=2)).all()


def test_padding_share_is_the_share_of_padding():
    lengths = np.array([10, 40, 20, 20])
    assert padding_share(lengths, [[0, 1], [2, 3]]) == pytest.approx(30 / 120)
    assert padding_share(lengths, np.array([[0, 2]])) == pytest.approx(10 / 40)
    assert padding_share(lengths, [[0], [1], [2, 3]]) == 0


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31), epoch=st.integers(0, 10_000), grouped=st.booleans())
def test_order_follows_from_seed_and_epoch_alone(seed, epoch, grouped):
    lengths = np.random.default_rng(1).integers(40, 400, 300) if grouped else None

    def clips(seed, epoch):
        np.random.default_rng().random()
        return [
            [(int(pick), pick.seed) for pick in batch]
            for batch in chain(*drawn(300, 8, 2, seed, epoch, lengths))
        ]

    first = clips(seed, epoch)
    assert clips(seed, epoch) == first
    for other in (clips(seed, epoch + 1), clips(seed + 1, epoch)):
        assert [[clip for clip, _ in batch] for batch in other] != [
            [clip for clip, _ in batch] for batch in first
        ]


def test_every_clip_has_its_turn_over_epochs_with_other_companions():
    lengths = np.random.default_rng(0).integers(40, 400, 203)
    sampler = TrainingBatches(203, lengths, 16, seed=5)
    left_out, pairs = [], []
    for epoch in range(30):
        sampler.set_epoch(epoch)
        batches = [[int(pick) for pick in batch] for batch in sampler]
        left_out.append(set(range(203)) - set(chain(*batches)))
        pairs.append(next(frozenset(batch) for batch in batches if 0 in batch or 1 in batch))
    assert all(len(out) == 203 % 16 for out in left_out)
    assert not set.intersection(*left_out) and len(set(map(frozenset, left_out))) > 20
    assert len(set(pairs)) > 20


def test_batches_come_in_no_order_of_length():
    lengths = np.arange(40, 40 + 4 * 320, 4)
    means = [lengths[batch].mean() for batch in drawn(320, 8, 1, lengths=lengths)[0]]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.5


def test_a_pick_is_a_number_with_draws_of_its_own():
    pick = SeededIndex(7, 99)
    again = pickle.loads(pickle.dumps(pick))
    assert [3, 4][again - 7] == 3 and (again, again.seed) == (7, 99)
    assert (
        draws_of(pick).random() == draws_of(again).random() != draws_of(SeededIndex(7, 98)).random()
    )
    assert draws_of(7) is None
    seeds = [pick.seed for batch in chain(*drawn(64, 4, 2)) for pick in batch]
    assert len(set(seeds)) == 64
