"""Compute mean and deviation of the poses over the training split of the configured data sets.

    soke statistics --cfg configs/deto.yaml

Every frame of every usable training clip counts once, after the frame-rate rule. Written are
DATASET.H2S.MEAN_PATH and STD_PATH, two float32 tensors of 179 numbers, the format of the released
poses. The sums are kept in float64 clip by clip and joined pairwise (Chan, Golub, LeVeque, 1983),
so nothing is lost by cancellation. Files that are there are kept unless --force is given.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from rich.progress import track

from soke.assemble.data import clip_source, list_or_open
from soke.assemble.run import Run
from soke.data.motion.plausibility import Oddities
from soke.data.pose_statistics import Moments, save_statistics
from soke.data.scan import read_all

log = logging.getLogger(__name__)


def moments(run: Run) -> Iterator[Moments]:
    """The moments of every usable training clip."""
    sources = [clip_source(run, corpus, run.TRAIN.SPLIT) for corpus in run.corpora.values()]
    for source in sources:
        clips, dropped = list_or_open(run, source)
        readings = track(
            read_all(clips, run.TRAIN.NUM_WORKERS), f"reading {source.corpus}", len(clips)
        )
        odd = Oddities()
        for reading, clip in zip(readings, clips):
            if reading.frames is not None:
                odd.add(clip.name, reading.odd)
                yield Moments.of(reading.frames)
            else:
                dropped.fault(ValueError(reading.fault), reading.reason)
        odd.warn(f"{source.corpus} {run.TRAIN.SPLIT}")
        log.info("%s: left out: %s", source.corpus, dict(dropped) or "nothing")


def write(run: Run, force: bool) -> None:
    """Write both files. Raises ``ValueError`` if they exist, unless ``force``."""
    paths = [Path(run.DATASET.H2S[key]) for key in ("MEAN_PATH", "STD_PATH")]
    there = [str(path) for path in paths if path.exists()]
    if there and not force:
        raise ValueError(
            f"{' and '.join(there)} exist already; --force writes over them, or name others with "
            "DATASET.H2S.MEAN_PATH=... DATASET.H2S.STD_PATH=..."
        )
    frames = save_statistics(moments(run), *paths)
    log.info("mean and deviation of %d frames in %s and %s", frames, *paths)
