"""mBART folders: reading weights in every form, filling a generator, drawing new rows."""

import json
import pickle

import pytest
import safetensors.torch
import torch

from soke.generator import MultiHeadGenerator, Vocabulary
from soke.generator.mbart.folder import (
    backbone_state,
    new_folder,
    new_rows,
    read_config,
    read_map_ids,
    read_weights,
)
from soke.generator.mbart.weights import Weights
from soke.parts import PartTable
from tests.generator.mbart import CODES, full_mbart, processor, save
from tests.helpers import THREE_PARTS

PARTS = PartTable.from_rows(THREE_PARTS)


def whole(folder, **options):
    """A full mBART whose map_ids.pkl keeps everything, and its vocabulary."""
    model = full_mbart(folder, **options)
    rows = {i: i for i in range(len(processor()) + 1 + len(CODES["cc25"]) + 1)}
    (folder / "map_ids.pkl").write_bytes(pickle.dumps(rows))
    return model, Vocabulary(folder, PARTS, ["en_XX"], ["en_ASL", "de_DGS"])


def loaded(folder, vocabulary):
    model = MultiHeadGenerator(vocabulary, read_config(folder)).eval()
    model.load_backbone(folder)
    return model


@pytest.mark.parametrize("weights", ["safetensors", "shards", "bin"])
@torch.no_grad()
def test_every_form_of_weights_fills_the_generator(tmp_path, weights):
    theirs, vocabulary = whole(tmp_path / "a", weights=weights)
    state = read_weights(tmp_path / "a")
    for key, value in theirs.state_dict().items():
        if key in state:  # tied tables may be there once
            assert torch.equal(state[key], value), key
    model = loaded(tmp_path / "a", vocabulary)
    ids = torch.tensor([[5, 6, 7, 2, 20]])
    mask = torch.ones_like(ids)
    states = theirs.model.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(model.encode(ids, mask.bool()), states, atol=1e-5, rtol=1e-5)
    size = vocabulary.text_size
    assert torch.equal(model.table[:size], theirs.model.shared.weight)
    assert torch.equal(model.bias[:size], theirs.final_logits_bias[0])
    assert not model.bias[size:].any()


def test_new_rows_are_like_the_rows_that_are_there():
    generator = torch.Generator().manual_seed(0)
    mean, deviation = torch.randn(8), torch.rand(8) + 0.1
    table = mean + deviation * torch.randn(5000, 8, generator=generator)
    table[1] = 0  # padding must not count
    rows = new_rows(table, 4000, generator)
    assert rows.shape == (4000, 8)
    torch.testing.assert_close(rows.mean(0), mean, atol=0.08, rtol=0)
    torch.testing.assert_close(rows.std(0), deviation, atol=0.08, rtol=0)
    assert len(rows.unique(dim=0)) == 4000  # no two tokens begin as one
    again = new_rows(table, 7, torch.Generator().manual_seed(1))
    assert torch.equal(again, new_rows(table, 7, torch.Generator().manual_seed(1)))
    assert new_rows(table.half(), 2).dtype == torch.float16
    only_padding = torch.zeros(4, 8)
    assert new_rows(only_padding, 3).abs().sum() > 0


def test_padding_does_not_pull_new_rows_towards_zero():
    table = torch.full((3, 4), 2.0) + torch.tensor([[0.0], [0.01], [-0.01]])
    table = torch.cat([table, torch.zeros(1, 4)])
    assert (new_rows(table, 50, torch.Generator().manual_seed(0)) > 1.5).all()


def test_rows_of_new_tokens_are_drawn_when_a_backbone_is_loaded(tmp_path):
    theirs, vocabulary = whole(tmp_path / "a")
    state = backbone_state(tmp_path / "a", vocabulary, torch.Generator().manual_seed(5))
    table, size = theirs.model.shared.weight.detach(), vocabulary.text_size
    expected = new_rows(table, vocabulary.size - size, torch.Generator().manual_seed(5))
    assert torch.equal(state["backbone.shared.weight"][size:], expected)
    torch.manual_seed(5)
    assert torch.equal(loaded_rows(tmp_path / "a", vocabulary), expected)


def loaded_rows(folder, vocabulary):
    model = MultiHeadGenerator(vocabulary, read_config(folder))
    torch.manual_seed(5)
    model.load_backbone(folder)
    return model.table[vocabulary.text_size :].detach()


@torch.no_grad()
def test_tables_of_their_own_stay_so(tmp_path):
    theirs, vocabulary = whole(tmp_path / "a", tied=False)
    size, tables = vocabulary.text_size, theirs.state_dict()
    model = loaded(tmp_path / "a", vocabulary)
    own = model.state_dict()
    encoder, decoder = (
        tables[f"model.{side}.embed_tokens.weight"] for side in ("encoder", "decoder")
    )
    assert not torch.equal(encoder, decoder) and not torch.equal(encoder, tables["lm_head.weight"])
    assert torch.equal(own["backbone.shared.weight"][:size], encoder)
    assert torch.equal(own["decoder_table.weight"][:size], decoder)
    assert torch.equal(own["head.weight"][:size], tables["lm_head.weight"])
    assert own["head.weight"].shape == own["backbone.shared.weight"].shape


def test_state_in_any_naming_is_one_thing():
    names = {"encoder.layers.0.fc1.weight": torch.randn(2, 2)}
    table = torch.randn(6, 2)
    bare = {"shared.weight": table, **names, "encoder.version": torch.tensor(3.0)}
    full = {
        "model.encoder.layers.0.fc1.weight": names["encoder.layers.0.fc1.weight"],
        "lm_head.weight": table,
        "final_logits_bias": torch.zeros(1, 6),
    }
    one, other = Weights.from_state(bare, "a"), Weights.from_state(full, "b")
    assert one.tied and other.tied
    for key, value in one.to_network().items():
        assert torch.equal(value, other.to_network()[key])
    back = Weights.from_network(one.to_network())
    assert back.to_transformers().keys() == one.to_transformers().keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.shared.weight": None}, "has no embedding table 'model.shared.weight'"),
        ({"lm_head.weight": torch.zeros(5, 4)}, r"must be of one shape, not .*\(5, 4\)"),
        ({"final_logits_bias": torch.zeros(1, 7)}, "final_logits_bias has 7 numbers for 6 rows"),
        ({"classifier.weight": torch.zeros(2)}, r"unexpected \['classifier.weight'\]"),
    ],
)
def test_weights_of_another_shape_are_named(change, message):
    state = {"model.shared.weight": torch.zeros(6, 4), **change}
    state = {key: value for key, value in state.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        Weights.from_state(state, "the file")


def test_damaged_folders_are_named(tmp_path):
    _, vocabulary = whole(tmp_path / "a")
    folder = tmp_path / "a"
    state = read_weights(folder)
    model = MultiHeadGenerator(vocabulary, read_config(folder))

    short = {**state, "model.encoder.layers.7.fc1.weight": torch.zeros(2)}
    save(folder / "model.safetensors", short)
    with pytest.raises(ValueError, match=r"unexpected \['backbone.encoder.layers.7.fc1.weight'\]"):
        model.load_backbone(folder)
    save(folder / "model.safetensors", {**state, "model.encoder.layers.0.fc1.bias": torch.zeros(2)})
    with pytest.raises(ValueError, match=r"size mismatch for backbone.encoder.layers.0.fc1.bias"):
        model.load_backbone(folder)
    save(folder / "model.safetensors", {"model.shared.weight": torch.zeros(9, 32)})
    with pytest.raises(ValueError, match=r"embedding has 9 rows but map_ids.pkl names 142"):
        model.load_backbone(folder)
    (folder / "model.safetensors").write_bytes(b"\x10" * 40)
    with pytest.raises(ValueError, match="cannot be read as safetensors"):
        model.load_backbone(folder)
    (folder / "model.safetensors").unlink()
    for content in (pickle.dumps(print), b"", pickle.dumps([1])):
        (folder / "pytorch_model.bin").write_bytes(content)
        with pytest.raises(ValueError, match=r"pytorch_model.bin (cannot be read|is not)"):
            model.load_backbone(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is not the configuration of an mBART"):
        read_config(folder)


def test_shards_must_be_files_beside_their_index(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "one.safetensors")
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors"}}))
    assert read_weights(tmp_path).keys() == {"a"}
    for shards, message in (
        ({"a": "../one.safetensors"}, "is not a file beside it"),
        ({"a": "one.safetensors", "b": "one.safetensors"}, r"promises \['b'\]"),
        (["one.safetensors"], "names no shards"),
    ):
        index.write_text(json.dumps({"weight_map": shards}))
        with pytest.raises(ValueError, match=message):
            read_weights(tmp_path)
    index.write_text(json.dumps({"weight_map": {"a": "two.safetensors"}}))
    with pytest.raises(FileNotFoundError, match="A shard of the weights"):
        read_weights(tmp_path)


def test_a_new_folder_is_whole_or_not_there(tmp_path):
    with new_folder(tmp_path / "deep" / "a") as folder:
        (folder / "file").write_text("x")
        assert not (tmp_path / "deep" / "a").exists()
    assert (tmp_path / "deep" / "a" / "file").read_text() == "x"
    with pytest.raises(ValueError, match="exists and is left alone"), new_folder(tmp_path / "deep"):
        pass
    with pytest.raises(RuntimeError), new_folder(tmp_path / "b") as folder:
        (folder / "file").write_text("x")
        raise RuntimeError
    assert {path.name for path in tmp_path.iterdir()} == {"deep"}


def test_map_ids_are_read_as_they_were_written(tmp_path):
    rows = {0: 0, 1: 1, 2: 2, 3: 3, 90: 5, 17: 4}
    (tmp_path / "map_ids.pkl").write_bytes(pickle.dumps(rows))
    assert read_map_ids(tmp_path) == rows
