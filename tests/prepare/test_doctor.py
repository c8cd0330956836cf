"""The doctor: a complete run can start, each thing that is taken away is found, and what it says
to do does mend it. That the doctor is right is checked against training itself.

One long file, since all tests share the small project below.
"""

import importlib
import io
import json
import pickle
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from omegaconf import OmegaConf
from PIL import ImageFont
from rich.console import Console
from transformers import MBartForConditionalGeneration

from prepare.doctor import machine, settings, table
from prepare.doctor.__main__ import add_options, examine, main
from prepare.doctor.rows import Row, State
from prepare.doctor.run import Run
from soke import build
from soke.body import STAND_IN
from soke.config import parse_command_line
from soke.data.tokens import claim_folder, write_tokens
from soke.files import checksum
from soke.parts import PartTable
from tests.data.conftest import CorpusWriter, motion
from tests.helpers import THREE_PARTS, mbart_folder, small_config, small_tokenizer

ROOT = Path(__file__).parents[2]
SPLITS = {"train": 3, "val": 2, "test": 1}
STATES = {State.MISSING, State.WRONG}


class Patient:
    """A small project in a folder: two corpora, statistics, and two configurations."""

    def __init__(self, folder):
        self.folder, self.words = folder, []
        self.how2sign = CorpusWriter("how2sign", folder / "data" / "How2Sign")
        self.phoenix = CorpusWriter("phoenix", folder / "data" / "Phoenix")
        for writer, stem in ((self.how2sign, "dev"), (self.phoenix, "dev")):
            for split, count in SPLITS.items():
                names = [f"{split}{i}" for i in range(count)]
                own = split.replace("val", stem) if writer is self.phoenix else split
                writer.annotate([(name, f"text of {name}") for name in names], own)
                for i, name in enumerate(names):
                    writer.write_clip(name, motion(44 + 4 * i), own)
        for name, value in (("mean", 0.0), ("std", 1.0)):
            torch.save(torch.full((179,), value), folder / f"{name}.pt")
        self.configure("deto", "vae")
        self.configure("soke", "lm_pretrain")

    def configure(self, name, stage):
        here = self.folder
        content = {
            "BASES": [str(ROOT / "configs" / "default.yaml")],
            "NAME": name,
            "ACCELERATOR": "cpu",
            "TRAIN": {"STAGE": stage, "NUM_WORKERS": 0},
            "EVAL": {"NUM_WORKERS": 0},
            "TEST": {"NUM_WORKERS": 0, "FOLDER": str(here / "results")},
            "OUTPUT": {"EXPERIMENTS": str(here / "runs")},
            "DATASET": {
                "PACKED": str(here / "packed"),
                "H2S": {
                    "DATASET_NAME": "how2sign_phoenix",
                    "ROOT": str(self.how2sign.root),
                    "PHOENIX_ROOT": str(self.phoenix.root),
                    "MEAN_PATH": str(here / "mean.pt"),
                    "STD_PATH": str(here / "std.pt"),
                },
            },
            "CORPORA": {
                "how2sign": {"dictionary": str(here / "words.json")},
                "phoenix": {"dictionary": str(here / "words.json")},
            },
            "PARTS": THREE_PARTS,
            "BODY": {"MODEL_DIR": str(here / "body")},
            "model": {
                "tokenizer": {"params": {"width": 16, "code_dim": 8}},
                "generator": {"folder": str(here / "mbart"), "pretrained": False},
            },
        }
        OmegaConf.save(OmegaConf.create(content), here / f"{name}.yaml")

    def write_tokenizer(self, run="deto", rows=THREE_PARTS):
        tokenizer = small_tokenizer(rows)
        path = self.folder / "runs" / run / "checkpoints" / "best.ckpt"
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {f"tokenizer.{key}": value for key, value in tokenizer.state_dict().items()}
        about = {"tokenizer": tokenizer.description()}
        torch.save({"state_dict": state, "soke": about, "epoch": 4}, path)
        return path

    def write_all_for_the_generator(self):
        checkpoint = self.write_tokenizer()
        parts = PartTable.from_rows(THREE_PARTS)
        claim_folder(self.codes, checksum(checkpoint), parts)
        for corpus in ("how2sign", "phoenix"):
            for split, count in SPLITS.items():
                for i in range(count):
                    path = self.codes / corpus / f"{split}{i}.npy"
                    write_tokens(path, np.ones((11, 3), dtype=np.int64))
        words = {"text": {part["name"]: [1, 2] for part in THREE_PARTS}}
        (self.folder / "words.json").write_text(json.dumps(words))
        mbart_folder(self.folder / "mbart")

    @property
    def codes(self):
        return self.how2sign.root / "TOKENS"

    def examine(self, name, *words):
        """Rows by what they are about; the state of those that occur twice is the worst one."""
        arguments = ["--cfg", str(self.folder / f"{name}.yaml"), *words]
        real = arguments if "--trial" in words else [*arguments, "--nodebug"]
        config, options = parse_command_line("", add_options, real)
        rows = [
            row for own in dict(examine(Run.of(config, options, arguments))).values() for row in own
        ]
        return {row.what: row for row in sorted(rows, key=lambda row: row.state in STATES)}


@pytest.fixture
def patient(tmp_path):
    return Patient(tmp_path)


@pytest.fixture
def whole(patient):
    """Everything that the generator's training needs."""
    patient.write_all_for_the_generator()
    return patient


def stops(rows):
    return sorted(row.what for row in rows.values() if row.stops)


def training_starts(patient, name, *words):
    """Whether training can build its parts and read its data, as `python -m train` does."""
    arguments = ["--cfg", str(patient.folder / f"{name}.yaml"), "--nodebug", *words]
    config, _ = parse_command_line("", None, arguments)
    try:
        build.check_new_run(config)
        if config.TRAIN.STAGE == "vae":
            module = build.tokenizer_module(config)
            data = build.pose_data(config, module.tokenizer)
        else:
            prompts = build.prompt_builder(config)
            data = build.token_data(config, prompts)
            build.generator_module(config, prompts)
        return [len(list(data.train_dataloader())), len(list(data.val_dataloader()))] > [0, 0]
    except Exception:  # whatever stops it
        return False


def follow(command, monkeypatch):
    """Run a command that the doctor gave, in this process."""
    python, option, module, *arguments = shlex.split(command)
    assert (python, option) == ("python", "-m")
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    importlib.import_module(module).main()


def test_a_complete_tokenizer_run_can_start(patient, capsys):
    main(["--cfg", str(patient.folder / "deto.yaml")])  # would exit with 1 otherwise
    output = capsys.readouterr().out
    assert "the run can start" in output.splitlines()[-1]
    assert f"python -m train --cfg {patient.folder / 'deto.yaml'} --nodebug" in output
    rows = patient.examine("deto")
    assert stops(rows) == []
    assert rows["how2sign train"].detail == "3 clips, a pickle a clip"
    assert rows["phoenix val"].detail == "2 clips, a pickle a clip"
    assert rows["packed store"].state is State.NOTE and "is empty" in rows["packed store"].detail
    assert rows["tokenizer to test"].state is State.MISSING
    assert "not comparable" in rows["body model"].detail
    assert not {"tokenizer", "token files", "mBART folder", "dictionary"} & set(rows)
    assert training_starts(patient, "deto")


def test_a_complete_generator_run_can_start(whole):
    rows = whole.examine("soke")
    assert stops(rows) == []
    assert rows["tokens of how2sign"].detail == "clips with tokens: train 3 of 3, val 2 of 2"
    assert "1 signs (for how2sign, phoenix)" in rows["dictionary"].detail
    assert rows["tokenizer"].detail.endswith("codes: body 16, lhand 8, rhand 12")
    assert rows["prompts"].state is State.FOUND
    assert training_starts(whole, "soke")
    # What only the tokenizer's training needs may go.
    (whole.folder / "mean.pt").unlink()
    row = whole.examine("soke")["statistics"]
    assert row.state is State.MISSING and not row.stops


def test_with_nothing_there_every_line_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = [f"DATASET.H2S.CSL_ROOT={tmp_path / 'a place'}", "TRAIN.BATCH_SIZE=8"]
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stopped:
        main(["--cfg", str(ROOT / "configs" / "soke.yaml"), *changes])
    assert stopped.value.code == 1
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines()[:-1])) <= 100
    assert output.splitlines()[-1] == "7 things are missing or wrong; the run could not start"
    assert "\x1b" not in output

    config, options = parse_command_line(
        "", add_options, ["--cfg", str(ROOT / "configs/soke.yaml"), "--nodebug", *changes]
    )
    rows = [row for own in dict(examine(Run.of(config, options, changes))).values() for row in own]
    bad = [row for row in rows if row.stops]
    assert [row.what for row in bad] == [
        "how2sign", "csl", "phoenix", "tokenizer", "token files", "dictionary", "mBART folder"
    ]  # fmt: skip
    assert all(row.advice or row.command for row in bad)
    for row in bad:
        if row.command and row.what != "tokenizer":
            words = shlex.split(row.command)
            assert words[words.index("--nodebug") + 1 :] == changes
    fix = next(row for row in bad if row.what == "tokenizer").command
    assert shlex.split(fix) == [
        "python", "-m", "train", "--cfg", str(ROOT / "configs" / "deto.yaml"), "--nodebug",
        changes[0],  # where the data lie holds for both runs, the batch size does not
    ]  # fmt: skip
    assert "https://how2sign.github.io" in bad[0].advice and "DATASET.H2S.ROOT" in bad[0].advice
    assert "a place" in bad[1].advice and "DATASET.H2S.CSL_ROOT" in bad[1].advice


def gone(path):
    return lambda patient: (patient.folder / path).unlink()


def spoiled(path):
    return lambda patient: (patient.folder / path).write_bytes(b"no such thing")


CSV = "data/How2Sign/{0}/re_aligned/how2sign_realigned_{0}_preprocessed_fps.csv"


@pytest.mark.parametrize(
    ("change", "what", "state", "detail"),
    [
        (gone(CSV.format("train")), "how2sign train", State.MISSING, "annotation"),
        (gone("data/Phoenix/phoenix14t.dev"), "phoenix val", State.MISSING, "phoenix14t.dev"),
        (spoiled("data/Phoenix/phoenix14t.train"), "phoenix train", State.WRONG, "pickle"),
        (spoiled(CSV.format("val")), "how2sign val", State.WRONG, "no column"),
        (gone("std.pt"), "statistics", State.MISSING, "std.pt"),
        (spoiled("mean.pt"), "statistics", State.WRONG, ""),
    ],
)
def test_what_the_tokenizer_lacks_stops_it(patient, change, what, state, detail):
    change(patient)
    rows = patient.examine("deto")
    # Training reads the annotation of validation too: a clip that is in both belongs there.
    also = ["how2sign train"] if what == "how2sign val" else []
    assert stops(rows) == [*also, what]
    assert rows[what].state is state and detail in rows[what].detail
    assert rows[what].advice or rows[what].command
    assert not training_starts(patient, "deto")


def test_what_only_the_test_needs_stops_nothing(patient, capsys):
    gone(CSV.format("test"))(patient)
    rows = patient.examine("deto")
    assert rows["how2sign test"].state is State.MISSING and stops(rows) == []
    assert training_starts(patient, "deto")
    main(["--cfg", str(patient.folder / "deto.yaml")])
    output = capsys.readouterr().out
    line = next(line for line in output.splitlines() if line.startswith("how2sign test"))
    assert "(missing)" in line and "not needed yet: for test" in " ".join(output.split())
    assert "2 things are missing or wrong for later steps only" in output


def test_clips_that_are_left_out_are_counted_by_reason(patient):
    rows = [("train0", "a", 0.0, 40.0, 24.0), ("train1", "b"), ("gone", "c"), ("train2", "d")]
    patient.how2sign.annotate(rows)
    row = patient.examine("deto")["how2sign train"]
    assert row.state is State.FOUND
    assert row.detail == "2 clips, a pickle a clip; left out: 1 30 s or longer, 1 no pose files"
    patient.how2sign.annotate([*rows, ("gone2", "e"), ("gone3", "f")])
    row = patient.examine("deto")["how2sign train"]
    assert row.state is State.NOTE and "are all files there" in row.advice and not row.stops
    patient.how2sign.annotate([("gone", "c")])
    rows = patient.examine("deto")
    assert stops(rows) == ["how2sign train"] and rows["how2sign train"].state is State.MISSING


def test_a_split_without_a_usable_clip_stops_the_run(patient):
    for writer in (patient.how2sign, patient.phoenix):
        writer.annotate([("short", "a")])
        writer.write_clip("short", motion(3))
    assert stops(patient.examine("deto")) == ["split train"]
    assert not training_starts(patient, "deto")
    patient.how2sign.annotate([("train0", "a")])
    assert stops(patient.examine("deto")) == [] and training_starts(patient, "deto")


def test_damaged_poses_are_found_when_everything_is_read(patient):
    patient.how2sign.write_clip("train1", motion(50)).write_bytes(b"\x80\x04" + b"0" * 200_000)
    assert patient.examine("deto")["how2sign train"].detail.startswith("3 clips")
    row = patient.examine("deto", "--thorough")["how2sign train"]
    assert row.state is State.NOTE and "train1" in row.detail
    assert row.detail.startswith(f"2 clips, a pickle a clip, {44 + 52} frames")
    rows = patient.examine("deto", "--thorough", "DATASET.CHECK_POSES=false")
    assert stops(rows) == ["how2sign train"]
    assert training_starts(patient, "deto")
    assert not training_starts(patient, "deto", "DATASET.CHECK_POSES=false")


def test_a_packed_store_is_taken_and_its_damage_found(patient, monkeypatch):
    command = patient.examine("deto")["packed store"].command
    follow(command, monkeypatch)
    rows = patient.examine("deto", "--thorough")
    assert stops(rows) == []
    assert rows["how2sign train"].detail == f"3 clips, packed, {44 + 48 + 52} frames"
    assert rows["packed store"].state is State.FOUND
    assert "checksums agree" in rows["phoenix val, packed"].detail

    frames = patient.folder / "packed" / "how2sign" / "train" / "frames.f32"
    content = bytearray(frames.read_bytes())
    content[100] ^= 1
    frames.write_bytes(content)
    assert stops(patient.examine("deto")) == []  # its size is right
    rows = patient.examine("deto", "--thorough")
    assert stops(rows) == ["how2sign train, packed"]
    remove, again = rows["how2sign train, packed"].command.split(" && ")
    assert remove == f"rm -r {frames.parent}" and again == command

    frames.write_bytes(content[:-4])
    rows = patient.examine("deto")
    assert stops(rows) == ["how2sign train, packed"]
    assert rows["how2sign train"].detail == "3 clips, a pickle a clip"  # the source is whole
    assert not training_starts(patient, "deto")
    follow(rows["how2sign train, packed"].command, monkeypatch)
    assert stops(patient.examine("deto")) == []

    patient.phoenix.annotate([("train0", "another text")])
    rows = patient.examine("deto")
    assert stops(rows) == ["phoenix train, packed"]
    assert "older than its source" in rows["phoenix train, packed"].detail
    assert not training_starts(patient, "deto")

    shutil.rmtree(patient.phoenix.root)  # it may go once it is packed
    assert stops(patient.examine("deto")) == [] and training_starts(patient, "deto")


def test_an_old_packed_pose_shows_when_everything_is_read(patient, monkeypatch):
    follow(patient.examine("deto")["packed store"].command, monkeypatch)
    patient.how2sign.write_clip("train1", motion(60))
    assert stops(patient.examine("deto")) == []
    assert stops(patient.examine("deto", "--thorough")) == ["how2sign train, packed"]


def test_statistics_that_would_divide_by_zero_are_noted(patient, monkeypatch):
    std = torch.ones(179)
    std[40] = 0
    torch.save(std, patient.folder / "std.pt")
    row = patient.examine("deto")["statistics"]
    assert row.state is State.NOTE and "1 features never move" in row.detail
    row = patient.examine("deto", "DATASET.H2S.STD_FLOOR=0.2")["statistics"]
    assert row.state is State.FOUND
    torch.save(torch.ones(133), patient.folder / "std.pt")
    row = patient.examine("deto")["statistics"]
    assert row.state is State.WRONG and "179" in row.detail
    follow(row.command, monkeypatch)
    assert patient.examine("deto")["statistics"].state is not State.WRONG


@pytest.mark.parametrize(
    ("change", "what", "state", "detail"),
    [
        (gone("runs/deto/checkpoints/best.ckpt"), "tokenizer", State.MISSING, "best.ckpt"),
        (spoiled("runs/deto/checkpoints/best.ckpt"), "tokenizer", State.WRONG, "best.ckpt"),
        (gone("words.json"), "dictionary", State.MISSING, "words.json"),
        (spoiled("words.json"), "dictionary", State.WRONG, ""),
        (gone("mbart/config.json"), "mBART file", State.MISSING, "config.json"),
        (gone("mbart/sentencepiece.bpe.model"), "mBART file", State.MISSING, "sentencepiece"),
        (gone("mbart/map_ids.pkl"), "mBART file", State.MISSING, "map_ids.pkl"),
        (spoiled("mbart/map_ids.pkl"), "generator", State.WRONG, "map_ids.pkl"),
        (spoiled("mbart/sentencepiece.bpe.model"), "generator", State.WRONG, ""),
        (spoiled("mbart/config.json"), "generator", State.WRONG, ""),
        (gone("data/How2Sign/TOKENS/phoenix/val1.npy"), "tokens of phoenix", State.MISSING, "1 of"),
        (spoiled("data/How2Sign/TOKENS/phoenix/val0.npy"), "tokens of phoenix", State.WRONG, "1"),
    ],
)  # fmt: skip
def test_what_the_generator_lacks_stops_it(whole, change, what, state, detail):
    change(whole)
    rows = whole.examine("soke")
    assert what in stops(rows)
    assert set(stops(rows)) <= {what, "token files"}  # a spoiled tokenizer made no tokens
    assert rows[what].state is state and detail in rows[what].detail
    assert rows[what].advice or rows[what].command
    assert not training_starts(whole, "soke")


def test_the_dictionary_is_not_needed_without_retrieval(whole):
    gone("words.json")(whole)
    rows = whole.examine("soke", "RETRIEVAL.MAX_KEYWORDS=0")
    assert stops(rows) == [] and rows["sign dictionary"].state is State.NOTE
    assert training_starts(whole, "soke", "RETRIEVAL.MAX_KEYWORDS=0")


def test_what_the_doctor_says_mends_the_generator_run(patient, monkeypatch):
    """From poses and a trained tokenizer to a run that can start, by pasted commands alone."""
    patient.write_tokenizer()
    signs = [{"name": "s", "label": "hello", "start": 0, "end": 30, "video_file": "train2"}]
    (patient.how2sign.root / "signs.json").write_text(json.dumps(signs))
    words = [
        "CORPORA.how2sign.signs=signs.json",
        f"CORPORA.how2sign.dictionary={patient.folder / 'own words.json'}",
        "CORPORA.phoenix.dictionary=null",
    ]
    rows = patient.examine("soke", *words)
    assert rows["how2sign signs"].detail == "1 signs, a pickle a clip"
    assert stops(rows) == ["dictionary", "mBART folder", "token files"]
    commands = {rows[what].command for what in stops(rows)}
    assert Counter(shlex.split(command)[2] for command in commands) == Counter(
        ["get_motion_code", "prepare.small_mbart"]
    )
    for command in sorted(commands):
        follow(command, monkeypatch)
    rows = patient.examine("soke", *words)
    assert stops(rows) == [] and training_starts(patient, "soke", *words)
    assert rows["token files"].state is State.FOUND


def test_a_damaged_clip_does_not_count_as_one_without_tokens(whole):
    whole.how2sign.write_clip("train1", motion(50)).write_bytes(b"\x80\x04" + b"0" * 200_000)
    (whole.codes / "how2sign" / "train1.npy").unlink()
    row = whole.examine("soke")["tokens of how2sign"]
    assert row.state is State.FOUND and "train 2 of 3" in row.detail
    assert training_starts(whole, "soke")
    (whole.codes / "how2sign" / "train2.npy").unlink()
    assert stops(whole.examine("soke")) == ["tokens of how2sign"]
    assert not training_starts(whole, "soke")


def test_damaged_tokens_are_named_with_the_command_that_replaces_them(whole):
    bad = whole.codes / "how2sign" / "train2.npy"
    write_tokens(bad, np.full((11, 3), 99))
    assert stops(whole.examine("soke")) == []  # the first of a split is read
    row = whole.examine("soke", "--thorough")["tokens of how2sign"]
    assert row.state is State.WRONG and str(bad) in row.detail and "99" in row.detail
    remove, again = row.command.split(" && ")
    assert remove == f"rm -r {bad}" and "get_motion_code" in again
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
    assert stops(rows) == [] and rows["token files"].state is State.NOTE
    assert training_starts(whole, "soke")


def test_a_tokenizer_of_other_parts_stops_the_run(whole):
    rows = [{**row, "codebook_size": 20} for row in THREE_PARTS]
    whole.write_tokenizer(rows=rows)
    row = whole.examine("soke")["tokenizer"]
    assert row.stops and "another part table" in row.detail and "PARTS" in row.advice


def test_mbart_weights_are_read_where_they_are_needed(whole):
    words = ["model.generator.pretrained=true"]
    rows = whole.examine("soke", *words)
    assert stops(rows) == ["mBART weights"]
    assert "model.generator.pretrained=false" in rows["mBART weights"].advice
    for name in ("model.safetensors", "pytorch_model.bin"):
        assert name in rows["mBART weights"].detail
    text_rows = pickle.loads((whole.folder / "mbart" / "map_ids.pkl").read_bytes())
    state = MBartForConditionalGeneration(small_config(len(text_rows))).state_dict()
    torch.save(state, whole.folder / "mbart" / "pytorch_model.bin")
    rows = whole.examine("soke", *words)
    assert stops(rows) == [] and "the weights fit" in rows["generator"].detail
    assert training_starts(whole, "soke", *words)

    short = dict(list(state.items())[:-3])
    safetensors.torch.save_file(
        {key: value.clone() for key, value in short.items()},
        whole.folder / "mbart" / "model.safetensors",
    )
    rows = whole.examine("soke", *words)
    assert stops(rows) == ["generator"] and "does not fit" in rows["generator"].detail
    assert not training_starts(whole, "soke", *words)
    torch.save({**state, "model.encoder.layers.0.fc1.bias": torch.zeros(3)},
               whole.folder / "mbart" / "pytorch_model.bin")  # fmt: skip
    (whole.folder / "mbart" / "model.safetensors").unlink()
    assert stops(whole.examine("soke", *words)) == ["generator"]


def test_the_checkpoint_to_test_is_compared_but_not_needed(whole, monkeypatch):
    from tests.helpers import small_generator

    generator, _ = small_generator(whole.folder / "mbart")
    state = {f"generator.{key}": value for key, value in generator.state_dict().items()}
    path = whole.folder / "generator.ckpt"
    code = checksum(whole.folder / "runs/deto/checkpoints/best.ckpt")
    words = [f"TEST.CHECKPOINTS={path}"]
    row = whole.examine("soke", *words)["generator to test"]
    assert row.state is State.MISSING and not row.stops
    torch.save({"state_dict": state, "soke": {"tokenizer_sha256": code}}, path)
    # The corpora of the small generator name three sign languages, as `configs/default.yaml` does.
    two = ["DATASET.H2S.DATASET_NAME=how2sign_phoenix"]
    row = whole.examine("soke", *words, *two)["generator to test"]
    assert row.state is State.FOUND, row.detail
    torch.save({"state_dict": state, "soke": {"tokenizer_sha256": "0" * 64}}, path)
    row = whole.examine("soke", *words)["generator to test"]
    assert row.state is State.WRONG and "another tokenizer" in row.detail and not row.stops
    short = {key: value for key, value in state.items() if "layers.1" not in key}
    torch.save({"state_dict": short, "soke": {"tokenizer_sha256": code}}, path)
    row = whole.examine("soke", *words)["generator to test"]
    assert row.state is State.WRONG and "does not fit" in row.detail
    # As weights to start from the same file stops the run.
    rows = whole.examine("soke", f"TRAIN.PRETRAINED={path}")
    assert stops(rows) == ["TRAIN.PRETRAINED"]
    torch.save({"state_dict": state}, path)
    assert stops(whole.examine("soke", f"TRAIN.PRETRAINED={path}")) == []


def test_a_run_that_is_there_is_not_written_over(patient):
    path = patient.write_tokenizer("deto")
    rows = patient.examine("deto")
    assert stops(rows) == ["run directory"]
    assert rows["tokenizer to test"].state is State.FOUND
    resume = shlex.split(rows["run directory"].command)[-1]
    assert resume == f"TRAIN.RESUME={path.parents[1]}"
    rows = patient.examine("deto", resume)
    assert rows["run to resume"].state is State.MISSING  # there is no last.ckpt
    shutil.copy(path, path.with_name("last.ckpt"))
    rows = patient.examine("deto", resume)
    assert stops(rows) == [] and "5 of 500 epochs" in rows["run to resume"].detail
    rows = patient.examine("deto", resume, "TRAIN.END_EPOCH=3")
    assert stops(rows) == ["run to resume"]
    assert stops(patient.examine("deto", "NAME=other")) == []


def test_the_trial_looks_into_its_own_folders(whole):
    rows = whole.examine("soke", "--trial")
    assert stops(rows) == ["token files"]
    assert "TOKENS-debug" in rows["token files"].detail
    assert "--nodebug" not in rows["token files"].command
    assert "debug" in rows["run directory"].detail


@pytest.mark.parametrize(
    ("word", "detail"),
    [
        ("DATASET.H2S.DATASET_NAME=how2sign_french", "DATASET_NAME"),
        ("CORPORA.how2sign.layout=mine", "layout"),
        ("CORPORA.how2sign.rate=3", "rate"),
        ("PARTS=[{name: body, columns: [[0, 400]], codebook_size: 2, fusion_weight: 1.0, "
         "token_prefix: a}]", ""),
        ("TRAIN.OPTIM.target=torch.optim.Adamm", "Adamm"),
        ("TRAIN.OPTIM.params.momentun=1", "momentun"),
        ("TRAIN.CROP_FRAMES=7", "CROP_FRAMES"),
        ("LOSS.ABLATION.RECONS_LOSS=l3", "RECONS_LOSS"),
        ("model.tokenizer.params.depht=2", "depht"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_configuration_is_one_row(patient, word, detail):
    rows = patient.examine("deto", word)
    assert list(rows) == ["configuration"] and rows["configuration"].stops
    # A wrong loss shows in the first step.
    assert "LOSS" in word or not training_starts(patient, "deto", word)
    assert detail in rows["configuration"].detail
    assert str(patient.folder / "deto.yaml") in rows["configuration"].advice


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("TRAIN.SPLIT=training", "how2sign training"),
        ("BODY.MODEL_DIR=null", "body model"),
        ("DATASET.H2S.MEAN_PATH=null", "statistics"),
        ("PRECISION=31", "GPU"),
        ("ACCELERATOR=abacus", "GPU"),
        ("RENDER.FONT=no-such-font.ttf", "font, en"),
    ],
)
def test_an_odd_value_never_ends_the_doctor(patient, word, what):
    rows = patient.examine("deto", word)
    assert what in stops(rows)
    assert rows["how2sign test"].state is State.FOUND and "renderer" in rows


def test_a_gpu_that_is_asked_for_has_to_be_there(patient, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    row = patient.examine("deto", "ACCELERATOR=gpu")["GPU"]
    assert row.stops and "finds no GPU" in row.detail and "ACCELERATOR=cpu" in row.advice
    row = patient.examine("deto", "ACCELERATOR=auto")["GPU"]
    assert row.state is State.NOTE and "CPU" in row.detail


def test_body_model_and_side_files(patient):
    folder = patient.folder / "body" / "smplx"
    shutil.copytree(STAND_IN.parent, folder)
    rows = patient.examine("deto")
    assert rows["body model"].state is State.FOUND and rows["side files"].state is State.FOUND
    (folder / "SMPLX_to_J14.pkl").write_bytes(pickle.dumps(np.zeros((14, 3))))
    row = patient.examine("deto")["side files"]
    assert row.state is State.WRONG and "SMPLX_to_J14.pkl" in row.detail and not row.stops
    (folder / "SMPLX_to_J14.pkl").unlink()
    rows = patient.examine("deto")
    assert rows["SMPLX_to_J14.pkl"].state is State.MISSING and stops(rows) == []
    (folder / "SMPLX_NEUTRAL.npz").write_bytes(b"half of it")
    assert stops(patient.examine("deto")) == ["body model"]


def test_letters_that_no_font_has_are_noted(patient, monkeypatch):
    patient.how2sign.annotate([("train0", "今天")])
    monkeypatch.setattr(machine, "find_font", lambda *_: ImageFont.load_default(20))
    row = patient.examine("deto")["font, en"]
    assert row.state is State.NOTE and "今天" in row.detail and "apt install" in row.command


def test_a_broken_renderer_stops_training_and_a_broken_encoder_does_not(patient, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no codec")

    monkeypatch.setattr(machine.Rasterizer, "render", broken)
    monkeypatch.setattr(machine.av.CodecContext, "create", broken, raising=False)
    rows = patient.examine("deto")
    assert stops(rows) == ["renderer"]
    assert rows["video encoder"].state is State.WRONG


def test_loggers_and_memory(patient, monkeypatch):
    usage = shutil._ntuple_diskusage(64 * 2**20, 0, 64 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(settings, "find_spec", lambda name: None if name == "wandb" else name)
    rows = patient.examine("deto", "LOGGER.TYPE=[tensorboard,wandb]", "TRAIN.NUM_WORKERS=4")
    assert stops(rows) == ["logger wandb"] and rows["logger wandb"].command == "pip install wandb"
    assert rows["free disk space"].state is State.NOTE
    if Path("/dev/shm").is_dir():
        assert "64 MB for 4 workers" in rows["shared memory"].detail


def test_a_command_that_is_broken_into_lines_is_the_same_for_a_shell():
    words = ["printf", "%s|", "--cfg", "a b.yaml", *[f"KEY{i}=['x', \"y\"]" for i in range(6)]]
    command = shlex.join(words)
    text = table.pasteable(command, 40)
    assert len(text.splitlines()) > 4
    assert max(map(len, text.splitlines())) <= 40
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.split("|")[:-1] == words[2:]
    assert table.pasteable("python -m train", 40) == "python -m train"
    both = table.pasteable("false && printf 'one two'", 12)
    assert len(both.splitlines()) > 1
    assert subprocess.run(["bash", "-c", both], capture_output=True, check=False).stdout == b""


def test_the_table_marks_what_stops_the_run_apart_from_the_rest():
    rows = [
        Row("a", State.FOUND, "x"),
        Row("b", State.MISSING, "no [b]", "get it:", "python -m b"),
        Row("c", State.WRONG, "y", needed_for="test"),
        Row("d", State.NOTE, "z"),
    ]
    plain = io.StringIO()
    table.show({"One": rows[:2], "Two": rows[2:]}, "start", Console(file=plain, width=70))
    lines = plain.getvalue().splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert [re.split(r"\s{2,}", line)[:2] for line in lines if re.match("[abcd]  ", line)] == [
        ["a", "found"], ["b", "missing"], ["c", "(wrong)"], ["d", "note"]
    ]  # fmt: skip
    assert "no [b]" in plain.getvalue()  # no markup
    assert lines[-2:] == [
        "1 thing is missing or wrong for later steps only.",
        "1 thing is missing or wrong; the run could not start",
    ]
    color = io.StringIO()
    table.show({"One": rows}, "start", Console(file=color, width=70, force_terminal=True))
    red = [word.strip() for word in re.findall(r"\x1b\[1;31m(.*?)\x1b", color.getvalue())]
    assert red == ["missing", "1 thing is missing or wrong; the run could not start"]
    fine = io.StringIO()
    table.show({"One": [rows[0], *rows[2:]]}, "start", Console(file=fine, width=70))
    assert fine.getvalue().splitlines()[-1] == "the run can start: start"
