"""Clips laid one after another give what they give alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from soke.structures import lengths_to_mask
from soke.tokenizer import PADDING
from soke.tokenizer import batch_layout as layout
from soke.tokenizer.batch_layout import GAP, Layout
from tests.tokenizer.models import clips_of, padded, tokenizer_of, train_step

#: Frames of clips so unequal that padding costs more than gaps.
LENGTHS = [160, 8, 12, 8, 48]


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=6), extra=st.integers(0, 4))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_what_is_arranged_is_restored(lengths, extra):
    size = max(lengths) + extra
    mask = lengths_to_mask(torch.tensor(lengths), size)
    arranged = Layout(mask)
    row = sum(lengths) + GAP * (len(lengths) - 1)
    for k in (1, 4):
        values = torch.arange(1.0, 1 + len(lengths) * size * k * 2).view(len(lengths), size * k, 2)
        there = arranged.arrange(values)
        real = mask.repeat_interleave(k, dim=1)
        if row < mask.numel():
            assert there.shape == (1, row * k, 2)
            held = arranged.steps.repeat_interleave(k, dim=1)
            assert torch.equal(there[held], values[real])  # in the same order
            assert not there[~held].any()
            assert torch.equal(arranged.restore(there, 7), values.masked_fill(~real[..., None], 7))
        else:
            assert there is values and arranged.restore(values) is values
    if row < mask.numel():
        starts = arranged.steps[0].int().diff(prepend=torch.zeros(1)).eq(1).sum()
        assert starts == len(lengths)  # every clip stands apart
    elif min(lengths) < size:
        assert torch.equal(arranged.steps, mask)
    else:
        assert arranged.steps is None and arranged.frames is None


def compare(tokenizer):
    """Greatest difference of clips in a batch and alone, after checking their tokens."""
    motion, mask = padded(clips_of(LENGTHS, 3))
    assert Layout(mask[:, ::4]).order is not None
    tokens, output = tokenizer.encode(motion, LENGTHS), tokenizer(motion, mask)
    decoded = tokenizer.decode(tokens, [n // 4 for n in LENGTHS])
    worst = 0.0
    for i, clip in enumerate(clips_of(LENGTHS, 3)):
        n = len(clip)
        alone = tokenizer.encode(clip[None])
        assert torch.equal(tokens[i, : n // 4], alone[0])
        assert (tokens[i, n // 4 :] == PADDING).all() and not decoded[i, n:].any()
        expected = tokenizer.decode(alone)[0]
        for found in (decoded, output.reconstruction):
            worst = max(worst, float((found[i, :n] - expected).abs().max()))
    return worst


@torch.no_grad()
def test_clips_in_one_row_do_not_see_each_other(monkeypatch):
    tokenizer = tokenizer_of("ema")
    with torch.enable_grad():
        optimizer = torch.optim.SGD(tokenizer.parameters(), 0.1)
        for seed in range(2):
            train_step(tokenizer, optimizer, clips_of([32, 40], seed))
    assert compare(tokenizer.eval()) < 1e-6
    monkeypatch.setattr(layout, "GAP", GAP - 6)  # the gap is needed
    with pytest.raises(AssertionError):
        assert compare(tokenizer) < 1e-6


def test_training_in_one_row_equals_training_padded(monkeypatch):
    results = []
    for gap in (GAP, 10**6):  # so large a gap never pays
        monkeypatch.setattr(layout, "GAP", gap)
        tokenizer = tokenizer_of()
        optimizer = torch.optim.SGD(tokenizer.parameters(), 0.1)
        for seed in range(3):
            loss, output = train_step(tokenizer, optimizer, clips_of(LENGTHS, seed))
        state = [value.detach() for value in tokenizer.state_dict().values()]
        outputs = (output.tokens, output.reconstruction.detach(), output.perplexity)
        results.append((loss, *outputs, *state))
    for first, second in zip(*results):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)
