"""Training in shares of the weights is training, checkpoints and validation included."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from soke.generator import Generator
from soke.training.run_checkpoints import load_weights
from tests.helpers import small_generator
from tests.training.test_resume import clips  # noqa: F401 (a fixture)

ROOT = Path(__file__).parents[2]


def trained(strategy, folder, clips_file, epochs, resume=()):
    command = [
        sys.executable,
        "-m",
        "tests.training.sharded_run",
        strategy,
        clips_file,
        folder,
        epochs,
        *resume,
    ]
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return state, json.loads((folder / "scores.json").read_text())


@pytest.mark.slow
def test_shares_train_as_whole_models_do(tmp_path, clips):  # noqa: F811
    """Eleven clips on two processes: in validation one has more batches than the other."""
    file = tmp_path / "clips.pkl"
    file.write_bytes(pickle.dumps(clips))
    whole, scores = trained("ddp", tmp_path / "ddp", file, 2)
    trained("fsdp", tmp_path / "fsdp", file, 1)
    last = tmp_path / "fsdp" / "checkpoints" / "last.ckpt"
    shared, found = trained("fsdp", tmp_path / "fsdp", file, 2, [last])
    assert scores.keys() == found.keys() and "val/DTW_JPE_hands" in scores
    for name, value in scores.items():
        assert found[name] == pytest.approx(value, rel=1e-4), name
    assert whole["state_dict"].keys() == shared["state_dict"].keys()
    for name, value in whole["state_dict"].items():
        torch.testing.assert_close(shared["state_dict"][name], value, atol=1e-5, rtol=1e-4)
    states = [content["optimizer_states"][0]["state"] for content in (whole, shared)]
    for index, state in states[0].items():
        torch.testing.assert_close(states[1][index]["exp_avg"], state["exp_avg"])
    model: Generator = small_generator(tmp_path / "mbart")[0]
    load_weights(model, last, "generator")
