import pytest
import torch

from soke.tokenizer.streaming import StreamingDecoder, decoder_reach
from tests.helpers import THREE_PARTS, small_tokenizer

SIZES = [row["codebook_size"] for row in THREE_PARTS]
#: Windows of different lengths round differently; a token at the edge of the reach changes 1e-9.
ROUNDING = 1e-12


@pytest.fixture(scope="module")
def tokenizer():
    """In float64: what a token at the edge of the reach changes is below float32's rounding."""
    return small_tokenizer().double()


def clip(steps, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(0, size, (steps,), generator=draw) for size in SIZES], dim=1)


def streamed(tokenizer, tokens, block, look_ahead=None):
    decoder = StreamingDecoder(tokenizer, look_ahead)
    return torch.cat([*map(decoder.push, tokens.split(block)), decoder.finish()])


def test_reach_is_how_far_one_token_changes_the_motion(tokenizer):
    tokens, at = clip(100), 50
    changed = tokens.clone()
    changed[at] = (tokens[at] + 1) % torch.tensor(SIZES)
    before, after = tokenizer.decode_to_motion([tokens, changed])
    frames = ((before - after).abs() > ROUNDING).any(dim=1).nonzero()[:, 0]
    reach = decoder_reach(tokenizer.networks[0].decoder)
    assert reach == 22
    assert at - int(frames.min()) // 4 == int(frames.max()) // 4 - at == reach


@pytest.mark.parametrize("block", [1, 5, 64, 150])
def test_pieces_together_are_the_whole_decoded_at_once(tokenizer, block):
    tokens = clip(150)
    (whole,) = tokenizer.decode_to_motion([tokens])
    torch.testing.assert_close(streamed(tokenizer, tokens, block), whole, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("steps", [0, 1, 22, 23, 45])
def test_clips_of_any_length(tokenizer, steps):
    tokens = clip(steps)
    motion = streamed(tokenizer, tokens, 3)
    assert motion.shape == (4 * steps, 133)
    if steps:
        (whole,) = tokenizer.decode_to_motion([tokens])
        torch.testing.assert_close(motion, whole, atol=ROUNDING, rtol=0)


def test_frames_come_as_soon_as_the_look_ahead_is_there(tokenizer):
    for look_ahead in (0, 3, None):
        decoder = StreamingDecoder(tokenizer, look_ahead)
        wait = 22 if look_ahead is None else look_ahead
        assert decoder.look_ahead_frames == 4 * wait
        counts = [len(decoder.push(tokens[None])) for tokens in clip(40)]
        assert counts == [0] * wait + [4] * (40 - wait)
        assert len(decoder.finish()) == 4 * wait


def test_with_less_look_ahead_a_frame_is_that_of_the_clip_so_far(tokenizer):
    tokens = clip(60)
    motion = streamed(tokenizer, tokens, 1, look_ahead=4)
    for at in (0, 10, 30, 50):
        (so_far,) = tokenizer.decode_to_motion([tokens[: at + 5]])
        frames = slice(4 * at, 4 * at + 4)
        torch.testing.assert_close(motion[frames], so_far[frames], atol=ROUNDING, rtol=0)


def test_the_more_look_ahead_the_less_deviation(tokenizer):
    tokens = clip(120)
    (whole,) = tokenizer.decode_to_motion([tokens])
    deviations = [
        float((streamed(tokenizer, tokens, 1, look_ahead) - whole).abs().mean())
        for look_ahead in (0, 2, 4, 8, 16, 22, 1000)
    ]
    assert deviations == sorted(deviations, reverse=True)
    assert deviations[0] > 1e-3 and deviations[4] > 1e-8
    assert deviations[5] < ROUNDING and deviations[6] == deviations[5]


def test_the_window_does_not_grow(tokenizer, monkeypatch):
    sizes, decode = [], tokenizer.decode_to_motion
    monkeypatch.setattr(
        tokenizer, "decode_to_motion", lambda clips: sizes.append(len(clips[0])) or decode(clips)
    )
    streamed(tokenizer, clip(300), 1)
    assert max(sizes) == 22 + 1 + 22
    sizes.clear()
    streamed(tokenizer, clip(1000), 1000)
    assert max(sizes) <= 22 + 64 + 22


def test_wrong_tokens_are_refused_when_they_are_pushed(tokenizer):
    with pytest.raises(ValueError, match="look_ahead is -1"):
        StreamingDecoder(tokenizer, -1)
    decoder = StreamingDecoder(tokenizer)
    with pytest.raises(ValueError, match=r"whole numbers \[n, 3\]"):
        decoder.push(torch.zeros(4, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="whole numbers"):
        decoder.push(torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"'lhand' must lie in 0\.\.7, got 0\.\.8"):
        decoder.push(torch.tensor([[0, 0, 0], [0, 8, 0]]))
    decoder.push(clip(5))
    assert len(decoder.finish()) == 20  # what was refused is not in the clip
    with pytest.raises(ValueError, match="finished"):
        decoder.push(clip(1))
    with pytest.raises(ValueError, match="finished"):
        decoder.finish()
