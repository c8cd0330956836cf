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

from omegaconf import DictConfig
from rich.progress import track

from soke import assemble as build
from soke.data.motion.plausibility import Oddities
from soke.data.pose_statistics import Moments, save_statistics
from soke.data.scan import read_all

log = logging.getLogger(__name__)


def moments(config: DictConfig) -> Iterator[Moments]:
    """The moments of every usable training clip."""
    sources = [
        build.clip_source(config, corpus, config.TRAIN.SPLIT)
        for corpus in build.corpora(config).values()
    ]
    for source in sources:
        clips, dropped = build.list_or_open(config, source)
        readings = track(
            read_all(clips, config.TRAIN.NUM_WORKERS), f"reading {source.corpus}", len(clips)
        )
        odd = Oddities()
        for reading, clip in zip(readings, clips):
            if reading.fault is None:
                odd.add(clip.name, reading.odd)
                yield Moments.of(reading.frames)
            else:
                dropped.fault(ValueError(reading.fault), reading.reason)
        odd.warn(f"{source.corpus} {config.TRAIN.SPLIT}")
        log.info("%s: left out: %s", source.corpus, dict(dropped) or "nothing")


def write(config: DictConfig, force: bool) -> None:
    """Write both files. Raises ``ValueError`` if they exist, unless ``force``."""
    paths = [Path(config.DATASET.H2S[key]) for key in ("MEAN_PATH", "STD_PATH")]
    there = [str(path) for path in paths if path.exists()]
    if there and not force:
        raise ValueError(
            f"{' and '.join(there)} exist already; --force writes over them, or name others with "
            "DATASET.H2S.MEAN_PATH=... DATASET.H2S.STD_PATH=..."
        )
    frames = save_statistics(moments(config), *paths)
    log.info("mean and deviation of %d frames in %s and %s", frames, *paths)
