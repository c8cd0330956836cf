"""Drafts in 8-bit integers, and that nothing but time depends on them."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from soke.generator import GENERATORS, generate, generate_samples, iterate
from soke.generator.decoding.drafting import DraftingDecoder
from soke.generator.decoding.int8 import Int8Linear, int8_weights
from soke.generator.decoding.steps import FIRST_STEPS, DecoderWeights, StepDecoder
from soke.generator.vocabulary import EOS
from tests.helpers import small_generator, token_samples

DRAW = {"temperature": 1.0, "top_k": 12, "top_p": 0.95, "seed": 5}


@pytest.fixture(scope="module", params=list(GENERATORS))
def built(request, tmp_path_factory):
    model, prompts = small_generator(tmp_path_factory.mktemp("mbart"), request.param)
    model.bias[EOS] = 2.0  # clips end at different steps
    return model, prompts


def noisy(weights: DecoderWeights, strength: float) -> DecoderWeights:
    """The same weights but for noise, which makes guesses wrong."""
    torch.manual_seed(0)
    for layer in weights.layers:
        layer.up.factor = layer.up.factor + strength * torch.randn_like(layer.up.factor)
    return weights


# The layers


@pytest.mark.parametrize(("inputs", "outputs"), [(64, 96), (256, 64), (33, 7)])
def test_layers_are_rounded_to_a_byte_a_number_and_no_more(inputs, outputs):
    torch.manual_seed(0)
    layers = [nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)]
    x = 3 * torch.randn(9, inputs)
    weight = torch.cat([layer.weight.detach() for layer in layers]).double()
    bias = torch.cat([layer.bias.detach() for layer in layers]).double()
    scale = weight.abs().amax(dim=1, keepdim=True) / 127
    packed = Int8Linear(layers)
    exact, largest = x.double() @ weight.T + bias, 127 if packed.seven_bits else 255
    step = (x.max() - x.min()).double() / largest
    zero = (-x.min() / step).round()  # 0 is one of the steps
    rounded = ((x.double() / step).round() + zero).clamp(0, largest) - zero
    expected = step * rounded @ ((weight / scale).round() * scale).T + bias
    error = (expected - exact).norm()
    assert 0 < error < 2e-2 * exact.norm()
    assert (packed(x).double() - expected).norm() < 0.1 * error
    assert packed(x.bfloat16()).dtype == torch.bfloat16


def test_layers_elsewhere_than_on_the_cpu_are_refused():
    with pytest.raises(ValueError, match="runs on the CPU, and the generator is on meta"):
        Int8Linear([nn.Linear(4, 4, device="meta")])


def test_the_packed_decoder_is_kept_until_the_weights_change(built):
    decoder = built[0].backbone.decoder
    x = torch.randn(2, 32)
    first = int8_weights(decoder, torch.float32)
    assert int8_weights(decoder, torch.float32) is first
    with torch.no_grad():
        decoder.layers[0].fc1.weight.mul_(2)
    second = int8_weights(decoder, torch.float32)
    assert second is not first
    before, after = (weights.layers[0].up(x) for weights in (first, second))
    torch.testing.assert_close(after, 2 * before - decoder.layers[0].fc1.bias.detach())
    with torch.no_grad():
        decoder.layers[0].fc1.weight.div_(2)
    assert int8_weights(decoder, torch.bfloat16) is not int8_weights(decoder, torch.float32)


def test_weights_made_in_inference_mode_are_packed_too(built):
    model, prompts = built
    batch = prompts(token_samples(2))
    with torch.inference_mode():
        copy = deepcopy(model)
    assert next(copy.backbone.decoder.parameters()).is_inference()
    for found, expected in zip(generate(copy, batch, 8, int8=True), generate(model, batch, 8)):
        assert torch.equal(found, expected)


# Reading ahead


@pytest.mark.parametrize("streams", [1, 3])
def test_several_positions_are_read_as_one_by_one(built, streams):
    model, _ = built
    torch.manual_seed(0)
    memory, mask = torch.randn(3, 7, 32), torch.arange(7) < torch.tensor([7, 4, 2])[:, None]
    read = torch.randn(3, streams, FIRST_STEPS + 30, 32)
    weights = DecoderWeights(model.backbone.decoder, torch.float32)
    with torch.inference_mode():
        one = StepDecoder(weights, memory, mask, streams, limit=200)
        expected = torch.stack([one(x) for x in read.unbind(2)], dim=2)
        many = StepDecoder(weights, memory, mask, streams, limit=200)
        found = [many.read(read[:, :, at : at + 25]) for at in range(0, read.shape[2], 25)]
        torch.testing.assert_close(torch.cat(found, dim=2), expected, atol=1e-5, rtol=1e-5)
        many.steps = 50  # set back
        torch.testing.assert_close(
            many.read(read[:, :, 50:53]), expected[:, :, 50:53], atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("right", [0.0, 0.7, 1.0])
def test_states_do_not_depend_on_the_guesses(built, right):
    """Of what is read next, a share is guessed rightly; clips leave on the way."""
    model, _ = built
    torch.manual_seed(0)
    memory, mask = torch.randn(3, 7, 32), torch.ones(3, 7, dtype=torch.bool)
    read = torch.randn(3, 1, 60, 32)
    weights = DecoderWeights(model.backbone.decoder, torch.float32)
    plain = StepDecoder(weights, memory, mask, 1, limit=60)
    rows = torch.arange(3)

    def follow(states, position):
        assert position < 59, "there is nothing to read after the last position"
        truth = read[rows, :, position + 1]
        return truth if torch.rand(()) < right else torch.zeros_like(truth)

    draft = noisy(DecoderWeights(model.backbone.decoder, torch.float32), 1.0)
    decoder = DraftingDecoder(StepDecoder(weights, memory, mask, 1, limit=60), draft, follow)
    calls = []
    whole, decoder.decoder.read = decoder.decoder.read, lambda *a: calls.append(1) or whole(*a)
    with torch.inference_mode():
        for step in range(60):
            if step in (7, 30):
                keep = torch.tensor([0, 2] if step == 7 else [1])
                plain.keep(keep)
                decoder.keep(keep)
                rows = rows[keep]
            found, expected = decoder(read[rows, :, step]), plain(read[rows, :, step])
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    confirming = len(calls) - 60  # guesses that were right, the rest being drafts or thrown away
    assert confirming < 10 if right == 1 else confirming > 20


@pytest.mark.parametrize("strength", [0.0, 0.3, 3.0])
def test_tokens_are_those_without_int8(built, monkeypatch, strength):
    """However good the guesses are, greedy and drawn, alone and in a batch."""
    model, prompts = built
    if strength:
        guess = noisy(DecoderWeights(model.backbone.decoder, torch.float32), strength)
        monkeypatch.setattr("soke.generator.decoding.loop.int8_weights", lambda *_: guess)
    clips = token_samples(8)
    lengths = set()
    for least, options in ((30, {}), (2, DRAW)):
        expected = generate(model, prompts(clips), 40, least, **options)
        lengths.update(len(tokens) for tokens in expected)
        for size in (1, 3, 8):
            for at in range(0, 8, size):
                batch = prompts(clips[at : at + size])
                found = generate(model, batch, 40, least, int8=True, **options)
                for tokens, truth in zip(found, expected[at : at + size], strict=True):
                    assert torch.equal(tokens, truth)
    assert len(lengths) > 3


def test_steps_samples_and_scores_are_those_without_int8(built):
    model, prompts = built
    batch = prompts(token_samples(4))
    for one, other in zip(
        iterate(model, batch, 24, 2), iterate(model, batch, 24, 2, int8=True), strict=True
    ):
        assert torch.equal(one.clips, other.clips) and torch.equal(one.tokens, other.tokens)
    options = {"temperature": 1.0, "samples": 3}
    plain = generate_samples(model, batch, 24, 2, **options)
    drafted = generate_samples(model, batch, 24, 2, int8=True, **options)
    for rows, others in zip(plain, drafted, strict=True):
        for one, other in zip(rows, others, strict=True):
            assert torch.equal(one.tokens, other.tokens)
            assert one.score == pytest.approx(other.score, abs=1e-4)


def test_half_precision_models_are_drafted_too(built):
    model, prompts = built
    batch = prompts(token_samples(3))
    with torch.autocast("cpu", torch.bfloat16):
        expected = generate(model, batch, 12, 12)
        found = generate(model, batch, 12, 12, int8=True)
    same = torch.stack([a[:4] == b[:4] for a, b in zip(found, expected)])
    assert same.float().mean() > 0.7  # bfloat16 is rounded otherwise in other shapes


def test_more_clips_than_pay_are_not_guessed(built, monkeypatch):
    model, prompts = built
    seen = []
    read = DraftingDecoder._read_ahead
    monkeypatch.setattr(
        DraftingDecoder,
        "_read_ahead",
        lambda self, x, count: read(self, x, count) or seen.append((len(x), self.guessed)),
    )
    generate(model, prompts(token_samples(9)), 6, 6, int8=True)
    assert {guessed for clips, guessed in seen if clips == 9} == {0}
    generate(model, prompts(token_samples(2)), 6, 6, int8=True)
    assert max(guessed for clips, guessed in seen if clips == 2) > 0
