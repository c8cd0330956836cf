"""A small project in a folder for the tests of the doctor, and what is done to it."""

import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf

from soke.assemble.modules import generator_module, tokenizer_module
from soke.assemble.process import check_new_run
from soke.assemble.prompting import prompt_builder
from soke.assemble.run import Run
from soke.assemble.training_data import pose_data, token_data
from soke.cli.doctor.__main__ import check_all, parse
from soke.cli.main import COMMANDS
from soke.config import parse_command_line
from soke.data.token_files import claim_folder, write_tokens
from soke.files import checksum
from soke.parts import PartTable
from tests.data.conftest import CorpusWriter, motion
from tests.helpers import THREE_PARTS, mbart_folder, small_tokenizer

ROOT = Path(__file__).parents[2]
SPLITS = {"train": 3, "val": 2, "test": 1}


class Patient:
    """A small project in a folder: two corpora, statistics, and two configurations."""

    def __init__(self, folder):
        self.folder = folder
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
        run = parse(["--cfg", str(self.folder / f"{name}.yaml"), *words])
        rows = [row for own in check_all(run)[0].values() for row in own]
        return {row.what: row for row in sorted(rows, key=lambda row: row.failed)}


def stops(rows):
    return sorted(row.what for row in rows.values() if row.stops)


def training_starts(patient, name, *words):
    """Whether training can build its parts and read its data, as `python -m train` does."""
    arguments = ["--cfg", str(patient.folder / f"{name}.yaml"), "--nodebug", *words]
    config, _ = parse_command_line("", None, arguments)
    try:
        check_new_run(Run(config))
        if config.TRAIN.STAGE == "vae":
            module = tokenizer_module(Run(config))
            data = pose_data(Run(config), module.tokenizer)
        else:
            prompts = prompt_builder(Run(config))
            data = token_data(Run(config), prompts)
            generator_module(Run(config), prompts)
        return [len(list(data.train_dataloader())), len(list(data.val_dataloader()))] > [0, 0]
    except Exception:  # whatever stops it
        return False


def follow(row, patient, name, monkeypatch, *words):
    """Run the first command that a row names with the options of the configuration."""
    command = r"`(?:python -m ([\w.]+)|soke ([\w-]+)) ?([^`]*)`"
    module, subcommand, arguments = re.search(command, row.detail).groups()
    module = module or COMMANDS[subcommand].module
    flags = [word for word in arguments.split() if word not in ("--cfg", "...", "--nodebug")]
    options = ["--cfg", str(patient.folder / f"{name}.yaml"), "--nodebug", *words]
    monkeypatch.setattr(sys, "argv", [module, *options, *flags])
    importlib.import_module(module).main()


def gone(path):
    return lambda patient: (patient.folder / path).unlink()


def spoiled(path):
    return lambda patient: (patient.folder / path).write_bytes(b"no such thing")


CSV = "data/How2Sign/{0}/re_aligned/how2sign_realigned_{0}_preprocessed_fps.csv"
