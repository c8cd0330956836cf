"""The decoder in 8-bit integers."""

import pytest
import torch
from torch import nn

from soke.generator import MultiHeadGenerator, generate, iterate
from soke.generator.int8 import Int8Linear, int8_weights
from tests.helpers import small_config, small_generator, token_samples


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return small_generator(tmp_path_factory.mktemp("mbart"))


@pytest.mark.parametrize(("inputs", "outputs"), [(64, 96), (256, 64), (33, 7)])
@pytest.mark.parametrize("added", [False, True])
def test_layers_are_rounded_to_their_digits_and_no_more(inputs, outputs, added):
    torch.manual_seed(0)
    layers = [nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)]
    x = 3 * torch.randn(9, inputs)
    weight = torch.cat([layer.weight.detach() for layer in layers]).double()
    bias = torch.cat([layer.bias.detach() for layer in layers]).double()
    largest = 127 if torch.cpu._is_vnni_supported() else 63

    def digits(values, largest, finer):
        step = values.abs().amax(dim=1, keepdim=True) / largest
        return (values / step * finer).round() / finer * step

    exact = x.double() @ weight.T + bias
    rounded = digits(weight, largest, 1 if added else 2 * largest)
    expected = digits(x.double(), 127, 256) @ rounded.T + bias
    found = Int8Linear(layers, added)(x).double()
    error = (expected - exact).norm()
    assert 0 < error < (2e-2 if added else 3e-4) * exact.norm()
    assert (found - expected).norm() < 0.3 * error


def test_a_row_does_not_depend_on_the_others():
    torch.manual_seed(0)
    packed = Int8Linear([nn.Linear(64, 96)])
    x = torch.randn(8, 64) * torch.tensor([1e-3, 1, 50, 1, 0, 1, 1, 1])[:, None]
    together = packed(x)
    for i in range(8):
        torch.testing.assert_close(packed(x[i : i + 1])[0], together[i], atol=0, rtol=1e-6)
    torch.testing.assert_close(together[4], packed.bias)


def test_the_packed_decoder_is_kept_until_the_weights_change(built):
    decoder = built[0].backbone.decoder
    first = int8_weights(decoder)
    assert int8_weights(decoder) is first
    with torch.no_grad():
        decoder.layers[0].fc1.weight.mul_(2)
    second = int8_weights(decoder)
    assert second is not first
    torch.testing.assert_close(second.layers[0].up.scale, 2 * first.layers[0].up.scale)
    with torch.no_grad():
        decoder.layers[0].fc1.weight.div_(2)


def test_what_was_learned_is_said_in_int8_too(built):
    _, prompts = built
    torch.manual_seed(0)
    model = MultiHeadGenerator(prompts.vocabulary, small_config(prompts.vocabulary.text_size))
    clips = token_samples(3)
    batch = prompts(clips)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(batch)[0].sum().backward()
        optimizer.step()
    model.eval()
    for clip, tokens in zip(clips, generate(model, batch, 20, int8=True)):
        assert tokens.tolist() == clip.tokens.tolist()


def test_a_clip_does_not_depend_on_its_batch(built):
    model, prompts = built
    clips = token_samples(5)
    together = generate(model, prompts(clips), 16, int8=True)
    for clip, tokens in zip(clips, together):
        assert torch.equal(generate(model, prompts([clip]), 16, int8=True)[0], tokens)
    steps = [step.tokens for step in iterate(model, prompts(clips[:1]), 16, int8=True)]
    assert torch.equal(torch.cat(steps), together[0])
