import numpy as np
import pytest
import safetensors.torch
import torch
from transformers import MBartForConditionalGeneration

from soke.generator import MultiHeadGenerator, generate
from soke.generator.vocabulary import EOS
from soke.structures import TokenSample
from tests.helpers import small_config, small_generator


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return small_generator(tmp_path_factory.mktemp("mbart"))


def samples(count=5, seed=0):
    draw = np.random.default_rng(seed)
    texts = ["the quick fox", "schöne grüße", "jumps", "今天天气很好", "the brown fox jumps"]
    corpora = ["how2sign", "phoenix", "how2sign", "csl", "how2sign"]
    sizes = [16, 8, 12]
    return [
        TokenSample(f"c{i}", corpora[i % 5], texts[i % 5],
                    np.stack([draw.integers(0, s, 4 + 3 * i) for s in sizes], axis=1))
        for i in range(count)
    ]  # fmt: skip


def test_source_holds_text_signs_and_languages(built):
    _, prompts = built
    batch = prompts(samples())
    assert batch.keywords[0] == ("fox",) and batch.keywords[1] == ()
    rows = batch.source[0][batch.source_mask[0]].tolist()
    vocabulary = prompts.vocabulary
    assert rows[-2:] == [EOS, vocabulary.text_languages["en_XX"]]
    sign = vocabulary.motion_rows(torch.ones(10, 3, dtype=torch.int64)).flatten().tolist()
    text = vocabulary.encode_text("the quick fox") + vocabulary.encode_text(" Key word 1, ")
    assert rows[:-2] == text + sign  # fourteen steps thinned to ten
    assert int(batch.sign_language[1]) == vocabulary.sign_languages["de_DGS"]


def test_a_long_source_drops_signs_before_text(built):
    _, prompts = built
    short = type(prompts)(prompts.vocabulary, prompts.corpora, prompts.search, max_length=30)
    batch = short([TokenSample("a", "how2sign", "the quick fox")])
    assert batch.keywords[0] == () and batch.source.shape[1] < 30
    tiny = type(prompts)(prompts.vocabulary, prompts.corpora, prompts.search, max_length=6)
    assert tiny([TokenSample("a", "how2sign", "the quick fox")]).source.shape[1] == 6


def test_targets_follow_the_inputs(built):
    model, prompts = built
    batch = prompts(samples())
    rows, mask = model.decoder_input(batch)
    heads = prompts.vocabulary.head_rows()
    for p, target in enumerate(model.targets(batch)):
        for b in range(len(batch.names)):
            n = int(batch.token_mask[b].sum())
            said = heads[p][target[b, : n + 2]].tolist()
            motion = prompts.vocabulary.motion_rows(batch.tokens[b, :n])[:, p].tolist()
            language = int(batch.sign_language[b])
            assert said == [*motion, EOS, language]
            assert rows[b, : n + 2, p].tolist() == [language, *motion, EOS]
            assert (target[b, n + 2 :] == -100).all()
            assert mask[b].sum() == n + 2


def test_sliced_heads_equal_the_whole_table(built):
    model, prompts = built
    batch = prompts(samples(2))
    rows, mask = model.decoder_input(batch)
    states = model.encode(batch.source, batch.source_mask)
    hidden = model.backbone.decoder(
        inputs_embeds=model.fuse(rows), attention_mask=mask, encoder_hidden_states=states,
        encoder_attention_mask=batch.source_mask,
    ).last_hidden_state  # fmt: skip
    everything = hidden @ model.table.T + model.bias
    for logits, head in zip(model(batch), prompts.vocabulary.head_rows()):
        torch.testing.assert_close(logits, everything[..., head], atol=1e-4, rtol=1e-4)


def test_loss_of_a_clip_does_not_depend_on_padding(built):
    model, prompts = built
    clips = samples()
    together = model(prompts(clips))
    for i, clip in enumerate(clips):
        alone = model(prompts([clip]))
        for a, b in zip(alone, together):
            torch.testing.assert_close(a[0], b[i, : a.shape[1]], atol=2e-4, rtol=1e-4)


def naive(model, batch, max_steps, min_steps):
    """Greedy decoding that reads the whole prefix again at every step."""
    vocabulary = model.vocabulary
    rows = batch.sign_language[:, None, None].expand(1, 1, len(vocabulary.parts))
    states = model.encode(batch.source, batch.source_mask)
    out = []
    for step in range(max_steps):
        hidden = model.backbone.decoder(
            inputs_embeds=model.fuse(rows), encoder_hidden_states=states,
            encoder_attention_mask=batch.source_mask, use_cache=False,
        ).last_hidden_state[:, -1]  # fmt: skip
        logits = [(hidden @ w.T + b)[0] for w, b in model.heads(codes_only=True)]
        if step >= min_steps and logits[0].argmax() == len(logits[0]) - 1:
            break
        tokens = torch.stack([scores[:-1].argmax() for scores in logits])
        out.append(tokens)
        rows = torch.cat([rows, vocabulary.motion_rows(tokens)[None, None]], dim=1)
    return torch.stack(out)


def test_cached_decoding_equals_reading_the_prefix_again_and_ignores_the_batch(built):
    model, prompts = built
    clips = samples(5)
    lengths = set()
    for bias in (0.0, 4.0):  # with some of the clips ending early
        model.bias.data[EOS] = bias
        together = generate(model, prompts(clips), max_steps=20, min_steps=2)
        order = [3, 1, 4, 0, 2]
        shuffled = generate(model, prompts([clips[i] for i in order]), 20, 2)
        for i, clip in enumerate(clips):
            alone = generate(model, prompts([clip]), 20, 2)[0]
            assert torch.equal(together[i], alone)
            assert torch.equal(shuffled[order.index(i)], alone)
            assert torch.equal(naive(model, prompts([clip]), 20, 2), alone)
            lengths.add(len(alone))
    model.bias.data[EOS] = 0
    assert len(lengths) > 1, "the test needs clips that end at different steps"


def test_every_part_says_its_own_codes_only(built):
    model, prompts = built
    for tokens in generate(model, prompts(samples()), max_steps=30, min_steps=5):
        assert 5 <= len(tokens) <= 30
        sizes = torch.tensor([part.codebook_size for part in model.vocabulary.parts])
        assert (tokens >= 0).all() and (tokens < sizes).all()


def test_it_learns_two_sentences(built):
    _, prompts = built
    torch.manual_seed(0)
    model = MultiHeadGenerator(prompts.vocabulary, small_config(prompts.vocabulary.text_size))
    clips = samples(2)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    batch = prompts(clips)
    for _ in range(120):
        losses, _ = model.loss(batch)
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
    for clip, tokens in zip(clips, generate(model.eval(), batch, max_steps=20)):
        assert np.array_equal(tokens.numpy(), clip.tokens)


def test_pretrained_weights_fill_text_rows_and_layers(built, tmp_path):
    _, prompts = built
    size = prompts.vocabulary.text_size
    source = MBartForConditionalGeneration(small_config(size)).eval()
    source.final_logits_bias.normal_()
    fresh = MultiHeadGenerator(prompts.vocabulary, small_config(size)).eval()
    before = fresh.table[size:].clone()
    state = {key: value.contiguous() for key, value in source.state_dict().items()}
    torch.save(state, tmp_path / "pytorch_model.bin")
    fresh.load_backbone(tmp_path)
    ids = torch.tensor([[5, 6, 7, EOS]])
    mask = torch.ones_like(ids)
    theirs = source.model.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(fresh.encode(ids, mask.bool()), theirs, atol=1e-5, rtol=1e-5)
    assert torch.equal(fresh.table[size:], before)
    assert torch.equal(fresh.bias[:size], source.final_logits_bias[0])

    (tmp_path / "pytorch_model.bin").unlink()
    unshared = {key: value.clone() for key, value in state.items()}
    safetensors.torch.save_file(unshared, tmp_path / "model.safetensors")
    fresh.load_backbone(tmp_path)
    del unshared["model.encoder.layers.0.fc1.weight"]
    safetensors.torch.save_file(unshared, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"does not fit: missing .*layers.0.fc1.weight"):
        fresh.load_backbone(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.generator\.pretrained=false"):
        fresh.load_backbone(tmp_path)
