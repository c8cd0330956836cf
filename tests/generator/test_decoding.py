"""Decoding step by step against reading the whole prefix again, alone and in a batch."""

import pytest
import torch

from soke.generator import GENERATORS, generate, generate_samples, iterate
from soke.generator.decoding.steps import FIRST_STEPS, DecoderWeights, StepDecoder
from soke.generator.vocabulary import EOS
from soke.structures import TokenSample
from tests.helpers import part_rows, small_generator, token_samples

DECODERS = list(GENERATORS)
DRAW = {"temperature": 0.9, "top_k": 12, "top_p": 0.95, "seed": 5}


@pytest.fixture(scope="module", params=DECODERS)
def built(request, tmp_path_factory):
    return ends_early(*small_generator(tmp_path_factory.mktemp("mbart"), request.param))


def ends_early(model, prompts):
    """With a head that says </s> now and then."""
    model.bias[EOS] = 2.0
    return model, prompts


def clips(count=8):
    return token_samples(count)


def last_state(model, batch, read):
    """The state after embeddings [T, D], all of them read by mBART's own decoder."""
    return model.backbone.decoder(
        inputs_embeds=read[None],
        encoder_attention_mask=batch.source_mask,
        use_cache=False,
        encoder_hidden_states=model.encode(batch.source, batch.source_mask),
    ).last_hidden_state[0, -1]


def reread(model, batch, max_steps, min_steps, scale=32**0.5):
    """Greedy decoding of one text that reads the whole prefix again for every token."""
    vocabulary, kind = model.vocabulary, type(model).__name__
    table, heads = model.table * scale, model.heads(codes_only=True)
    language, parts = batch.sign_language, range(len(model.vocabulary.parts))
    starts = vocabulary.language_rows(language)[0] if kind == "PartGenerator" else language
    frames = []  # rows
    for step in range(max_steps):
        frame = []
        for p in parts:
            if kind == "FlattenGenerator":
                read = table[[int(starts[0]), *(row for f in [*frames, frame] for row in f)]]
            elif kind == "PartGenerator":
                read = table[[int(starts[p]), *(f[p] for f in frames)]]
            else:
                each = zip(vocabulary.parts.fusion_weights, parts)
                read = sum(w * table[[int(starts[0]), *(f[q] for f in frames)]] for w, q in each)
            scores = heads[p][0] @ last_state(model, batch, read) + heads[p][1]
            if p == 0 and step >= min_steps and scores.argmax() == len(scores) - 1:
                return torch.tensor(frames)
            frame.append(vocabulary.part_offsets[p] + int(scores[:-1].argmax()))
        frames.append(frame)
    return torch.tensor(frames)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("decoder", DECODERS)
def test_decoding_equals_reading_the_prefix_again(tmp_path, decoder, count):
    rows = part_rows(count)
    model, prompts = ends_early(*small_generator(tmp_path, decoder, rows))
    samples = token_samples(4, rows)
    lengths = set()
    for bias in (0.0, 1.0, 2.0, 4.0):
        model.bias[EOS] = bias
        for sample, tokens in zip(samples, generate(model, prompts(samples), 12, 2)):
            expected = reread(model, prompts([sample]), 12, 2)
            assert torch.equal(model.vocabulary.motion_rows(tokens), expected)
            lengths.add(len(tokens))
    assert len(lengths) > 1, "the test needs clips that end at different steps"


@pytest.mark.parametrize("options", [{}, DRAW, {**DRAW, "samples": 3}])
def test_a_clip_does_not_depend_on_its_batch(built, options):
    model, prompts = built
    some, order, lengths = clips(), [3, 1, 7, 4, 0, 6, 2, 5], set()
    for bias in (0.0, 2.0, 4.0):
        model.bias[EOS] = bias
        together = generate(model, prompts(some), 24, 2, **options)
        shuffled = generate(model, prompts([some[i] for i in order]), 24, 2, **options)
        for i, clip in enumerate(some):
            (alone,) = generate(model, prompts([clip]), 24, 2, **options)
            assert torch.equal(together[i], alone)
            assert torch.equal(shuffled[order.index(i)], alone)
            lengths.add(len(alone))
    model.bias[EOS] = 2.0
    assert len(lengths) > 1, "the test needs clips that end at different steps"


def test_only_codes_of_the_part_and_no_end_before_the_least_length(built):
    model, prompts = built
    sizes = torch.tensor([part.codebook_size for part in model.vocabulary.parts])
    model.bias[:EOS] = 50.0  # special tokens that may not be said
    model.bias[EOS + 1 : EOS + 40] = 50.0
    for options in ({}, {"temperature": 3.0}):
        for tokens in generate(model, prompts(clips()), 30, 5, **options):
            assert 5 <= len(tokens) <= 30
            assert (tokens >= 0).all() and (tokens < sizes).all()
    model.bias[:EOS] = 0
    model.bias[EOS + 1 : EOS + 40] = 0


def test_steps_come_one_by_one_and_without_clips_that_have_ended(built):
    model, prompts = built
    batch = prompts(clips())
    for options in ({}, DRAW):
        whole = generate(model, batch, 24, 2, **options)
        for i, step in enumerate(iterate(model, batch, 24, 2, **options)):
            running = [clip for clip, tokens in enumerate(whole) if len(tokens) > i]
            assert step.clips.tolist() == running
            assert torch.equal(step.tokens, torch.stack([whole[clip][i] for clip in running]))
        assert i + 1 == max(len(tokens) for tokens in whole)


def test_samples_differ_repeat_and_are_ordered_by_score(built):
    model, prompts = built
    batch = prompts(clips(3))
    options = {"temperature": 1.0, "samples": 4, "length_penalty": 0.7}
    found = generate_samples(model, batch, 24, 2, **options, seed=1)
    for row, best in zip(found, generate(model, batch, 24, 2, **options, seed=1)):
        assert len({tuple(sample.tokens.flatten().tolist()) for sample in row}) == 4
        scores = [sample.score for sample in row]
        assert scores == sorted(scores, reverse=True) and torch.equal(row[0].tokens, best)
        for sample in row:
            assert sample.score == sample.log_probability / len(sample.tokens) ** 0.7
    again = generate_samples(model, batch, 24, 2, **options, seed=1)
    other = generate_samples(model, batch, 24, 2, **options, seed=2)
    for row, same, unlike in zip(found, again, other):
        assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(row, same))
        assert not all(torch.equal(a.tokens, b.tokens) for a, b in zip(row, unlike))


def test_log_probabilities_are_those_under_teacher_forcing(built):
    model, prompts = built
    (clip,) = clips(1)
    model.bias[EOS] = 0.5
    found = generate_samples(model, prompts([clip]), 6, 1, 4.0, top_k=12, samples=30)
    for sample in found[0]:
        steps = len(sample.tokens)
        given = TokenSample(clip.name, clip.corpus, clip.text, sample.tokens.numpy())
        expected = 0.0
        for p, logits in enumerate(model(prompts([given]))):
            size = model.vocabulary.parts[p].codebook_size
            for step in range(steps + (p == 0 and steps < 6)):
                allowed = logits[0, step, :size]
                if p == 0 and step >= 1:
                    allowed = torch.cat([allowed, logits[0, step, size + EOS, None]])
                said = int(sample.tokens[step, p]) if step < steps else size
                expected += allowed.log_softmax(0)[said].item()
        assert sample.log_probability == pytest.approx(expected, abs=1e-3)
    model.bias[EOS] = 2.0
    assert {len(sample.tokens) == 6 for sample in found[0]} == {True, False}


@pytest.mark.parametrize("streams", [1, 3])
def test_the_stepping_decoder_is_transformers_decoder(built, streams):
    """Past the first size of the cache, with padded texts and clips that leave on the way."""
    model, _ = built
    torch.manual_seed(0)
    size, length, steps = 3, 7, FIRST_STEPS + 8
    memory = torch.randn(size, length, 32)
    mask = torch.arange(length) < torch.tensor([7, 4, 2])[:, None]
    read = torch.randn(size, streams, steps, 32)
    with torch.no_grad():
        expected = model.backbone.decoder(
            inputs_embeds=read.flatten(0, 1),
            use_cache=False,
            encoder_hidden_states=memory.repeat_interleave(streams, 0),
            encoder_attention_mask=mask.repeat_interleave(streams, 0),
        ).last_hidden_state.view(size, streams, steps, 32)
        weights = DecoderWeights(model.backbone.decoder, torch.float32)
        decoder = StepDecoder(weights, memory, mask, streams, limit=200)
        rows = torch.arange(size)
        for step in range(steps):
            if step in (5, 30):
                keep = torch.tensor([0, 2] if step == 5 else [1])
                decoder.keep(keep)
                rows = rows[keep]
            states = decoder(read[rows, :, step])
            torch.testing.assert_close(states, expected[rows, :, step], atol=1e-4, rtol=1e-4)
    assert rows.tolist() == [2] and decoder.cache[0].shape[3] == 2 * FIRST_STEPS


def test_the_cache_grows_with_the_steps_and_shrinks_with_the_clips(built):
    model, _ = built
    weights = DecoderWeights(model.backbone.decoder, torch.float32)
    sizes = []
    with torch.no_grad():
        decoder = StepDecoder(weights, torch.randn(4, 3, 32), torch.ones(4, 3).bool(), 1, 500)
        for _ in range(300):
            decoder(torch.randn(4, 1, 32))
            sizes.append(decoder.cache_bytes)
        decoder.keep(torch.tensor([1]))
    layers = len(model.backbone.decoder.layers)
    needed = [2 * 4 * 32 * 4 * layers * (step + 1) for step in range(300)]
    assert all(size <= max(2 * least, needed[63]) for size, least in zip(sizes, needed))
    assert all(size >= least for size, least in zip(sizes, needed))
    assert decoder.cache_bytes == sizes[-1] // 4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_and_autocast(built, tmp_path, dtype):
    model, prompts = built
    batch = prompts(clips(4))
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.autocast("cpu", dtype):
        mixed = generate(model, batch, 12, 12)
        assert torch.get_autocast_dtype("cpu") == dtype
        run = iterate(model, batch, 12, 12)
        next(run)
        assert torch.is_autocast_enabled("cpu")
    run = iterate(model, batch, 12, 12)
    first = next(run)
    with torch.autocast("cpu", dtype):  # of whoever reads the steps
        entered = torch.stack([first.tokens, *(step.tokens for step in run)], dim=1)
    halved = generate(model.to(dtype), batch, 12, 12)
    model.float().load_state_dict(weights)
    exact = generate(model, batch, 12, 12)
    assert torch.equal(entered, torch.stack(exact))
    for way in (mixed, halved):
        same = torch.stack([a[:2] == b[:2] for a, b in zip(way, exact)])
        assert same.float().mean() > 0.7  # rounding adds up from step to step


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_says_the_same(built):
    model, prompts = built
    batch = prompts(clips())
    for options in ({}, DRAW):
        here = generate(model, batch, 24, 2, **options)
        there = generate(model.cuda(), batch.to("cuda"), 24, 2, **options)
        model.cpu()
        same = [torch.equal(a, b.cpu()) for a, b in zip(here, there)]
        assert sum(same) >= len(same) - 1


def test_dropout_is_off_and_the_model_is_left_as_it_was(built):
    model, prompts = built
    batch = prompts(clips(2))
    expected = generate(model, batch, 10)
    modules = [module for module in model.modules() if hasattr(module, "dropout")]
    for module in modules:
        module.dropout = 0.5
    model.train()
    found = generate(model, batch, 10)
    assert model.training and model.backbone.encoder.layers[0].training
    model.eval()
    for module in modules:
        module.dropout = 0.0
    assert all(torch.equal(a, b) for a, b in zip(expected, found))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_steps": 0}, "1 <= min_steps <= max_steps, got min_steps=1 and max_steps=0"),
        ({"max_steps": 5, "min_steps": 6}, "min_steps=6 and max_steps=5"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"temperature": -1.0}, "temperature must be above 0"),
        ({"temperature": float("nan")}, "temperature must be above 0"),
        ({"temperature": 1.0, "top_p": 0.0}, "top_p must be above 0"),
        ({"temperature": 1.0, "top_p": 1.1}, "top_p must be above 0 and at most 1, got 1.1"),
        ({"temperature": 1.0, "top_k": 0}, "top_k must be 1 or more"),
        ({"temperature": 1.0, "samples": 0}, "samples must be 1 or more, got 0"),
        ({"samples": 2}, "samples=2 needs a temperature"),
        ({"top_k": 3}, "top_k=3 needs a temperature"),
        ({"max_steps": 600}, "the model has positions for 512"),
    ],
)
def test_options_out_of_range_are_refused_at_once(built, options, message):
    model, prompts = built
    batch = prompts(clips(1))
    with pytest.raises(ValueError, match=message):
        generate(model, batch, **options)
    if "samples" not in options:
        with pytest.raises(ValueError, match=message):
            iterate(model, batch, **options)


def test_no_texts_give_no_results(built):
    model, prompts = built
    one = prompts(clips(1))
    empty = type(one)(
        **{
            name: value[:0] if isinstance(value, (tuple, torch.Tensor)) else value
            for name, value in vars(one).items()
        }
    )
    assert generate(model, empty) == [] and list(iterate(model, empty)) == []
    assert generate_samples(model, empty, temperature=1.0, samples=2) == []
