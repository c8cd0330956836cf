"""What the doctor says of the machine: GPU, body model, fonts, renderer, loggers, memory."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import ImageFont

from soke.body import STAND_IN
from soke.cli.doctor import machine, settings
from soke.cli.doctor.rows import State
from tests.prepare.patient import stops


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
