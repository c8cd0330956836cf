"""The body model, the hardware, and what pictures and videos need."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import av
import lightning as L
import numpy as np
import torch

from soke.assemble.process import accelerator
from soke.body import STAND_IN, BodyModel, locate_body_model
from soke.cli.doctor.data import Listed
from soke.cli.doctor.rows import (
    TEST,
    VIDEOS,
    Fix,
    Row,
    examine,
    found,
    missing,
    note,
    quiet,
)
from soke.cli.doctor.run import Run
from soke.data.corpora import Corpus
from soke.metrics.surface import score_points
from soke.visualization import Camera, Rasterizer, find_font
from soke.visualization.captions import missing_letters

_SITE = "https://smpl-x.is.tue.mpg.de"
_SIDE_FILES = ("SMPLX_to_J14.pkl", "MANO_SMPLX_vertex_ids.pkl", "SMPL-X__FLAME_vertex_ids.npy")
#: Texts of a corpus whose letters are looked for in fonts.
_TEXTS = 500
_GIGABYTE = 2**30


def body(run: Run) -> list[Row]:
    """The body model and the side files of the reconstruction scores."""
    folder = Path(run.config.BODY.MODEL_DIR) / "smplx"
    path = locate_body_model(run.config.BODY.MODEL_DIR)
    fetch = Fix(f"For SMPL-X: register at {_SITE} and put SMPLX_NEUTRAL.npz into {folder}")

    def look() -> Row:
        with quiet():
            model = BodyModel(path)
        if path == STAND_IN:
            return note("body model", f"{model.name}: scores are not comparable", fetch)
        return found("body model", f"{model.name}, {path}")

    row = examine(look, "body model", fetch)
    return [row] if row.stops else [row, *_side_files(path)]


def _side_files(path: Path) -> list[Row]:
    fix = Fix(f"Download it from {_SITE} (or with ExPose) and put it into {path.parent}")
    gone = [name for name in _SIDE_FILES if not (path.parent / name).is_file()]
    if gone:
        return [missing(name, f"no {path.parent / name}", fix, TEST) for name in gone]

    def look() -> Row:
        score_points(BodyModel(path))
        return found("side files", ", ".join(_SIDE_FILES), TEST)

    return [examine(look, "side files", fix, TEST)]


def hardware(run: Run) -> list[Row]:
    """Where training computes, and the memory that loaders share."""
    rows = [_devices(run)]
    shared = Path("/dev/shm")
    workers = max(run.config.TRAIN.NUM_WORKERS, run.config.EVAL.NUM_WORKERS)
    if workers and shared.is_dir() and shutil.disk_usage(shared).total < _GIGABYTE:
        size = shutil.disk_usage(shared).total / 2**20
        fix = Fix("docker run --shm-size=8g, or TRAIN.NUM_WORKERS=0 EVAL.NUM_WORKERS=0")
        rows.append(note("shared memory", f"/dev/shm has {size:.0f} MB for {workers} workers", fix))
    return rows


def _devices(run: Run) -> Row:
    config, count = run.config, torch.cuda.device_count()
    gpus = [torch.cuda.get_device_properties(i) for i in range(count)]
    names = ", ".join(f"{i}: {gpu.name}, {gpu.total_memory / _GIGABYTE:.0f} GB"
                      for i, gpu in enumerate(gpus))  # fmt: skip
    cuda = torch.version.cuda
    built = f"torch {torch.__version__}, " + (f"built for CUDA {cuda}" if cuda else "a CPU build")
    install = "install the driver and a CUDA build of torch (requirements.txt)"
    fix = Fix(
        "Choose GPUs that are there with --device, train on the CPU with ACCELERATOR=cpu, or "
        f"{install}"
    )

    def look() -> Row:
        kind, devices = accelerator(config)
        with quiet("lightning.pytorch"), quiet("lightning.pytorch.utilities.rank_zero"):
            # Lightning knows best which devices and precisions go together.
            L.Trainer(
                accelerator=kind, devices=devices, precision=config.PRECISION, logger=False,
                enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            )  # fmt: skip
        asked = f"ACCELERATOR={config.ACCELERATOR}, {config.PRECISION}"
        detail = f"{names or 'none there'}; {asked}; {built}"
        if kind == "cpu" and config.ACCELERATOR != "cpu":
            advice = Fix(f"Where there is a GPU: {install}")
            return note("GPU", f"{detail}. Training runs on the CPU", advice)
        return found("GPU", detail)

    return examine(look, "GPU", fix)


def pictures(run: Run, listed: Listed) -> list[Row]:
    """Renderer, video encoder and fonts. Training renders a sample at every validation."""
    install = Fix(command="pip install -r requirements.txt")
    return [
        examine(_renderer, "renderer", install),
        examine(_encoder, "video encoder", install, VIDEOS),
        *(_font(run, corpus, listed) for corpus in run.corpora.values()),
    ]


def _renderer() -> Row:
    """Draw one triangle."""
    corners = np.array([[-1.0, -1, 0], [1, -1, 0], [0, 1, 0]])
    frame = Rasterizer(np.array([[0, 1, 2]]), threads=1).render(
        corners, Camera((0.0, 0.0, 0.0), 4.0, 32, 32), np.tile([1.0, 0.0, 0.0], (3, 1))
    )
    red = (frame[..., 0].astype(int) - frame[..., 2] > 50).mean()
    if not 0.02 < red < 0.5:
        raise ValueError(f"a red triangle fills {red:.0%} of its picture")
    return found("renderer", "draws a triangle on the CPU")


def _encoder() -> Row:
    """Encode one frame as `soke.visualization.write_video` does."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width = encoder.height = 32
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
    packets = encoder.encode(frame.reformat(format="yuv420p")) + encoder.encode()
    if not sum(packet.size for packet in packets):
        raise ValueError("libx264 gave no data")
    return found("video encoder", f"libx264 of PyAV {av.__version__}", VIDEOS)


def _font(run: Run, corpus: Corpus, listed: Listed) -> Row:
    """Whether captions of a corpus have a font with all their letters."""
    what, named = f"font, {corpus.language}", run.config.RENDER.FONT
    fix = Fix("Name a font file that exists with RENDER.FONT=..., or drop it")

    def look() -> Row:
        texts = [corpus.keyword_prompt]
        for (name, _), clips in listed.items():
            texts += [clip.text for clip in clips[:_TEXTS]] if name == corpus.name else []
        letters = "".join(sorted(set("".join(texts))))
        with quiet():
            font = find_font(letters, 20, named)
        path = Path(font.path) if isinstance(font.path, str) else None
        lacking = missing_letters(letters, path)
        where = f"{path or 'the one within Pillow'} for {corpus.name}"
        if lacking:
            install = Fix(
                "Name a font file that has them with RENDER.FONT=..., or install one:",
                "sudo apt install fonts-wqy-microhei fonts-dejavu-core",
            )
            return note(what, f"{where} shows boxes for {lacking[:20]}", install)
        return found(what, where, VIDEOS)

    return examine(look, what, fix)
