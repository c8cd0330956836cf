"""Draws follow the probabilities that they should follow."""

import math

import pytest
import torch
from scipy.stats import chisquare

from soke.generator import generate
from soke.generator.decoding.sampling import Sampling, filtered
from soke.structures import TokenSample
from tests.helpers import small_generator


def plain_filter(logits, top_k, top_p):
    """The same on a list: softmax, the likeliest k, of these the fewest that reach top_p."""
    exponents = [math.exp(x) for x in logits]
    probabilities = [x / sum(exponents) for x in exponents]
    order = sorted(range(len(logits)), key=lambda i: -probabilities[i])[: top_k or len(logits)]
    total, reached, kept = sum(probabilities[i] for i in order), 0.0, []
    for i in order:
        if top_p is not None and reached >= top_p * total:
            break
        kept.append(i)
        reached += probabilities[i]
    return [p if i in kept else 0.0 for i, p in enumerate(probabilities)]


@pytest.mark.parametrize("top_k", [None, 1, 4, 50])
@pytest.mark.parametrize("top_p", [None, 0.1, 0.75, 1.0])
def test_filters_keep_what_a_plain_loop_keeps(top_k, top_p):
    torch.manual_seed(0)
    logits = 2 * torch.randn(5, 3, 20, dtype=torch.float64)
    logits[0, 0, 3:] = float("-inf")
    found = filtered(logits, top_k, top_p)
    for row, values in zip(found.flatten(0, 1), logits.flatten(0, 1).tolist()):
        expected = torch.tensor(plain_filter(values, top_k, top_p), dtype=torch.float64)
        torch.testing.assert_close(row, expected)


@pytest.mark.parametrize("options", [{}, {"top_k": 5}, {"top_p": 0.8}, {"top_k": 9, "top_p": 0.9}])
def test_draws_have_the_frequencies_of_the_softmax(options):
    torch.manual_seed(1)
    logits, temperature, count = torch.randn(12), 0.7, 20000
    logits[4] = float("-inf")
    sampling = Sampling(temperature, **options)
    uniform = torch.rand(count, generator=torch.Generator().manual_seed(2)).double()
    drawn = sampling.choose(logits.expand(count, 12), uniform)
    expected = plain_filter(
        (logits / temperature).tolist(), options.get("top_k"), options.get("top_p")
    )
    expected = torch.tensor(expected, dtype=torch.float64) / sum(expected)
    counts = drawn.bincount(minlength=12)
    assert (counts[expected == 0] == 0).all()
    kept = expected > 0
    assert chisquare(counts[kept], count * expected[kept] / expected[kept].sum()).pvalue > 0.01


def test_the_ends_of_the_unit_interval_are_safe():
    logits = torch.tensor([float("-inf"), 0.0, 1.0, float("-inf")])
    draw = Sampling(1.0).choose
    assert draw(logits, torch.tensor(0.0).double()) == 1
    assert draw(logits, torch.tensor(1 - 2**-24).double()) == 2


def test_a_text_said_often_has_the_models_first_tokens(tmp_path):
    """Through all of decoding: many samples of a clip, and clips that differ by name only."""
    model, prompts = small_generator(tmp_path)
    count, text = 1500, "jumps"
    batch = prompts([TokenSample(f"c{i}", "how2sign", text) for i in range(count)])
    said = torch.stack([tokens[0] for tokens in generate(model, batch, 1, temperature=3.0)])
    one = prompts([TokenSample("c", "how2sign", text)])
    memory = model.encode(one.source, one.source_mask)
    state = model.backbone.decoder(
        inputs_embeds=model.start(one.sign_language), encoder_hidden_states=memory
    ).last_hidden_state[0, 0]
    for p, (weight, bias) in enumerate(model.heads(codes_only=True)):
        logits = (weight @ state + bias)[:-1] / 3.0
        expected = count * logits.double().softmax(0).detach()
        counts = said[:, p].bincount(minlength=len(expected))
        assert (expected > 5).all()
        assert chisquare(counts, expected).pvalue > 0.001


def test_random_numbers_depend_on_clip_sample_and_seed_alone(tmp_path):
    _, prompts = small_generator(tmp_path)
    clips = [("a", "how2sign", "jumps"), ("b", "how2sign", "jumps"), ("a", "csl", "jumps")]
    samples = [TokenSample(*clip) for clip in [*clips, ("a", "how2sign", "the fox")]]
    numbers = Sampling(1.0, samples=2, seed=3).uniforms(prompts(samples), 20)
    assert numbers.shape == (8, 20, 3)
    assert len({tuple(row.flatten().tolist()) for row in numbers}) == 8
    fewer = Sampling(1.0, samples=1, seed=3).uniforms(prompts(samples[1:3]), 9)
    assert torch.equal(fewer, numbers[[2, 4], :9])
    assert not torch.equal(Sampling(1.0, seed=4).uniforms(prompts(samples[:1]), 20), numbers[:1])
    assert Sampling().uniforms(prompts(samples), 20) is None
