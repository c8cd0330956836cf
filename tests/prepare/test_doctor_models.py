"""What the doctor says of checkpoints and the mBART folder."""

import json
import pickle
import sys

import pytest
import safetensors.torch
import torch
from sentencepiece import sentencepiece_model_pb2
from transformers import MBartForConditionalGeneration

import train
from soke.cli.doctor.rows import MISSING, NOTE, OK, WRONG
from soke.files import checksum
from soke.generator.vocabulary import MBART_LANGUAGES
from tests.helpers import THREE_PARTS, small_config, small_generator
from tests.prepare.patient import gone, spoiled, stops, training_starts


@pytest.mark.parametrize(
    ("change", "what", "state", "detail"),
    [
        (gone("runs/deto/checkpoints/best.ckpt"), "tokenizer", MISSING, "best.ckpt"),
        (spoiled("runs/deto/checkpoints/best.ckpt"), "tokenizer", WRONG, "best.ckpt"),
        (gone("words.json"), "dictionary", MISSING, "words.json"),
        (spoiled("words.json"), "dictionary", WRONG, ""),
        (gone("mbart/config.json"), "mBART folder", MISSING, "mbart/config.json"),
        (gone("mbart/sentencepiece.bpe.model"), "mBART folder", MISSING, "tokenizer.js"),
        (gone("mbart/map_ids.pkl"), "mBART folder", MISSING, "mbart/map_ids.pkl"),
        (spoiled("mbart/map_ids.pkl"), "mBART folder", WRONG, "map_ids.pkl"),
        (spoiled("mbart/sentencepiece.bpe.model"), "mBART folder", WRONG, "sentencepie"),
        (spoiled("mbart/config.json"), "mBART folder", WRONG, "config.json"),
        (gone("data/How2Sign/TOKENS/phoenix/val1.npy"), "tokens of phoenix", MISSING, "1 of"),
        (spoiled("data/How2Sign/TOKENS/phoenix/val0.npy"), "tokens of phoenix", WRONG, "1"),
    ],
)
def test_what_the_generator_lacks_stops_it(whole, change, what, state, detail):
    change(whole)
    rows = whole.examine("soke")
    assert what in stops(rows)
    # A spoiled tokenizer made no tokens.
    assert set(stops(rows)) <= {what, "token files" if what == "tokenizer" else what}
    assert rows[what].state == state and detail in rows[what].detail
    assert (
        "`soke " in rows[what].detail
        or "python -m" in rows[what].detail
        or "=..." in rows[what].detail
    )  # what to do
    assert not training_starts(whole, "soke")


def test_a_tokenizer_of_other_parts_stops_the_run(whole):
    rows = [{**row, "codebook_size": 20} for row in THREE_PARTS]
    whole.write_tokenizer(rows=rows)
    row = whole.examine("soke")["tokenizer"]
    assert row.stops and "another part table" in row.detail and "make PARTS agree" in row.detail


PRETRAINED = "model.generator.pretrained=true"


def mbart_state(folder):
    rows = pickle.loads((folder / "map_ids.pkl").read_bytes())
    model = MBartForConditionalGeneration(small_config(len(rows)))
    return {key: value.clone() for key, value in model.state_dict().items()}


def test_mbart_weights_are_read_where_they_are_needed(whole):
    rows = whole.examine("soke", PRETRAINED)
    assert stops(rows) == ["mBART weights"]
    assert "model.generator.pretrained=false" in rows["mBART weights"].detail
    for name in ("model.safetensors", "pytorch_model.bin"):
        assert name in rows["mBART weights"].detail


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_mbart_weights_have_to_fit(whole, name):
    folder, safe = whole.folder / "mbart", name.endswith("safetensors")
    save = safetensors.torch.save_file if safe else torch.save
    state = mbart_state(folder)
    save(state, folder / name)
    rows = whole.examine("soke", PRETRAINED)
    assert stops(rows) == [] and "they fit" in rows["mBART weights"].detail
    assert training_starts(whole, "soke", PRETRAINED)
    short = dict(list(state.items())[:-3])
    for wrong in (short, {**state, "model.encoder.layers.0.fc1.bias": torch.zeros(3)}):
        save(wrong, folder / name)
        rows = whole.examine("soke", PRETRAINED)
        assert stops(rows) == ["mBART weights"] and "does not fit" in rows["mBART weights"].detail
        assert not training_starts(whole, "soke", PRETRAINED)


def test_weights_in_shards(whole):
    folder = whole.folder / "mbart"
    state = mbart_state(folder)
    keys = list(state)
    shards = {"a.safetensors": keys[:20], "b.safetensors": keys[20:]}
    for name, own in shards.items():
        safetensors.torch.save_file({key: state[key] for key in own}, folder / name)
    places = {key: name for name, own in shards.items() for key in own}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    rows = whole.examine("soke", PRETRAINED)
    assert stops(rows) == [] and "they fit" in rows["mBART weights"].detail
    assert training_starts(whole, "soke", PRETRAINED)
    gone("mbart/b.safetensors")(whole)
    row = whole.examine("soke", PRETRAINED)["mBART weights"]
    assert row.state == MISSING and "b.safetensors" in row.detail


def test_text_pieces_of_either_kind(whole):
    """The pieces of ``sentencepiece.bpe.model`` in place of it as ``tokenizer.json``."""
    path = whole.folder / "mbart" / "sentencepiece.bpe.model"
    model = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    pieces = [[name, 0.0] for name in ("<s>", "<pad>", "</s>", "<unk>")]
    pieces += [[piece.piece, piece.score] for piece in model.pieces[3:]]
    pieces += [[code, 0.0] for code in (*MBART_LANGUAGES, "<mask>")]
    before = whole.examine("soke")["mBART folder"].detail
    content = {"model": {"type": "Unigram", "unk_id": 3, "vocab": pieces}}
    (path.parent / "tokenizer.json").write_text(json.dumps(content))
    path.unlink()
    rows = whole.examine("soke")
    row = rows["mBART folder"]
    assert stops(rows) == [] and row.detail.startswith(before)
    assert row.state == NOTE and "does not normalise text" in row.detail
    assert training_starts(whole, "soke")


@pytest.mark.parametrize("decoder", ["multi_head", "part", "flatten"])
def test_the_checkpoint_is_compared_with_the_configured_decoder(whole, decoder):
    generator, _ = small_generator(whole.folder / "mbart", decoder)
    path = whole.folder / "generator.ckpt"
    state = {f"generator.{key}": value for key, value in generator.state_dict().items()}
    torch.save({"state_dict": state}, path)
    words = [f"TEST.CHECKPOINTS={path}", f"TRAIN.PRETRAINED={path}"]
    own = whole.examine("soke", *words, f"model.generator.decoder={decoder}")
    assert stops(own) == [] and own["checkpoint to test"].state == OK
    other = "multi_head" if decoder == "part" else "part"
    rows = whole.examine("soke", *words, f"model.generator.decoder={other}")
    assert stops(rows) == ["TRAIN.PRETRAINED"]
    assert rows["checkpoint to test"].state == WRONG


def test_an_unknown_decoder_is_named(whole):
    rows = whole.examine("soke", "model.generator.decoder=parts")
    assert stops(rows) == ["generator"] and "'multi_head'" in rows["generator"].detail
    assert not training_starts(whole, "soke", "model.generator.decoder=parts")


def test_the_checkpoint_to_test_is_compared_but_not_needed(whole):
    generator, _ = small_generator(whole.folder / "mbart")
    state = {f"generator.{key}": value for key, value in generator.state_dict().items()}
    path = whole.folder / "generator.ckpt"
    code = checksum(whole.folder / "runs/deto/checkpoints/best.ckpt")
    words = [f"TEST.CHECKPOINTS={path}"]
    row = whole.examine("soke", *words)["checkpoint to test"]
    assert row.state == MISSING and not row.stops
    torch.save({"state_dict": state, "soke": {"tokenizer_sha256": code}}, path)
    # The corpora of the small generator name three sign languages, as `soke/default.yaml` does.
    two = ["DATASET.H2S.DATASET_NAME=how2sign_phoenix"]
    row = whole.examine("soke", *words, *two)["checkpoint to test"]
    assert row.state == OK, row.detail
    torch.save({"state_dict": state, "soke": {"tokenizer_sha256": "0" * 64}}, path)
    row = whole.examine("soke", *words)["checkpoint to test"]
    assert row.state == WRONG and "another tokenizer" in row.detail and not row.stops
    short = {key: value for key, value in state.items() if "layers.1" not in key}
    torch.save({"state_dict": short, "soke": {"tokenizer_sha256": code}}, path)
    row = whole.examine("soke", *words)["checkpoint to test"]
    assert row.state == WRONG and "does not fit" in row.detail
    # As weights to start from the same file stops the run.
    rows = whole.examine("soke", f"TRAIN.PRETRAINED={path}")
    assert stops(rows) == ["TRAIN.PRETRAINED"]
    torch.save({"state_dict": state}, path)
    assert stops(whole.examine("soke", f"TRAIN.PRETRAINED={path}")) == []


def test_a_text_decoder_needs_no_dictionary_and_trains(whole, monkeypatch):
    whole.configure("m2t", "m2t")
    gone("words.json")(whole)
    rows = whole.examine("m2t")
    assert stops(rows) == [] and "dictionary" not in rows
    assert rows["text_decoder"].state == rows["prompts"].state == OK
    assert rows["checkpoint to test"].state == MISSING
    cfg, run = whole.folder / "m2t.yaml", whole.folder / "runs" / "m2t"
    options = ["--cfg", str(cfg), "--nodebug", "LOGGER.TYPE=[]", "model.text_decoder.max_pieces=4"]
    for words in ("TRAIN.END_EPOCH=1", f"TRAIN.END_EPOCH=2 TRAIN.RESUME={run}"):
        monkeypatch.setattr(sys, "argv", ["train", *options, *words.split()])
        train.main()
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 1
    assert whole.examine("m2t", "NAME=m2t")["checkpoint to test"].state == OK
    # The checkpoint of one kind is refused as weights of the other.
    for name, checkpoint in (("soke", run), ("m2t", whole.folder / "runs" / "deto")):
        start = f"TRAIN.PRETRAINED={checkpoint / 'checkpoints' / 'best.ckpt'}"
        row = whole.examine(name, start)["TRAIN.PRETRAINED"]
        assert row.stops and "has no weights of a" in row.detail
