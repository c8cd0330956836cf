import math

import pytest
import torch

from soke.training.optimization import WarmupCosine, configure
from soke.training.run_checkpoints import (
    check_tokenizer,
    choose_checkpoint,
    last_checkpoint,
    load_weights,
)


def test_warm_up_and_cosine_end_where_they_should():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=2e-4)
    schedule = WarmupCosine(optimizer, total_steps=110, warmup_steps=10, eta_min=1e-6)
    rates = []
    for _ in range(111):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(2e-5) and rates[9] == pytest.approx(2e-4)
    assert rates[60] == pytest.approx(1e-6 + (2e-4 - 1e-6) * 0.5 * (1 + math.cos(math.pi / 2)))
    assert rates[110] == pytest.approx(1e-6)


def test_frozen_parameters_are_left_alone():
    model = torch.nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    built = configure(model.parameters(), torch.optim.SGD, WarmupCosine, 10)
    assert sum(len(group["params"]) for group in built["optimizer"].param_groups) == 1


def test_checkpoints_are_found_or_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="python -m train"):
        choose_checkpoint("", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"TRAIN\.RESUME"):
        last_checkpoint(tmp_path, 5)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    torch.save({"epoch": 3}, folder / "last.ckpt")
    assert choose_checkpoint("", tmp_path).name == "last.ckpt"
    assert last_checkpoint(tmp_path, 4) == (folder / "last.ckpt", 4)
    with pytest.raises(ValueError, match=r"4 epochs behind it, TRAIN\.END_EPOCH is 3"):
        last_checkpoint(tmp_path, 3)
    (folder / "best.ckpt").touch()
    assert choose_checkpoint("", tmp_path).name == "best.ckpt"


def test_a_generator_of_another_tokenizer_is_refused(tmp_path):
    torch.save({"soke": {"tokenizer_sha256": "a" * 64}}, tmp_path / "x.ckpt")
    check_tokenizer(tmp_path / "x.ckpt", "a" * 64)
    with pytest.raises(ValueError, match="another tokenizer"):
        check_tokenizer(tmp_path / "x.ckpt", "b" * 64)


def test_weights_load_strictly(tmp_path):
    model, path = torch.nn.Linear(2, 2), tmp_path / "a.ckpt"
    state = {f"net.{key}": value + 1 for key, value in model.state_dict().items()}
    torch.save({"state_dict": {**state, "other.x": torch.zeros(1)}}, path)
    load_weights(model, path, "net")
    assert torch.equal(model.bias, state["net.bias"])
    del state["net.bias"]
    torch.save({"state_dict": state}, path)
    with pytest.raises(ValueError, match="does not fit the configured net"):
        load_weights(model, path, "net")
