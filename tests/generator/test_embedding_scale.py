"""Whose embeddings are multiplied by sqrt(d_model): sums by hand, mBART's own layers."""

import pytest
import torch

from soke.assemble.modules import generator_module, text_module
from soke.assemble.prompting import prompt_builder
from soke.assemble.run import Run
from soke.config import load_config
from soke.generator import GENERATORS, SignToText, generate, translate
from soke.generator.network import SCALE_EMBEDDING
from soke.generator.vocabulary import EOS
from tests.generator.test_decoding import reread
from tests.generator.test_sign_to_text import text_prompts
from tests.helpers import small_config, small_generator, token_samples
from tests.runs import small_run

ROOT = 32**0.5
#: Factors of the encoder and of the decoder.
FACTORS = {True: (ROOT, ROOT), False: (1.0, 1.0), "encoder": (ROOT, 1.0)}


@pytest.fixture(scope="module", params=list(GENERATORS))
def built(request, tmp_path_factory):
    return small_generator(tmp_path_factory.mktemp("mbart"), request.param)


def test_all_choices_are_tested():
    assert FACTORS.keys() == set(SCALE_EMBEDDING)


@pytest.mark.parametrize(("which", "factors"), FACTORS.items())
@torch.no_grad()
def test_each_side_is_scaled_as_chosen(built, which, factors):
    model, prompts = built
    model.scale_embeddings(which)
    batch = prompts(token_samples(2))
    states = model.backbone.encoder(
        inputs_embeds=model.table[batch.source] * factors[0],
        attention_mask=batch.source_mask.long(),
    ).last_hidden_state
    torch.testing.assert_close(model.encode(batch.source, batch.source_mask), states)
    model.scale_embeddings(False)
    plain = model.start(batch.sign_language), model.decoder_input(batch)
    model.scale_embeddings(which)
    found = model.start(batch.sign_language), model.decoder_input(batch)
    for ours, unscaled in zip(found, plain):
        torch.testing.assert_close(ours, unscaled * factors[1])
    if model.streams == 1:
        first = model.table[batch.sign_language]
        torch.testing.assert_close(plain[0][:, 0], first)  # not scaled in a hidden way either


@torch.no_grad()
def test_decoding_and_drafts_follow(built):
    model, prompts = built
    batch = prompts(token_samples(1))
    tokens = {}
    for which, factors in FACTORS.items():
        model.scale_embeddings(which)
        (tokens[which],) = generate(model, batch, 12, 12)
        (drafted,) = generate(model, batch, 12, 12, int8=True)
        expected = reread(model, batch, 12, 12, scale=factors[1])
        assert torch.equal(model.vocabulary.motion_rows(tokens[which]), expected), which
        assert torch.equal(drafted, tokens[which])
    assert not torch.equal(tokens["encoder"], tokens[True])


@torch.no_grad()
def test_the_text_decoder_follows(tmp_path):
    prompts = text_prompts(tmp_path)
    torch.manual_seed(1)
    model = SignToText(prompts.vocabulary, small_config(prompts.vocabulary.text_size)).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.mul_(4)
    model.scale_embeddings("encoder")
    batch = prompts(token_samples(1))
    rows, mask = model.sign_rows(batch)
    fused = sum(w * model.table[rows[..., p]] for p, w in enumerate((0.2, 0.4, 0.4)))
    memory = model.backbone.encoder(
        inputs_embeds=fused * ROOT, attention_mask=mask.long()
    ).last_hidden_state
    torch.testing.assert_close(model.memory(batch)[0], memory)
    written = [int(batch.source[0, -1])]  # the language, then whatever piece is the likeliest
    for step in range(8):
        states = model.backbone.decoder(
            inputs_embeds=model.table[written][None], encoder_hidden_states=memory
        ).last_hidden_state
        allowed = [*model.vocabulary.pieces, *([EOS] if step else [])]
        logits = model.table[allowed] @ states[0, -1] + model.bias[allowed]
        written.append(allowed[int(logits.argmax())])
        if written[-1] == EOS:
            break
    expected = model.vocabulary.decode_text([row for row in written[1:] if row != EOS])
    assert expected
    for int8 in (False, True):
        assert translate(model, batch, max_pieces=8, int8=int8) == [expected]


def test_another_value_is_refused(built):
    model, _ = built
    for wrong in ("decoder", "true", 2):
        with pytest.raises(ValueError, match=r"scale_embedding is .*choose true .*encoder.*null"):
            model.scale_embeddings(wrong)
    for stated in (True, False):
        model.backbone.config.scale_embedding = stated
        model.scale_embeddings(None)
        assert model.encoder_scale == model.decoder_scale == FACTORS[stated][0]


def test_the_configuration_chooses(tmp_path):
    cfg = small_run(tmp_path)

    def built(which):
        config = load_config(cfg, [f"model.generator.scale_embedding={which}"], debug=False)
        prompts = prompt_builder(Run(config))
        return (
            generator_module(Run(config), prompts).generator,
            text_module(Run(config), prompts.vocabulary).text_decoder,
        )

    for which, factors in {**FACTORS, "null": FACTORS[True]}.items():
        for network in built(str(which).lower()):
            assert (network.encoder_scale, network.decoder_scale) == factors
    with pytest.raises(ValueError, match="scale_embedding is 'both'"):
        built("both")
