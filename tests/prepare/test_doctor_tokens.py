"""What the doctor says of token files and dictionaries, and that what it says does mend them."""

import json
from dataclasses import replace

import numpy as np
import torch

from soke.cli.doctor.rows import NOTE, OK, WRONG
from soke.data.token_files import write_tokens
from soke.files import checksum
from soke.parts import PartTable
from soke.retrieval import SignDictionary, write_dictionary
from tests.data.conftest import motion
from tests.helpers import THREE_PARTS
from tests.prepare.patient import follow, gone, spoiled, stops, training_starts


def test_the_dictionary_is_not_needed_without_retrieval(whole):
    gone("words.json")(whole)
    rows = whole.examine("soke", "RETRIEVAL.MAX_KEYWORDS=0")
    assert stops(rows) == [] and "dictionary" not in rows
    assert training_starts(whole, "soke", "RETRIEVAL.MAX_KEYWORDS=0")


def test_what_the_doctor_says_mends_the_generator_run(patient, monkeypatch):
    """From poses and a trained tokenizer to a run that can start, by the named commands alone."""
    patient.write_tokenizer()
    signs = [{"name": "s", "label": "hello", "start": 0, "end": 30, "video_file": "train2"}]
    (patient.how2sign.root / "signs.json").write_text(json.dumps(signs))
    words = [
        "CORPORA.how2sign.signs=signs.json",
        f"CORPORA.how2sign.dictionary={patient.folder / 'own words.json'}",
        "CORPORA.phoenix.dictionary=null",
    ]
    rows = patient.examine("soke", *words)
    assert rows["how2sign signs"].detail == "1 signs, one pickle per clip"
    assert stops(rows) == ["dictionary", "mBART folder", "token files"]
    for what in ("token files", "dictionary"):
        follow(rows[what], patient, "soke", monkeypatch, *words)
    folder = rows["mBART folder"]
    small = replace(folder, detail=folder.detail[folder.detail.index("or make a small one") :])
    follow(small, patient, "soke", monkeypatch, *words)
    rows = patient.examine("soke", *words)
    assert stops(rows) == [] and training_starts(patient, "soke", *words)
    assert rows["token files"].state == OK

    # A dictionary that was spoiled is not one of ours any more: the command writes over it.
    spoiled("own words.json")(patient)
    rows = patient.examine("soke", *words)
    assert stops(rows) == ["dictionary"] and not training_starts(patient, "soke", *words)
    follow(rows["dictionary"], patient, "soke", monkeypatch, *words)
    assert stops(patient.examine("soke", *words)) == []


def test_a_dictionary_of_another_tokenizer_stops_the_run(whole):
    row = whole.examine("soke")["dictionary"]  # as a published one comes
    assert row.state == NOTE and "does not say which tokenizer" in row.detail
    parts, path = PartTable.from_rows(THREE_PARTS), whole.folder / "words.json"
    entries = SignDictionary.load(path, parts)
    own = checksum(whole.folder / "runs/deto/checkpoints/best.ckpt")
    write_dictionary(path, entries, parts, own, replace=True)
    row = whole.examine("soke")["dictionary"]
    assert row.state == OK and "1 signs" in row.detail
    write_dictionary(path, entries, parts, "0" * 64, replace=True)
    rows = whole.examine("soke")
    assert stops(rows) == ["dictionary"] and "another tokenizer" in rows["dictionary"].detail
    assert "soke dictionary" in rows["dictionary"].detail
    assert not training_starts(whole, "soke")


def test_a_damaged_clip_does_not_count_as_one_without_tokens(whole):
    whole.how2sign.write_clip("train1", motion(50)).write_bytes(b"\x80\x04" + b"0" * 200_000)
    (whole.codes / "how2sign" / "train1.npy").unlink()
    row = whole.examine("soke")["tokens of how2sign"]
    assert row.state == OK and "train 2 of 3" in row.detail
    assert training_starts(whole, "soke")
    (whole.codes / "how2sign" / "train2.npy").unlink()
    assert stops(whole.examine("soke")) == ["tokens of how2sign"]
    assert not training_starts(whole, "soke")


def test_damaged_tokens_are_named_with_the_command_that_replaces_them(whole):
    bad = whole.codes / "how2sign" / "train2.npy"
    write_tokens(bad, np.full((11, 3), 99))
    assert stops(whole.examine("soke")) == []  # the first of a split is read
    row = whole.examine("soke", "--thorough")["tokens of how2sign"]
    assert row.state == WRONG and str(bad) in row.detail and "99" in row.detail
    assert "remove what is damaged and run `python -m get_motion_code`" in row.detail
    bad.write_bytes(b"")
    assert str(bad) in whole.examine("soke", "--thorough")["tokens of how2sign"].detail


def test_tokens_of_another_tokenizer_stop_the_run(whole):
    torch.manual_seed(7)
    path = whole.write_tokenizer()
    content = torch.load(path)
    content["epoch"] = 5
    torch.save(content, path)
    rows = whole.examine("soke")
    assert stops(rows) == ["token files"] and "another tokenizer" in rows["token files"].detail
    assert not training_starts(whole, "soke")
    (whole.codes / "manifest.json").unlink()  # as published tokens come
    rows = whole.examine("soke")
    assert stops(rows) == [] and rows["token files"].state == NOTE
    assert training_starts(whole, "soke")
