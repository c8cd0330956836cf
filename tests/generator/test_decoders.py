"""The three decoders in training: what they read, say and lose."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from soke.generator import GENERATORS
from soke.generator.vocabulary import EOS
from tests.helpers import THREE_PARTS, part_rows, small_generator, token_samples

DECODERS = list(GENERATORS)


@pytest.fixture(scope="module", params=DECODERS)
def built(request, tmp_path_factory):
    return small_generator(tmp_path_factory.mktemp("mbart"), request.param)


def sequences(model, batch, clip):
    """Rows that each head says, in the order of the decoder's places: (rows read, (head, row))."""
    vocabulary, parts = model.vocabulary, range(len(model.vocabulary.parts))
    count = int(batch.token_mask[clip].sum())
    motion = vocabulary.motion_rows(batch.tokens[clip, :count]).tolist()
    plain = int(batch.sign_language[clip])
    own = vocabulary.language_rows(batch.sign_language)[clip].tolist()
    if type(model).__name__ == "FlattenGenerator":
        stream = [row for frame in motion for row in frame] + [EOS]
        said = [(i % len(parts), row) for i, row in enumerate([*stream, plain])]
        return [([plain, *stream], said)]
    starts = own if type(model).__name__ == "PartGenerator" else [plain] * len(parts)
    return [
        (
            [starts[p], *(frame[p] for frame in motion), EOS],
            [(p, row) for row in [*(frame[p] for frame in motion), EOS, starts[p]]],
        )
        for p in parts
    ]


def plain_states(model, batch, clip):
    """States [T, D] of each sequence of a clip, which goes through mBART's decoder by itself."""
    mask = batch.source_mask[clip : clip + 1]
    memory = model.backbone.encoder(
        inputs_embeds=model.table[batch.source[clip : clip + 1]] * 32**0.5, attention_mask=mask
    ).last_hidden_state
    read = [model.table[torch.tensor(rows)] * 32**0.5 for rows, _ in sequences(model, batch, clip)]
    if type(model).__name__ == "MultiHeadGenerator":
        weights = model.vocabulary.parts.fusion_weights
        read = [sum(w * x for w, x in zip(weights, read))] * len(read)
    return [
        model.backbone.decoder(
            inputs_embeds=x[None], encoder_hidden_states=memory, encoder_attention_mask=mask
        ).last_hidden_state[0]
        for x in read
    ]


def plain_terms(model, batch, clip):
    """-log p of everything that each head should say in a clip: one list a part."""
    terms = [[] for _ in model.vocabulary.parts]
    for states, (_, said) in zip(
        plain_states(model, batch, clip), sequences(model, batch, clip), strict=True
    ):
        for state, (p, row) in zip(states, said, strict=True):
            rows = model.vocabulary.head_rows()[p]
            logits = model.table[rows] @ state + model.bias[rows]
            place = rows.tolist().index(row)
            terms[p].append((-logits.log_softmax(0)[place], logits.argmax() == place))
    return terms


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("decoder", DECODERS)
def test_loss_is_that_of_clip_by_clip_and_part_by_part(tmp_path, decoder, count):
    """Also: passes apart give what passes together give, and padding changes nothing."""
    model, prompts = small_generator(tmp_path, decoder, part_rows(count))
    model.bias.normal_()
    batch = prompts(token_samples(4, part_rows(count)))
    clips = [plain_terms(model, batch, clip) for clip in range(4)]
    terms = [[term for clip in clips for term in clip[p]] for p in range(count)]
    losses, accuracies = model.loss(batch)
    for p, part in enumerate(terms):
        expected = torch.stack([loss for loss, _ in part]).mean()
        torch.testing.assert_close(losses[p], expected, atol=2e-4, rtol=1e-4)
        right = torch.stack([hit for _, hit in part]).float().mean()
        torch.testing.assert_close(accuracies[p], right)


def test_padding_does_not_change_the_loss(built):
    model, prompts = built
    clips = token_samples(5)
    together, _ = model.loss(prompts(clips))
    sums, counts = 0, 0
    for clip in clips:
        batch = prompts([clip])
        heard = torch.tensor([int((target >= 0).sum()) for target in model.targets(batch)])
        sums, counts = sums + model.loss(batch)[0] * heard, counts + heard
    torch.testing.assert_close(together, sums / counts, atol=2e-4, rtol=1e-4)


def test_the_stream_goes_part_by_part_within_a_step(tmp_path):
    model, prompts = small_generator(tmp_path, "flatten")
    (clip,) = token_samples(1)
    batch = prompts([clip])
    offsets = model.vocabulary.part_offsets
    codes = [offsets[p] + int(code) for frame in clip.tokens for p, code in enumerate(frame)]
    read = torch.tensor([int(batch.sign_language[0]), *codes, EOS])
    torch.testing.assert_close(model.decoder_input(batch)[0, 0], model.embed(read))
    body, left, right = model.targets(batch)
    assert body[0].tolist() == [*clip.tokens[:, 0], THREE_PARTS[0]["codebook_size"] + EOS]
    assert left[0, :-1].tolist() == clip.tokens[:, 1].tolist()
    assert model.vocabulary.head_rows()[1][left[0, -1]] == batch.sign_language[0]
    assert right[0].tolist() == clip.tokens[:, 2].tolist()


def test_parts_start_with_tokens_of_their_own(tmp_path):
    model, _ = small_generator(tmp_path, "part")
    rows = torch.tensor(list(model.vocabulary.sign_languages.values()))
    expected = torch.tensor(list(model.vocabulary.part_language_rows.values()))
    assert len(set(expected.flatten().tolist())) == 9
    torch.testing.assert_close(model.start(rows), model.embed(expected))


def test_label_smoothing_mixes_in_the_mean_over_the_head(tmp_path):
    plain, prompts = small_generator(tmp_path)
    smooth, _ = small_generator(tmp_path, label_smoothing=0.1)
    batch = prompts(token_samples(3))
    expected = []
    for logits, target in zip(plain(batch), plain.targets(batch)):
        scores = -logits.log_softmax(-1)[target >= 0]
        said = scores.gather(1, target[target >= 0][:, None]).mean()
        expected.append(0.9 * said + 0.1 * scores.mean())
    torch.testing.assert_close(smooth.loss(batch)[0], torch.stack(expected), atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="label_smoothing must be"):
        small_generator(tmp_path, label_smoothing=1.0)


def test_learned_fusion_starts_at_the_table_and_gets_its_gradient(tmp_path):
    fixed, prompts = small_generator(tmp_path)
    model, _ = small_generator(tmp_path, fusion="learned")
    assert model.fusion_weights.tolist() == fixed.fusion_weights.tolist()
    batch = prompts(token_samples(3))
    model.double()
    torch.testing.assert_close(model.loss(batch)[0], fixed.double().loss(batch)[0])
    model.loss(batch)[0].sum().backward()
    slopes, step = [], 1e-6
    with torch.no_grad():
        for p in range(3):
            values = []
            for sign in (1, -1):
                model.fusion_weights[p] += sign * step
                values.append(model.loss(batch)[0].sum())
                model.fusion_weights[p] -= sign * step
            slopes.append((values[0] - values[1]) / (2 * step))
        model.fusion_weights += 1.0
    assert not torch.equal(model.fusion_weights, fixed.fusion_weights)
    torch.testing.assert_close(model.fusion_weights.grad, torch.stack(slopes), rtol=1e-4, atol=1e-6)
    fixed.load_state_dict(model.state_dict())
    assert torch.equal(model.fusion_weights, fixed.fusion_weights)
    for name in ("part", "flatten"):
        with pytest.raises(ValueError, match="has fusion"):
            small_generator(tmp_path, name, fusion="learned")


def test_checkpointing_activations_computes_layers_twice_and_changes_nothing(built, tmp_path):
    model, prompts = built
    batch = prompts(token_samples(3))
    calls = []
    layers = [*model.backbone.encoder.layers, *model.backbone.decoder.layers]
    hooks = [layer.fc1.register_forward_hook(lambda *_: calls.append(1)) for layer in layers]
    results = []
    model.train()
    try:
        for _ in range(2):
            model.zero_grad()
            calls.clear()
            losses, _ = model.loss(batch)
            losses.sum().backward()
            gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
            results.append((losses.detach(), gradients, len(calls)))
            model.checkpoint_activations()
    finally:
        model.backbone.activation_checkpointing_disable()
        model.zero_grad(set_to_none=True)
        model.eval()
        for hook in hooks:
            hook.remove()
    (loss, gradients, once), (other, others, twice) = results
    assert twice == 2 * once == 2 * len(layers)
    torch.testing.assert_close(loss, other, rtol=0, atol=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, others[name], rtol=1e-5, atol=1e-6)


def test_untied_tables_are_used_trained_and_stored(tmp_path):
    tied, prompts = small_generator(tmp_path)
    model, _ = small_generator(tmp_path)
    batch = prompts(token_samples(2))
    assert not {"head.weight", "decoder_table.weight"} & set(tied.state_dict())
    model.untie("head", "decoder_table")
    torch.testing.assert_close(model.loss(batch)[0], tied.loss(batch)[0])
    with torch.no_grad():
        model.head.weight.normal_()
        model.decoder_table.weight.normal_()
    head = model.vocabulary.head_rows()[0]
    assert torch.equal(model.heads()[0][0], model.head.weight[head])
    read = model.decoder_table.weight[batch.sign_language] * 32**0.5
    torch.testing.assert_close(model.start(batch.sign_language)[:, 0], read)
    losses, _ = model.loss(batch)
    losses.sum().backward()
    shared = model.table.grad.abs().sum(dim=1).nonzero()[:, 0].tolist()
    assert set(shared) <= set(batch.source.flatten().tolist())  # the encoder's alone
    tied.load_state_dict(model.state_dict())  # it parts its tables as they are stored
    torch.testing.assert_close(tied.loss(batch)[0], losses)
    with pytest.raises(ValueError, match="not 'body'"):
        model.untie("body")


def test_more_tokens_than_positions_are_refused(built):
    model, prompts = built
    limit = model.backbone.config.max_position_embeddings
    clip = token_samples(1)[0]
    long = type(clip)("c", clip.corpus, clip.text, np.zeros((limit, 3), dtype=np.int64))
    with pytest.raises(ValueError, match=r"longest target has \d+ tokens.*positions for 512"):
        model.loss(prompts([long]))
    with pytest.raises(ValueError, match=r"longest source has 513 tokens"):
        model.encode(torch.full((1, limit + 1), 5), torch.ones(1, limit + 1, dtype=torch.bool))


def test_logits_are_over_the_heads_own_rows(built):
    model, prompts = built
    batch = prompts(token_samples(2))
    for logits, target, rows in zip(
        model(batch), model.targets(batch), model.vocabulary.head_rows()
    ):
        assert logits.shape == (*target.shape, len(rows))
    losses = [
        F.cross_entropy(x.flatten(0, 1), t.flatten())
        for x, t in zip(model(batch), model.targets(batch))
    ]
    torch.testing.assert_close(model.loss(batch)[0], torch.stack(losses), atol=1e-5, rtol=1e-5)
