"""Token files and motion files."""

import numpy as np
import pytest
import torch

from soke.assemble.run import Run
from soke.cli.show.motions import render_motion, render_tokens
from soke.cli.show.output import Output
from soke.config import load_config
from soke.data.motion_files import SignedText, write_motion
from soke.data.token_files import write_tokens
from soke.files import MissingAssetError
from soke.parts import features_to_frames
from tests.pictures.test_texts import run_verb


def test_tokens_are_decoded(small, tmp_path, filmed, monkeypatch):
    tokens = np.arange(15).reshape(5, 3) % 4
    write_tokens(tmp_path / "mine.npy", tokens)
    run_verb(
        monkeypatch,
        small,
        "--tokens",
        str(tmp_path / "mine.npy"),
        "--lang",
        "de",
        "--out",
        str(tmp_path),
    )
    [system] = filmed[0]["clip"].systems
    assert system.motion.shape == (20, 133) and system.tokens.tolist() == tokens.tolist()
    assert filmed[0]["clip"].language == "de" and filmed[0]["path"] == tmp_path / "mine.mp4"
    config = load_config(small)
    with pytest.raises(MissingAssetError, match="The token file"):
        render_tokens(Run(config), tmp_path / "none.npy", Output(tmp_path))
    write_tokens(tmp_path / "wide.npy", np.zeros((5, 2), int))
    with pytest.raises(ValueError, match=r"wide\.npy"):
        render_tokens(Run(config), tmp_path / "wide.npy", Output(tmp_path))


def test_motion_that_was_written_here(small, tmp_path, filmed):
    motion = np.random.default_rng(0).normal(size=(6, 133)).astype(np.float32)
    signed = SignedText("Grüße", "de", np.zeros((1, 3), int), motion, ("a",), ("b",), 25.0)
    write_motion(tmp_path / "x.npz", signed, np.zeros(10), np.full(90, 0.1), "another body")
    render_motion(Run(load_config(small)), tmp_path / "x.npz", Output(tmp_path / "out"))
    clip = filmed[0]["clip"]
    np.testing.assert_allclose(clip.systems[0].motion, motion, atol=1e-6)
    assert clip.text == "Grüße" and clip.keywords == ("a",) and clip.missing == ("b",)


def test_a_clip_of_a_data_set(small, tmp_path, filmed):
    motion = torch.randn(6, 133, generator=torch.Generator().manual_seed(0))
    np.save(tmp_path / "clip.npy", features_to_frames(motion, torch.zeros(10)).numpy())
    render_motion(Run(load_config(small)), tmp_path / "clip.npy", Output(tmp_path / "out"))
    clip = filmed[0]["clip"]
    np.testing.assert_allclose(clip.systems[0].motion, motion, atol=1e-6)
    assert clip.text == "clip.npy" and clip.fps == 25


def test_other_files_are_refused(small, tmp_path):
    config = load_config(small)
    np.savez(tmp_path / "smplh.npz", poses=np.zeros((5, 156)), mocap_framerate=30)
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04")
    for name in ("smplh.npz", "torn.npz"):
        with pytest.raises(ValueError, match=name):
            render_motion(Run(config), tmp_path / name, Output(tmp_path))
    with pytest.raises(MissingAssetError, match="The motion not found"):
        render_motion(Run(config), tmp_path / "none.npz", Output(tmp_path))
