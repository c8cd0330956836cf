"""Trained tokenizers leave in the published layout and as safetensors, and come back the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.plain_tokenizer import NAMINGS, published_networks, published_state
from soke.cli.export import tokenizer as main
from soke.tokenizer import load_tokenizer
from tests.tokenizer.models import clips_of, tokenizer_of, train_step

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkpoint(tmp_path):
    def write(kind="ema_reset"):
        tokenizer = tokenizer_of(kind, mean=torch.randn(133), std=torch.rand(133) + 0.5)
        train_step(tokenizer, torch.optim.SGD(tokenizer.parameters(), 0.1), clips_of([32, 16]))
        state = {f"tokenizer.{key}": value for key, value in tokenizer.state_dict().items()}
        path = tmp_path / "best.ckpt"
        torch.save({"state_dict": state, "soke": {"tokenizer": tokenizer.description()}}, path)
        return path

    return write


def export(source, out, *more):
    main(["--checkpoint", str(source), "--out", str(out), *map(str, more)])


@pytest.mark.parametrize("kind", ["ema_reset", "orig"])
@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@torch.no_grad()
def test_round_trip(tmp_path, checkpoint, kind, suffix):
    with torch.enable_grad():
        source = checkpoint(kind)
    out = tmp_path / "deep" / f"tokenizer{suffix}"
    export(source, out)
    before, after = load_tokenizer(source), load_tokenizer(out)
    motion = before.normalize(torch.randn(2, 24, 133))
    assert torch.equal(after.normalize(torch.ones(133)), before.normalize(torch.ones(133)))
    tokens = before.encode(motion)
    assert torch.equal(after.encode(motion), tokens)
    assert torch.equal(after.decode(tokens), before.decode(tokens))
    assert after.parts.same_codes(before.parts)
    again = tmp_path / f"again{suffix}"
    export(out, again)
    for key, value in load_tokenizer(again).state_dict().items():
        assert torch.equal(value, after.state_dict()[key]), key


def test_safetensors_holds_what_the_published_layout_cannot(tmp_path, checkpoint):
    source = checkpoint("rvq")
    with pytest.raises(ValueError, match="cannot hold the quantizer 'rvq'"):
        export(source, tmp_path / "a.ckpt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.ckpt"]  # nothing half done
    export(source, tmp_path / "a.safetensors")
    assert load_tokenizer(tmp_path / "a.safetensors").arguments["quantizer"] == "rvq"


def test_nothing_is_overwritten(tmp_path, checkpoint):
    out = tmp_path / "a.ckpt"
    out.write_bytes(b"mine")
    with pytest.raises(ValueError, match="exists"):
        export(checkpoint(), out)
    assert out.read_bytes() == b"mine"
    with pytest.raises(ValueError, match=r"one of \['.ckpt', '.safetensors'\]"):
        export(checkpoint(), tmp_path / "a.pt")


def test_a_published_checkpoint_takes_its_statistics_along(tmp_path):
    torch.save(
        {"state_dict": published_state(published_networks(), NAMINGS[1])}, tmp_path / "p.ckpt"
    )
    mean, std = torch.randn(179), torch.rand(179) + 0.5
    torch.save(mean, tmp_path / "mean.pt")
    torch.save(std, tmp_path / "std.pt")
    export(
        tmp_path / "p.ckpt",
        tmp_path / "a.safetensors",
        "--mean",
        tmp_path / "mean.pt",
        "--std",
        tmp_path / "std.pt",
    )
    loaded = load_tokenizer(tmp_path / "a.safetensors")
    expected = load_tokenizer(tmp_path / "p.ckpt", mean, std)
    for key, value in expected.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key


def test_the_command_ends_in_one_message(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "prepare.export_tokenizer",
            "--checkpoint",
            str(tmp_path / "none.ckpt"),
            "--out",
            str(tmp_path / "a.ckpt"),
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "error: The tokenizer's checkpoint not found" in done.stderr
