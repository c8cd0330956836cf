"""A trained generator leaves as a folder that transformers reads, and comes back the same."""

import json

import pytest
import torch
from transformers import MBartForConditionalGeneration

from soke.assemble.prompting import prompt_builder
from soke.assemble.run import Run
from soke.checkpoints import read_checkpoint
from soke.cli.export import generator as main
from soke.cli.export_generator import export
from soke.config import load_config
from soke.generator import GENERATORS, MultiHeadGenerator, Vocabulary, read_config
from soke.generator.released_generator import load_published
from soke.structures import TokenSample
from soke.training.run_checkpoints import load_weights
from tests.helpers import small_generator
from tests.runs import small_run

FUSION = (0.2, 0.4, 0.4)


@pytest.fixture(params=["tied", "untied"])
def made(tmp_path, request):
    """A generator, its prompts and the folder of its text pieces."""
    model, prompts = small_generator(tmp_path / "mbart")
    model.bias.normal_()
    if request.param == "untied":
        table = model.table.detach()
        tables = {
            f"{name}.weight": table + torch.randn_like(table) for name in ("head", "decoder_table")
        }
        model.load_state_dict({**model.state_dict(), **tables})
    return model.eval(), prompts, tmp_path / "mbart"


def batch(prompts):
    tokens = torch.randint(0, 8, (6, 3), generator=torch.Generator().manual_seed(0))
    return prompts([TokenSample("a", "how2sign", "the quick fox", tokens.numpy())])


@torch.no_grad()
def test_transformers_computes_the_same(made, tmp_path):
    model, prompts, pieces = made
    export(model, pieces, tmp_path / "out")
    theirs, report = MBartForConditionalGeneration.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not any(report.values()), report
    theirs.eval()
    data = batch(prompts)
    states = theirs.model.encoder(
        input_ids=data.source, attention_mask=data.source_mask.long()
    ).last_hidden_state
    torch.testing.assert_close(
        model.encode(data.source, data.source_mask), states, atol=1e-5, rtol=1e-5
    )
    # The decoder's input is the weighted sum of the parts' embeddings, as its own layer gives them.
    rows = torch.full((1, 8, 3), 2)
    rows[:, 0] = data.sign_language[:, None]
    rows[:, 1:-1] = prompts.vocabulary.motion_rows(data.tokens)
    embed = theirs.model.decoder.embed_tokens
    hidden = theirs.model.decoder(
        inputs_embeds=sum(w * embed(rows[..., p]) for p, w in enumerate(FUSION)),
        encoder_hidden_states=states,
        encoder_attention_mask=data.source_mask.long(),
        use_cache=False,
    ).last_hidden_state
    logits = theirs.lm_head(hidden) + theirs.final_logits_bias
    for ours, head in zip(model(data), prompts.vocabulary.head_rows()):
        torch.testing.assert_close(ours, logits[..., head], atol=2e-4, rtol=1e-4)


@torch.no_grad()
def test_it_comes_back_the_same(made, tmp_path):
    model, prompts, pieces = made
    export(model, pieces, tmp_path / "out")
    config = read_config(tmp_path / "out")
    again = MultiHeadGenerator(prompts.vocabulary, config)
    again.load_backbone(tmp_path / "out")
    own, other = model.state_dict(), again.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[key], other[key]) for key in own)
    third = MultiHeadGenerator(prompts.vocabulary, config)
    weights = tmp_path / "out" / "model.safetensors"
    load_published(third, read_checkpoint(weights)["state_dict"], weights)
    assert all(torch.equal(own[key], value) for key, value in third.state_dict().items())


@pytest.mark.parametrize("decoder", list(GENERATORS))
@torch.no_grad()
def test_every_decoder_and_what_it_learned_comes_back(tmp_path, decoder):
    _, prompts = small_generator(tmp_path / "mbart")
    old = prompts.vocabulary
    vocabulary = Vocabulary(
        tmp_path / "mbart",
        old.parts,
        list(old.text_languages),
        list(old.sign_languages),
        part_languages=decoder == "part",
    )
    options = {"fusion": "learned"} if decoder == "multi_head" else {}
    model = GENERATORS[decoder](vocabulary, read_config(tmp_path / "mbart"), **options)
    model.scale_embeddings(False)
    for parameter in model.parameters():  # as if trained
        parameter.add_(0.1 * torch.randn_like(parameter))
    export(model, tmp_path / "mbart", tmp_path / "out")
    assert (
        MBartForConditionalGeneration.from_pretrained(tmp_path / "out").config.scale_embedding
        is False
    )
    again = GENERATORS[decoder](vocabulary, read_config(tmp_path / "out"))
    again.load_backbone(tmp_path / "out")
    own, other = model.state_dict(), again.state_dict()
    assert own.keys() == other.keys()
    assert again.encoder_scale == again.decoder_scale == 1
    assert all(torch.equal(own[key], other[key]) for key in own)
    assert ("fusion_weights" in own) == (decoder == "multi_head")


@torch.no_grad()
def test_a_scale_of_the_encoder_alone_goes_into_the_tables(made, tmp_path):
    """transformers has no such switch, so its decoder reads a table of its own."""
    model, prompts, pieces = made
    model.scale_embeddings("encoder")
    data = batch(prompts)
    states, logits = model.encode(data.source, data.source_mask), model(data)
    export(model, pieces, tmp_path / "out")
    theirs = MBartForConditionalGeneration.from_pretrained(tmp_path / "out").eval()
    found = theirs.model.encoder(data.source, data.source_mask.long()).last_hidden_state
    torch.testing.assert_close(found, states, atol=1e-5, rtol=1e-5)
    rows = data.sign_language[:, None]
    fused = model.start(data.sign_language)[:, 0]
    torch.testing.assert_close(theirs.model.decoder.embed_tokens(rows)[:, 0], fused)
    again = MultiHeadGenerator(prompts.vocabulary, read_config(tmp_path / "out")).eval()
    again.load_backbone(tmp_path / "out")
    for one, other in zip(again(data), logits):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    assert model.backbone.config.scale_embedding is True  # what is exported is left as it was


def test_rows_are_described_and_must_agree(made, tmp_path):
    model, prompts, pieces = made
    export(model, pieces, tmp_path / "out")
    described = json.loads((tmp_path / "out" / "rows.json").read_text(encoding="utf-8"))
    vocabulary = prompts.vocabulary
    assert described["size"] == vocabulary.size == len(model.table)
    assert described["sign_languages"]["de_DGS"] == [vocabulary.sign_languages["de_DGS"]] * 3
    for part, first, row in zip(vocabulary.parts, vocabulary.part_offsets, described["parts"]):
        assert row == {"name": part.name, "first": first, "count": part.codebook_size}
    described["parts"][1]["count"] = 9
    (tmp_path / "out" / "rows.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match=r"rows\.json says parts .* the configuration makes"):
        model.load_backbone(tmp_path / "out")


def test_an_existing_folder_is_left_alone(made, tmp_path):
    model, _, pieces = made
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="exists and is left alone"):
        export(model, pieces, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_the_command_exports_a_run(tmp_path):
    cfg = small_run(tmp_path)
    arguments = ["--cfg", str(cfg), "--nodebug", "--out", str(tmp_path / "out")]
    main(arguments)
    config = load_config(cfg, debug=False)
    checkpoint = Run(config).folder / "checkpoints" / "best.ckpt"
    vocabulary = prompt_builder(Run(config)).vocabulary
    trained = MultiHeadGenerator(vocabulary, read_config(config.model.generator.folder))
    load_weights(trained, checkpoint, "generator")
    theirs, report = MBartForConditionalGeneration.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not any(report.values()), report
    assert torch.equal(theirs.model.shared.weight, trained.table)
    with pytest.raises(ValueError, match="exists and is left alone"):
        main(arguments)
    checkpoint.unlink()
    with pytest.raises(FileNotFoundError, match="A trained checkpoint"):
        main([*arguments[:-1], str(tmp_path / "other")])
