"""Batches of motion and of tokens for training, as the configuration says."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_only
from torch.utils.data import Dataset

from soke.assemble.data import odd_statistics, pose_dataset, read_clips
from soke.assemble.run import Run
from soke.data.clips import (
    Clips,
    summary_table,
    write_summaries,
)
from soke.data.datasets import TokenDataset, collate_poses
from soke.data.listing.annotations import Clip
from soke.data.loader import Collate, SignDataModule
from soke.data.token_files import check_folder
from soke.files import checksum
from soke.generator import PromptBuilder
from soke.generator.prompts import GLOSS_SLOT
from soke.tokenizer import PartTokenizer

log = logging.getLogger(__name__)


@rank_zero_only
def report_data(folder: str | Path, *clips: Clips) -> None:
    """Log what was kept and left out, by reason, and write it to ``data.txt`` and ``data.json``."""
    summaries = [summary for some in clips for summary in some.summaries]
    log.info("\n%s", summary_table(summaries))
    write_summaries(folder, summaries)


def training_clips(run: Run) -> tuple[Clips, Clips]:
    """The clips of training and of validation, reported to the run directory."""
    train = read_clips(run, run.TRAIN.SPLIT)
    val = read_clips(run, run.EVAL.SPLIT)
    report_data(run.folder, train, val)
    return train, val


@rank_zero_only
def _warn_of_statistics(run: Run, clips: Sequence[Clip]) -> None:
    paths = run.DATASET.H2S.MEAN_PATH, run.DATASET.H2S.STD_PATH
    if run.TRAIN.PRETRAINED or not all(Path(path).exists() for path in paths):
        return  # trained weights bring statistics of their own
    for message in odd_statistics(run, clips):
        log.warning("%s and %s: %s; are they of other poses?", *paths, message)


def _data_module(
    run: Run,
    train: Dataset[Any],
    val: Dataset[Any],
    collate_train: Collate,
    collate_val: Collate,
    lengths: np.ndarray | None,
) -> SignDataModule:
    """``lengths`` are frames of the training clips before the length rule."""
    if not run.TRAIN.GROUP_BY_LENGTH:
        lengths = None
    return SignDataModule(
        train,
        val,
        collate_train,
        collate_val,
        run.TRAIN.BATCH_SIZE,
        run.EVAL.BATCH_SIZE,
        run.TRAIN.NUM_WORKERS,
        run.EVAL.NUM_WORKERS,
        None if lengths is None else run.length_limits.sizes(lengths),
        run.SEED_VALUE,
    )


def pose_data(run: Run, tokenizer: PartTokenizer) -> SignDataModule:
    """Batches of motion for the tokenizer."""
    train, val = training_clips(run)
    _warn_of_statistics(run, train)
    crop = run.TRAIN.CROP_FRAMES
    lengths = train.lengths
    if crop is not None and lengths is not None:
        lengths = lengths.clip(max=crop)
    datasets = pose_dataset(run, train, tokenizer, crop), pose_dataset(run, val, tokenizer)
    return _data_module(run, *datasets, collate_poses, collate_poses, lengths)


def token_data(run: Run, prompts: PromptBuilder) -> SignDataModule:
    folder = run.token_folder
    parts = run.parts
    if not check_folder(folder, checksum(run.TRAIN.PRETRAINED_VAE), parts):
        log.warning("%s does not say which tokenizer its tokens come from", folder)
    cache = run.DATASET.CACHE
    train, val = training_clips(run)
    wants_gloss = any(GLOSS_SLOT in template for template in prompts.templates)
    if wants_gloss and not any(clip.gloss for clip in train):
        log.warning(
            "PROMPTS have %s, and no training clip has a gloss; stores that were packed by an "
            "earlier version hold none: remove DATASET.PACKED and run `soke pack` "
            "again",
            GLOSS_SLOT,
        )
    return _data_module(
        run,
        TokenDataset(train, folder, parts, augment=True, cache=cache),
        TokenDataset(val, folder, parts, cache=cache),
        prompts,
        prompts,
        train.lengths,
    )
