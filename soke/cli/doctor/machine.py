"""The place of the run, the body model, the hardware, and what pictures and videos need."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import lightning as L
import numpy as np
import torch

from soke.assemble.models import load_body
from soke.assemble.process import check_new_run, lightning_devices
from soke.assemble.trainer import build_loggers
from soke.body import STAND_IN
from soke.cli.doctor.rows import warn
from soke.cli.doctor.run import CheckedRun
from soke.metrics.surface_points import score_points
from soke.training.run_checkpoints import last_checkpoint
from soke.visualization import Camera, Rasterizer, find_font, write_video

_GIGABYTE = 2**30
_LITTLE_DISK = 10 * _GIGABYTE  # bytes: a few checkpoints of the large generator
#: Texts of a split whose letters are looked for in fonts.
_TEXTS = 500


def run_directory(run: CheckedRun) -> str:
    check_new_run(run)
    end = run.TRAIN.END_EPOCH
    if run.TRAIN.RESUME:
        path, epochs = last_checkpoint(run.TRAIN.RESUME, end)
        return f"{path}, {epochs} of {end} epochs done"
    folder = run.folder
    there = (folder / "checkpoints").exists()
    return f"{folder}, {'a trial writes over it' if there else 'new'}"


def disk_space(run: CheckedRun) -> str:
    folder = run.folder.absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    elsewhere = "write elsewhere: OUTPUT.EXPERIMENTS=... TEST.FOLDER=... OUTPUT.VISUALIZE=..."
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise ValueError(f"{there} cannot be written to; {elsewhere}")
    free = shutil.disk_usage(there).free
    if free < _LITTLE_DISK:
        warn(f"this is little for checkpoints; {elsewhere}")
    return f"{free / _GIGABYTE:,.1f} GB for {folder}"


def loggers(run: CheckedRun) -> str:
    build_loggers(run, run.folder)
    return ", ".join(run.LOGGER.TYPE) or "none"


def body(run: CheckedRun) -> str:
    model = load_body(run)
    if model.path == STAND_IN:
        place = Path(run.BODY.MODEL_DIR) / "smplx"
        warn(
            "scores are not comparable; for SMPL-X register at https://smpl-x.is.tue.mpg.de and "
            f"put SMPLX_NEUTRAL.npz into {place}"
        )
    return f"{model.name}, {model.path}"


def side_files(run: CheckedRun) -> str:
    """What the reconstruction scores read beside the body model."""
    return ", ".join(score_points(load_body(run)))


def devices(run: CheckedRun) -> str:
    """Where training computes, and the memory that loaders share."""
    kind, chosen = lightning_devices(run)
    # Lightning knows best which devices and precisions go together.
    L.Fabric(accelerator=kind, devices=chosen, precision=run.PRECISION)
    if kind == "cpu" and run.ACCELERATOR != "cpu":
        warn("training runs on the CPU; for a GPU install its driver and a CUDA build of torch")
    shared = Path("/dev/shm")
    workers = max(run.TRAIN.NUM_WORKERS, run.EVAL.NUM_WORKERS)
    if workers and shared.is_dir() and shutil.disk_usage(shared).total < _GIGABYTE:
        size = shutil.disk_usage(shared).total / 2**20
        warn(
            f"{shared} has {size:.0f} MB for {workers} workers: docker run --shm-size=8g, or "
            "TRAIN.NUM_WORKERS=0 EVAL.NUM_WORKERS=0"
        )
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    names = [f"{gpu.name}, {gpu.total_memory / _GIGABYTE:.0f} GB" for gpu in gpus]
    cuda = torch.version.cuda
    build = f"torch {torch.__version__}, {f'built for CUDA {cuda}' if cuda else 'a CPU build'}"
    asked = f"ACCELERATOR={run.ACCELERATOR}, {run.PRECISION}"
    return f"{', '.join(names) or 'none there'}; {asked}; {build}"


def renderer(_: CheckedRun) -> str:
    """Draw one triangle: training renders a sample at every validation."""
    corners = np.array([[-1.0, -1, 0], [1, -1, 0], [0, 1, 0]])
    camera = Camera((0.0, 0.0, 0.0), 4.0, 32, 32)
    colors = np.tile([1.0, 0.0, 0.0], (3, 1))
    frame = Rasterizer(np.array([[0, 1, 2]]), threads=1).render(corners, camera, colors)
    red = (frame[..., 0].astype(int) - frame[..., 2] > 50).mean()
    if not 0.02 < red < 0.5:
        raise ValueError(f"a red triangle fills {red:.0%} of its picture; reinstall numba")
    return "draws a triangle on the CPU"


def encoder(_: CheckedRun) -> str:
    with tempfile.TemporaryDirectory() as folder:
        write_video(Path(folder) / "frame.mp4", [np.zeros((32, 32, 3), np.uint8)], fps=25)
    return "writes H.264"


def fonts(run: CheckedRun) -> str:
    """Whether captions of each corpus have a font with all their letters."""
    found = []
    for corpus in run.corpora.values():
        texts = [corpus.keyword_prompt]
        for (name, _), own in run.clips.items():
            if name == corpus.name:
                texts += [clip.text for clip in own[:_TEXTS]]
        font = find_font("".join(sorted(set("".join(texts)))), 20, run.RENDER.FONT)
        where = font.path if isinstance(font.path, str) else "the one within Pillow"
        found.append(f"{where} for {corpus.name}")
    return ", ".join(dict.fromkeys(found))
