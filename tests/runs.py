"""A run of a generator that is small enough for a test: random weights, real files."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from omegaconf import OmegaConf

from soke.assemble.prompting import prompt_builder
from soke.assemble.run import Run
from soke.config import load_config
from soke.generator import MultiHeadGenerator, read_config
from soke.tokenizer import save_safetensors
from tests.helpers import THREE_PARTS, mbart_folder, small_tokenizer


def small_run(folder: Path) -> Path:
    """A YAML file whose run, ``folder/experiments/small``, has a checkpoint and its config.yaml.

    The English dictionary has the sign of one word, "fox". Clips are 8 to 12 tokens long.
    """
    tokenizer, dictionary = folder / "tokenizer.safetensors", folder / "word2code.json"
    save_safetensors(small_tokenizer(), tokenizer)
    sign = {part["name"]: [1, 2, 3] for part in THREE_PARTS}
    dictionary.write_text(json.dumps({"fox": sign}), encoding="utf-8")
    content = {
        "NAME": "small",
        "ACCELERATOR": "cpu",
        "TRAIN": {"STAGE": "lm_pretrain", "PRETRAINED_VAE": str(tokenizer)},
        "TEST": {"BATCH_SIZE": 2},
        "PARTS": THREE_PARTS,
        "CORPORA": {
            name: {"dictionary": str(dictionary) if name == "how2sign" else None}
            for name in ("how2sign", "csl", "phoenix")
        },
        "OUTPUT": {"EXPERIMENTS": str(folder / "experiments"), "VISUALIZE": str(folder / "shown")},
        "model": {
            "generator": {
                "folder": str(mbart_folder(folder / "mbart")),
                "pretrained": False,
                "decoding": {"params": {"max_steps": 12, "min_steps": 8}},
            }
        },
    }
    path = folder / "small.yaml"
    OmegaConf.save(OmegaConf.create(content), path)
    _write_checkpoint(path)
    return path


def _write_checkpoint(path: Path) -> None:
    config = load_config(path)
    vocabulary = prompt_builder(Run(config)).vocabulary
    torch.manual_seed(1)
    model = MultiHeadGenerator(vocabulary, read_config(config.model.generator.folder))
    for parameter in model.parameters():  # far from the near-uniform start, so that choices differ
        if parameter.requires_grad and parameter.ndim > 1:
            parameter.data.mul_(4)
    run = Run(config).folder
    (run / "checkpoints").mkdir(parents=True)
    OmegaConf.save(config, run / "config.yaml")
    state = {f"generator.{key}": value for key, value in model.state_dict().items()}
    torch.save({"state_dict": state}, run / "checkpoints" / "best.ckpt")
