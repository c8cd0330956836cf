"""The command that tells how published weights were trained."""

import re

import numpy as np
import pytest
import torch

from soke.assemble.modules import generator_module
from soke.assemble.prompting import prompt_builder
from soke.assemble.run import Run
from soke.cli.embedding_scale import main
from soke.config import load_config
from soke.data.token_files import token_path, write_tokens
from soke.generator.mbart.weights import Weights
from soke.generator.network import SCALE_EMBEDDING
from soke.structures import TokenSample
from tests.prepare.patient import SPLITS

#: Of a clip. Few, so that most of what is to be said depends on the text, thus on the encoder.
STEPS = 2


def trained(whole, which, steps):
    """Published weights that have learned the validation clips with this scale; their loss."""
    config = load_config(whole.folder / "soke.yaml", [f"model.generator.scale_embedding={which}"])
    prompts, draw = prompt_builder(Run(config)), np.random.default_rng(0)
    samples = []
    for corpus in ("how2sign", "phoenix"):
        for i in range(SPLITS["val"]):
            tokens = draw.integers(0, 8, (STEPS, 3))
            write_tokens(token_path(whole.codes, corpus, f"val{i}"), tokens)
            samples.append(TokenSample(f"val{i}", corpus, f"text of val{i}", tokens))
    batch, model = prompts(samples), generator_module(Run(config), prompts).generator.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        model.loss(batch)[0].sum().backward()
        optimizer.step()
    state = Weights.from_network(model.state_dict()).to_transformers()
    path = whole.folder / "published.ckpt"
    state = {f"lm.language_model.main_lm.{key}": value for key, value in state.items()}
    torch.save({"state_dict": state}, path)
    return path, float(model.eval().loss(batch)[0].sum().detach())


def rows(printed):
    """The losses of the table, and which row is marked."""
    lines = re.findall(r"^(\S+) +(\d+\.\d+)(?:  (<- lowest))?$", printed, re.MULTILINE)
    found = {name: float(loss) for name, loss, _ in lines}
    return found, [name for name, _, mark in lines if mark]


@pytest.mark.parametrize("which", [str(which).lower() for which in SCALE_EMBEDDING])
def test_the_scale_of_the_training_is_found(whole, which, capsys):
    path, loss = trained(whole, which, steps=60)
    common = ["--cfg", str(whole.folder / "soke.yaml"), "--nodebug"]
    main([*common, f"TRAIN.PRETRAINED={path}", "EVAL.BATCH_SIZE=3"])
    printed = capsys.readouterr().out
    found, marked = rows(printed)
    assert list(found) == ["true", "false", "encoder", "(guessing)"] and marked == [which]
    assert found[which] == pytest.approx(loss, abs=2e-3)
    assert min(value for key, value in found.items() if key != which) > 2 * loss, found
    assert f"Use model.generator.scale_embedding={which}" in printed
    main([*common, f"TEST.CHECKPOINTS={path}", "--clips", "1"])
    assert rows(capsys.readouterr().out)[1] == [which]


def test_weights_that_know_nothing_are_told(whole, capsys):
    path, _ = trained(whole, "true", steps=0)
    state = torch.load(path)["state_dict"]
    torch.save({"state_dict": {key: 9 * value for key, value in state.items()}}, path)
    main(["--cfg", str(whole.folder / "soke.yaml"), "--nodebug", f"TRAIN.PRETRAINED={path}"])
    printed = capsys.readouterr().out
    assert "None is better than guessing" in printed and "Use model" not in printed


def test_what_is_missing_is_named(whole):
    common = ["--cfg", str(whole.folder / "soke.yaml"), "--nodebug"]
    with pytest.raises(ValueError, match=r"TRAIN\.PRETRAINED=FILE"):
        main(common)
    with pytest.raises(ValueError, match="--clips must be 1 or more"):
        main([*common, "TRAIN.PRETRAINED=x", "--clips", "0"])
    path, _ = trained(whole, "true", steps=0)
    token_path(whole.codes, "phoenix", "val1").unlink()
    with pytest.raises(FileNotFoundError, match="get_motion_code"):
        main([*common, f"TRAIN.PRETRAINED={path}"])
