import numpy as np
import pytest
import safetensors.torch
import torch
from transformers import MBartForConditionalGeneration

from soke.generator import MultiHeadGenerator, generate
from soke.generator.vocabulary import EOS
from soke.structures import TokenSample
from tests.helpers import small_config, small_generator, token_samples


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return small_generator(tmp_path_factory.mktemp("mbart"))


def test_source_holds_text_signs_and_languages(built):
    _, prompts = built
    batch = prompts(token_samples())
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
    batch = prompts(token_samples())
    inputs = model.decoder_input(batch)
    heads = prompts.vocabulary.head_rows()
    for b, n in enumerate(batch.token_mask.sum(dim=1).tolist()):
        language = int(batch.sign_language[b])
        motion = prompts.vocabulary.motion_rows(batch.tokens[b, :n]).tolist()
        read = torch.tensor([[language] * 3, *motion, [EOS] * 3])
        torch.testing.assert_close(inputs[b, 0, : n + 2], model.fuse(read))
        for p, target in enumerate(model.targets(batch)):
            said = heads[p][target[b, : n + 2]].tolist()
            assert said == [*(row[p] for row in motion), EOS, language]
            assert (target[b, n + 2 :] == -100).all()


def test_sliced_heads_equal_the_whole_table(built):
    model, prompts = built
    model.bias.data.normal_()
    batch = prompts(token_samples(2))
    states = model.encode(batch.source, batch.source_mask)
    hidden = model.backbone.decoder(
        inputs_embeds=model.decoder_input(batch)[:, 0],
        encoder_hidden_states=states,
        encoder_attention_mask=batch.source_mask,
    ).last_hidden_state
    everything = hidden @ model.table.T + model.bias
    for logits, head in zip(model(batch), prompts.vocabulary.head_rows()):
        torch.testing.assert_close(logits, everything[..., head], atol=1e-4, rtol=1e-4)
    model.bias.zero_()


def test_loss_of_a_clip_does_not_depend_on_padding(built):
    model, prompts = built
    clips = token_samples()
    together = model(prompts(clips))
    for i, clip in enumerate(clips):
        alone = model(prompts([clip]))
        for a, b in zip(alone, together):
            torch.testing.assert_close(a[0], b[i, : a.shape[1]], atol=2e-4, rtol=1e-4)


def test_it_learns_two_sentences(built):
    _, prompts = built
    torch.manual_seed(0)
    model = MultiHeadGenerator(prompts.vocabulary, small_config(prompts.vocabulary.text_size))
    clips = token_samples(2)
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
    state = {key: value.contiguous() for key, value in source.state_dict().items()}
    torch.save(state, tmp_path / "pytorch_model.bin")
    fresh.load_backbone(tmp_path)
    ids = torch.tensor([[5, 6, 7, EOS]])
    mask = torch.ones_like(ids)
    theirs = source.model.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(fresh.encode(ids, mask.bool()), theirs, atol=1e-5, rtol=1e-5)
    text, new = fresh.table[:size].detach(), fresh.table[size:].detach()
    assert (text.mean() - new.mean()).abs() < 0.01 and 0.8 < new.std() / text.std() < 1.25
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
