"""Generators trained under the original key names, against transformers' own model."""

import pickle

import pytest
import torch
from transformers import MBartConfig, MBartForConditionalGeneration

from soke.checkpoints import read_checkpoint
from soke.generator import MultiHeadGenerator, PromptBuilder
from soke.generator.released_generator import (
    from_published,
    is_published,
    load_published,
)
from soke.structures import TokenSample
from tests.helpers import small_config, small_generator

PREFIX = "lm.language_model.main_lm."
FUSION = (0.2, 0.4, 0.4)


@pytest.fixture(scope="module")
def prompts(tmp_path_factory) -> PromptBuilder:
    return small_generator(tmp_path_factory.mktemp("mbart"))[1]


def original(rows: int, tied: bool = True, scale: bool = True) -> MBartForConditionalGeneration:
    torch.manual_seed(7)
    config = small_config(rows).to_dict() | {"tie_word_embeddings": tied, "scale_embedding": scale}
    model = MBartForConditionalGeneration(MBartConfig.from_dict(config)).eval()
    model.final_logits_bias.normal_()
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model


def checkpoint(model: MBartForConditionalGeneration) -> dict[str, torch.Tensor]:
    """What the original training saves: the tokenizer's networks, then the language model."""
    state = {PREFIX + key: value.clone() for key, value in model.state_dict().items()}
    beside = (
        "vae.encoder.model.0.weight",
        "motion_vae.a",
        "hand_vae.quantizer.codebook",
        "rhand_vae.decoder.model.6.bias",
    )
    return {**{name: torch.zeros(2) for name in beside}, **state}


def batch(prompts):
    tokens = [torch.randint(0, 8, (n, 3)).numpy() for n in (5, 3)]
    return prompts(
        [
            TokenSample("a", "how2sign", "the quick fox", tokens[0]),
            TokenSample("b", "phoenix", "schöne grüße", tokens[1]),
        ]
    )


@torch.no_grad()
def expected_logits(model, prompts, batch, scale=True):
    """Logits of every head by transformers' modules and the definition of the fused input."""
    vocabulary, inner = prompts.vocabulary, model.model
    factor = model.config.d_model**0.5 if scale else 1.0
    states = inner.encoder(
        inputs_embeds=inner.encoder.embed_tokens.weight[batch.source] * factor,
        attention_mask=batch.source_mask.long(),
    ).last_hidden_state
    n = int(batch.token_mask[0].sum())  # the first clip is the longest
    rows = torch.full((1, n + 2, 3), 2)
    rows[0, 0] = batch.sign_language[0]
    rows[0, 1:-1] = vocabulary.motion_rows(batch.tokens[0, :n])
    table = inner.decoder.embed_tokens.weight * factor
    fused = sum(w * table[rows[..., p]] for p, w in enumerate(FUSION))
    hidden = inner.decoder(
        inputs_embeds=fused,
        encoder_hidden_states=states[:1],
        encoder_attention_mask=batch.source_mask[:1].long(),
        use_cache=False,
    ).last_hidden_state
    logits = model.lm_head(hidden) + model.final_logits_bias
    return [logits[0][:, rows] for rows in vocabulary.head_rows()]


def network(prompts, scale=True):
    config = small_config(prompts.vocabulary.text_size)
    config.scale_embedding = scale
    return MultiHeadGenerator(prompts.vocabulary, config).eval()


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("tied", [True, False])
@torch.no_grad()
def test_it_computes_what_the_original_computes(prompts, tied, scale):
    theirs = original(prompts.vocabulary.size, tied, scale)
    model = network(prompts, scale)
    state = checkpoint(theirs)
    assert is_published(state)
    load_published(model, state, "a.ckpt")
    data = batch(prompts)
    for ours, expected in zip(model(data), expected_logits(theirs, prompts, data, scale)):
        torch.testing.assert_close(ours[0], expected, atol=2e-4, rtol=1e-4)
    own = model.state_dict()
    assert ("head.weight" in own) == ("decoder_table.weight" in own) == (not tied)
    # What was loaded is saved, and a new network takes it as it is.
    again = network(prompts, scale)
    again.load_state_dict(own)
    for one, other in zip(again(data), model(data)):
        assert torch.equal(one, other)


@torch.no_grad()
def test_only_the_head_may_be_a_table_of_its_own(prompts):
    theirs = original(prompts.vocabulary.size)
    state = checkpoint(theirs)
    state[PREFIX + "lm_head.weight"] = torch.randn_like(theirs.lm_head.weight)
    model = network(prompts)
    load_published(model, state, "a.ckpt")
    assert "head.weight" in model.state_dict()
    assert "decoder_table.weight" not in model.state_dict()
    theirs.lm_head.weight = torch.nn.Parameter(state[PREFIX + "lm_head.weight"])
    data = batch(prompts)
    for ours, expected in zip(model(data), expected_logits(theirs, prompts, data)):
        torch.testing.assert_close(ours[0], expected, atol=2e-4, rtol=1e-4)
    # A tied one afterwards ties it again, in effect.
    load_published(model, checkpoint(original(prompts.vocabulary.size)), "b.ckpt")
    assert torch.equal(model.state_dict()["head.weight"], model.table)


@torch.no_grad()
def test_a_file_may_name_a_tied_table_once(prompts):
    theirs = original(prompts.vocabulary.size)
    for name in ("model.shared.weight", "lm_head.weight", "model.encoder.embed_tokens.weight"):
        tables = ("shared", "embed_tokens", "lm_head")
        state = {k: v for k, v in checkpoint(theirs).items() if not any(t in k for t in tables)}
        state[PREFIX + name] = theirs.model.shared.weight
        model = network(prompts)
        load_published(model, state, "a.ckpt")
        assert torch.equal(model.table, theirs.model.shared.weight)
        assert "head.weight" not in model.state_dict()


def test_fusion_weights_are_the_table_s(prompts):
    model = network(prompts)
    before = {k: v.clone() for k, v in model.state_dict().items() if k.startswith("fusion")}
    load_published(model, checkpoint(original(prompts.vocabulary.size)), "a.ckpt")
    assert before and all(torch.equal(model.state_dict()[k], v) for k, v in before.items())


def test_what_does_not_fit_is_named(prompts, caplog):
    size = prompts.vocabulary.size
    state = checkpoint(original(size))
    model = network(prompts)
    with pytest.raises(
        ValueError, match=rf"has {size + 6} embedding rows.*makes {size} \(\d+ text"
    ):
        load_published(model, checkpoint(original(size + 6)), "a.ckpt")
    part = {k: v for k, v in state.items() if "decoder.layers.1.fc2.bias" not in k}
    with pytest.raises(ValueError, match=r"missing \['backbone.decoder.layers.1.fc2.bias'\]"):
        load_published(model, part, "a.ckpt")
    for name in (
        PREFIX + "model.encoder.layers.9.fc1.bias",
        PREFIX + "adapter.weight",
        "lm.language_model.other.weight",
    ):
        with pytest.raises(
            ValueError, match=rf"a.ckpt does not fit: .*unexpected \['.*{name[-11:]}"
        ):
            load_published(model, {**state, name: torch.zeros(1)}, "a.ckpt")
    assert not caplog.records
    from_published({**state, "metrics.count": torch.zeros(1)}, prompts.vocabulary, "a.ckpt")
    assert "1 keys are neither" in caplog.text and "metrics.count" in caplog.text


def test_hostile_files_run_nothing(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"state_dict": {"a": torch.zeros(1)}, "x": Hostile()}, tmp_path / "a.ckpt")
    assert read_checkpoint(tmp_path / "a.ckpt")["state_dict"].keys() == {"a"}
    (tmp_path / "b.ckpt").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(ValueError, match="cannot be read"):
        read_checkpoint(tmp_path / "b.ckpt")
    assert not (tmp_path / "ran").exists()


def test_own_checkpoints_are_not_taken_for_published(prompts):
    own = {f"generator.{key}": value for key, value in network(prompts).state_dict().items()}
    assert not is_published(own)
