"""What the doctor says of the machine: GPU, body model, fonts, renderer, loggers, memory."""

import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import torch

from soke.body import STAND_IN
from soke.cli.doctor import machine
from soke.cli.doctor.rows import MISSING, NOTE, OK, WRONG
from soke.visualization import captions
from tests.prepare.patient import stops, training_starts


def test_a_gpu_that_is_asked_for_has_to_be_there(patient, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    row = patient.examine("deto", "ACCELERATOR=gpu")["GPU"]
    assert row.stops and "finds no GPU" in row.detail and "ACCELERATOR=cpu" in row.detail
    row = patient.examine("deto", "ACCELERATOR=auto")["GPU"]
    assert row.state == NOTE and "runs on the CPU" in row.detail


def test_what_the_network_cannot_do_stops_the_run(patient):
    rows = patient.examine("deto", "TRAIN.CHECKPOINT_ACTIVATIONS=true")
    assert stops(rows) == ["strategy"] and "TRAIN.BATCH_SIZE" in rows["strategy"].detail
    rows = patient.examine("deto", "TRAIN.STRATEGY=fsdp")
    assert stops(rows) == ["strategy"] and "use ddp" in rows["strategy"].detail


def test_body_model_and_side_files(patient):
    folder = patient.folder / "body" / "smplx"
    shutil.copytree(STAND_IN.parent, folder)
    rows = patient.examine("deto")
    assert rows["body model"].state == rows["side files"].state == OK
    (folder / "SMPLX_to_J14.pkl").write_bytes(pickle.dumps(np.zeros((14, 3))))
    row = patient.examine("deto")["side files"]
    assert row.state == WRONG and "SMPLX_to_J14.pkl" in row.detail and not row.stops
    (folder / "SMPLX_to_J14.pkl").unlink()
    rows = patient.examine("deto")
    assert rows["side files"].state == MISSING and stops(rows) == []
    assert "SMPLX_to_J14.pkl" in rows["side files"].detail
    assert "smpl-x.is.tue.mpg.de" in rows["side files"].detail
    (folder / "SMPLX_NEUTRAL.npz").write_bytes(b"half of it")
    assert stops(patient.examine("deto")) == ["body model"]
    assert not training_starts(patient, "deto")


def test_letters_that_no_font_has_are_noted(patient, monkeypatch):
    patient.how2sign.annotate([("train0", "今天")])
    monkeypatch.setattr(captions, "_candidates", lambda _: iter(()))
    row = patient.examine("deto")["fonts"]
    assert row.state == NOTE and "今天" in row.detail and "apt install" in row.detail


def test_a_broken_renderer_stops_training_and_a_broken_encoder_does_not(patient, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no codec")

    monkeypatch.setattr(machine.Rasterizer, "render", broken)
    monkeypatch.setattr(machine, "write_video", broken)
    rows = patient.examine("deto")
    assert stops(rows) == ["renderer"]
    assert rows["video encoder"].state == WRONG and "no codec" in rows["video encoder"].detail


def test_loggers_and_memory(patient, monkeypatch):
    usage = shutil._ntuple_diskusage(64 * 2**20, 0, 64 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setitem(sys.modules, "wandb", None)
    rows = patient.examine("deto", "LOGGER.TYPE=[tensorboard,wandb]", "TRAIN.NUM_WORKERS=4")
    assert stops(rows) == ["loggers"] and "pip install wandb" in rows["loggers"].detail
    assert rows["free disk space"].state == NOTE
    if Path("/dev/shm").is_dir():
        assert "64 MB for 4 workers" in rows["GPU"].detail
