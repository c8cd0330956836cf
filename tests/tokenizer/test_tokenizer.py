"""The part-wise tokenizer: shapes, the networks' layers, padding, losses, bad input."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from soke.structures import PoseBatch
from soke.tokenizer import PADDING, QUANTIZERS, encode_batches, reconstruction_loss
from tests.tokenizer.models import clips_of, padded, tokenizer_of, train_step

LENGTHS = st.lists(st.integers(1, 16).map(lambda n: 4 * n), min_size=1, max_size=5)


@pytest.fixture(scope="module", params=["ema_reset", "orig", "fsq", "rvq"])
def trained(request):
    """A tokenizer after two steps, so that its codes are outputs of its encoder."""
    tokenizer = tokenizer_of(request.param)
    optimizer = torch.optim.SGD(tokenizer.parameters(), 0.1)
    for seed in range(2):
        train_step(tokenizer, optimizer, clips_of([32, 40, 16], seed))
    return tokenizer.eval()


def test_shapes_and_round_trip_of_tokens(trained):
    motion = torch.randn(2, 24, 133)
    tokens = trained.encode(motion)
    assert tokens.shape == (2, 6, 3) and tokens.dtype == torch.int64
    assert trained.decode(tokens).shape == (2, 24, 133)
    output = trained(motion, torch.ones(2, 24, dtype=torch.bool))
    assert torch.equal(output.tokens, tokens)
    torch.testing.assert_close(output.reconstruction, trained.decode(tokens))
    assert output.commitment.shape == output.perplexity.shape == output.codes_used.shape == (3,)


def test_normalization_uses_the_statistics():
    mean, std = torch.randn(133), torch.rand(133) + 0.5
    tokenizer = tokenizer_of(mean=mean, std=std)
    motion = torch.randn(2, 24, 133)
    torch.testing.assert_close(tokenizer.normalize(motion), (motion - mean) / std)
    torch.testing.assert_close(tokenizer.denormalize(tokenizer.normalize(motion)), motion)


@given(lengths=LENGTHS, extra=st.integers(0, 3), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None, derandomize=True)
@torch.no_grad()
def test_a_clip_alone_equals_itself_padded_in_a_batch(trained, lengths, extra, seed):
    clips = clips_of(lengths, seed)
    motion, mask = padded(clips, max(lengths) + 4 * extra, value=math.nan)  # padding of any value
    tokens = trained.encode(motion, lengths)
    steps = [n // 4 for n in lengths]
    decoded, output = trained.decode(tokens, steps), trained(motion, mask)
    assert torch.equal(output.tokens, tokens)
    for i, (clip, n) in enumerate(zip(clips, steps)):
        alone = trained.encode(clip[None])
        assert torch.equal(tokens[i, :n], alone[0])
        assert (tokens[i, n:] == PADDING).all()
        expected = trained.decode(alone)[0]
        for motions in (decoded, output.reconstruction):
            torch.testing.assert_close(motions[i, : 4 * n], expected, atol=1e-5, rtol=0)
            assert not motions[i, 4 * n :].any()
    motions = trained.decode_to_motion([row[:n] for row, n in zip(tokens, steps)])
    for motion, row, n in zip(motions, decoded, lengths):
        torch.testing.assert_close(motion, trained.denormalize(row[:n]))


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_padding_enters_neither_losses_nor_gradients_nor_codebooks(kind):
    results = []
    for size, value in ((32, 0.0), (48, 9.0)):
        tokenizer = tokenizer_of(kind)
        motion, mask = padded(clips_of([8, 32]), size, value)
        output = tokenizer(motion, mask)
        loss = reconstruction_loss("l1_smooth", output.reconstruction, motion, mask)
        (loss + output.commitment.sum()).backward()
        gradients = [parameter.grad for parameter in tokenizer.parameters()]
        results.append(
            (
                loss,
                output.commitment,
                output.perplexity,
                output.codes_used,
                *gradients,
                *tokenizer.buffers(),
            )
        )
    for first, second in zip(*results):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "formula"),
    [
        ("l1", lambda d: d.abs()),
        ("l2", lambda d: d * d),
        ("l1_smooth", lambda d: torch.where(d.abs() < 1, 0.5 * d * d, d.abs() - 0.5)),
    ],
)
@pytest.mark.parametrize("lengths", [[8, 4], [8, 8]])
def test_reconstruction_loss_is_the_mean_over_real_frames(kind, formula, lengths):
    first, mask = padded([2 * clip for clip in clips_of(lengths, 0)], value=5.0)
    second, _ = padded(clips_of(lengths, 1), value=-5.0)
    expected = torch.cat([formula(a[:n] - b[:n]) for a, b, n in zip(first, second, lengths)])
    torch.testing.assert_close(reconstruction_loss(kind, first, second, mask), expected.mean())
    with pytest.raises(ValueError, match="choose one of"):
        reconstruction_loss("huber", first, second, mask)


def conv(layer, x, **options):
    return nn.functional.conv1d(x, layer.weight, layer.bias, **options)


def plain_stack(stack, x):
    for block, dilation in zip(stack.blocks, (9, 3, 1)):
        hidden = conv(block.dilated, x.relu(), padding=dilation, dilation=dilation)
        x = x + conv(block.pointwise, hidden.relu())
    return x


def plain_encoder(encoder, motion):
    """The layer stack of the method's description out of plain torch functions."""
    x = conv(encoder.input, motion.transpose(1, 2), padding=1).relu()
    for down, stack in zip(encoder.down, encoder.stacks):
        x = plain_stack(stack, conv(down, x, stride=2, padding=1))
    return conv(encoder.output, x, padding=1).transpose(1, 2)


def plain_decoder(decoder, codes):
    x = conv(decoder.input, codes.transpose(1, 2), padding=1).relu()
    for stack, up in zip(decoder.stacks, decoder.up):
        x = nn.functional.interpolate(plain_stack(stack, x), scale_factor=2, mode="nearest")
        x = conv(up, x, padding=1)
    return conv(decoder.output, conv(decoder.middle, x, padding=1).relu(), padding=1)


@torch.no_grad()
def test_the_networks_are_those_of_the_method(trained):
    motion = torch.randn(2, 32, 133)
    tokens, decoded = trained.encode(motion), []
    for p, (network, piece) in enumerate(zip(trained.networks, trained.parts.split(motion))):
        nearest = network.quantizer.nearest(plain_encoder(network.encoder, piece))
        assert torch.equal(nearest, tokens[..., p])
        codes = network.quantizer.lookup(nearest)
        decoded.append(plain_decoder(network.decoder, codes).transpose(1, 2))
    torch.testing.assert_close(
        trained.parts.merge(decoded), trained.decode(tokens), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_training_lowers_the_error_and_uses_many_codes(kind):
    tokenizer = tokenizer_of(kind)
    optimizer = torch.optim.AdamW(tokenizer.parameters(), 5e-3)
    phase = torch.rand(133, generator=torch.Generator().manual_seed(1)) * 6
    time = torch.arange(32) / 8
    clips = [torch.sin(time[:, None] * (1 + i / 8) + phase) for i in range(8)]
    losses = [train_step(tokenizer, optimizer, clips) for _ in range(50)]
    assert losses[-1][0] < 0.5 * losses[0][0]
    output = tokenizer.eval()(*padded(clips))
    assert (output.perplexity > 3).all() and (output.codes_used > 0.3).all()


def test_clips_of_a_data_set_are_encoded_in_batches():
    tokenizer = tokenizer_of().eval()
    batches = []
    for names in (("a", "b"), ("c",)):
        motion, mask = padded(clips_of([4 * ord(name) - 376 for name in names]))
        labels = ("corpus",) * len(names)
        batches.append(PoseBatch(names, labels, labels, motion, mask))
    encoded = list(encode_batches(tokenizer, batches))
    assert [(corpus, name) for corpus, name, _ in encoded] == [("corpus", n) for n in "abc"]
    assert [tokens.shape for _, _, tokens in encoded] == [(3, 3), (4, 3), (5, 3)]
    assert all((tokens >= 0).all() for _, _, tokens in encoded)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.encode(torch.zeros(1, 8, 132)), r"\[B, T, 133\]"),
        (lambda t: t.encode(torch.zeros(8, 133)), r"\[B, T, 133\]"),
        (lambda t: t(torch.zeros(1, 8, 132), torch.ones(1, 8) > 0), r"\[B, T, 133\]"),
        (lambda t: t.encode(torch.zeros(1, 9, 133)), "multiples of 4"),
        (lambda t: t.encode(torch.zeros(1, 8, 133), [6]), r"lengths \[6\] padded to 8"),
        (lambda t: t(torch.zeros(1, 8, 133), torch.arange(8)[None] < 6), "multiples of 4"),
        (lambda t: t.encode(torch.zeros(1, 8, 133), [12]), "from 1 to 8"),
        (lambda t: t.encode(torch.zeros(1, 8, 133), [4, 4]), "must be 1 numbers"),
        (lambda t: t.decode(torch.zeros(1, 8, 2, dtype=torch.int64)), r"\[B, S, 3\]"),
        (lambda t: t.decode(torch.full((1, 2, 3), 99)), "'body' must lie in 0..15, got 99..99"),
        (lambda t: t.decode(torch.tensor([[[0, 8, 0]]])), "'lhand' must lie in 0..7"),
        (lambda t: t.decode(torch.full((1, 2, 3), -1)), "must lie in"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(tokenizer_of().eval())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantizer": "vq"}, "part 'body': unknown quantizer"),
        ({"quantizer": "fsq", "levels": {"hand": [4, 2]}}, r"levels names the parts \['hand'\]"),
        ({"quantizer": "fsq", "levels": {"lhand": [4, 4]}}, "part 'lhand': the levels"),
        ({"decay": 1.5}, "decay is 1.5"),
        ({"mean": torch.zeros(179)}, r"mean has shape \(179,\).*133 numbers"),
        ({"std": torch.ones(1, 133)}, r"std has shape \(1, 133\)"),
    ],
)
def test_impossible_tokenizers_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        tokenizer_of(**arguments)


def test_levels_are_per_part_and_described():
    tokenizer = tokenizer_of("rvq", levels={"body": [2, 2, 4]})
    assert [n.quantizer.levels for n in tokenizer.networks] == [(2, 2, 4), (4, 2), (4, 3)]
    described = tokenizer.description()["levels"]
    assert described == {"body": [2, 2, 4], "lhand": [4, 2], "rhand": [4, 3]}
    assert tokenizer_of("rvq", levels=described).description() == tokenizer.description()
    assert tokenizer_of().description()["levels"] is None
    again = type(tokenizer).from_description(tokenizer.description())
    again.load_state_dict(tokenizer.state_dict())
    assert again.description() == tokenizer.description()
    with pytest.raises(ValueError, match="another version"):
        type(tokenizer).from_description({**tokenizer.description(), "depth": 3})


def test_mixed_precision_equals_full_precision_within_its_digits():
    motion, mask = padded(clips_of([32, 24]))
    outputs = []
    for enabled in (False, True):
        tokenizer = tokenizer_of("ema")
        optimizer = torch.optim.SGD(tokenizer.parameters(), 0.1)
        for _ in range(3):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
                output = tokenizer(motion, mask)
                loss = reconstruction_loss("l1_smooth", output.reconstruction, motion, mask)
                loss = loss + 0.02 * output.commitment.sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert output.reconstruction.dtype == output.commitment.dtype == torch.float32
        codebook = tokenizer.networks[0].quantizer.codebook
        assert codebook.dtype == torch.float32
        outputs.append((loss.detach(), output.reconstruction.detach(), codebook))
    for full, mixed in zip(*outputs):
        torch.testing.assert_close(mixed, full, atol=2e-2, rtol=2e-2)
        assert not torch.equal(mixed, full)
