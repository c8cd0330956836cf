"""Corpora, clips, data sets and loaders, as the configuration says."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from soke.assemble.run import Run
from soke.body import locate_body_model
from soke.body.model_files import relaxed_hands
from soke.config import DEBUG_CLIPS
from soke.data.clips import (
    OTHER_TEXT,
    Clips,
    Group,
    Summary,
    describe_sources,
    squeezed,
    summary_table,
)
from soke.data.corpora import Corpus
from soke.data.datasets import PoseDataset, collate_poses
from soke.data.freshness import open_shard
from soke.data.layouts import layout_named
from soke.data.listing.annotations import SIGNS, Clip, DropCounts
from soke.data.listing.sources import Source
from soke.data.motion.hands import Hands
from soke.data.motion.plausibility import compare_statistics
from soke.data.pose_statistics import read_statistics
from soke.data.scan import read_all, survey
from soke.data.store import Shard
from soke.data.token_files import claim_folder
from soke.files import checksum
from soke.tokenizer import PartTokenizer

log = logging.getLogger(__name__)

#: Clips that are compared with the statistics of the poses.
_SAMPLE = 20


def clip_source(run: Run, corpus: Corpus, split: str) -> Source:
    """Where a corpus has the clips of a split, or its isolated signs, and how they are read."""
    hands = None
    if layout_named(corpus.layout).own:
        body = locate_body_model(run.BODY.MODEL_DIR)
        hands = Hands(corpus.hands, relaxed_hands(body))
    return Source(
        corpus=corpus.name,
        layout=corpus.layout,
        root=corpus.root,
        split=split,
        fps=corpus.fps,
        language=corpus.language,
        signs=corpus.signs if split == SIGNS else None,
        template=corpus.annotation,
        max_seconds=corpus.max_seconds,
        hands=hands,
        mend_text=corpus.mend_text,
    )


def read_clips(run: Run, split: str) -> Clips:
    """The clips of a split over all chosen corpora; a debug run takes the first few."""
    clips = Clips([read_group(run, corpus, split) for corpus in run.corpora.values()])
    if not clips:
        table = summary_table(clips.summaries)
        raise ValueError(f"no clip of the split {split!r} can be used:\n{table}")
    return clips


def read_signs(run: Run, corpus: Corpus) -> Clips:
    """The isolated signs of a corpus, or none where it lists none."""
    return Clips([] if corpus.signs is None else [read_group(run, corpus, SIGNS)])


def open_packed(run: Run, source: Source) -> Shard | None:
    """The shard that training reads in place of a source; raises like `open_shard`."""
    data = run.DATASET
    return open_shard(data.PACKED, source, data.CHECK_POSES, run.TRAIN.NUM_WORKERS)


def list_or_open(run: Run, source: Source) -> tuple[Sequence[Clip], DropCounts]:
    """The clips of a source: from the packed store where there is one, else as they lie on disk."""
    shard = open_packed(run, source)
    return source.list_clips() if shard is None else (shard, shard.dropped)


def read_group(run: Run, corpus: Corpus, split: str, read_poses: bool | None = None) -> Group:
    """The clips of one split of a corpus, and what is known of them.

    The poses of a packed store were read when it was made. Others are read now if ``read_poses``,
    or where that is None, if ``DATASET.CHECK_POSES`` says so.
    """
    if read_poses is None:
        read_poses = run.DATASET.CHECK_POSES
    clips, dropped = list_or_open(run, clip_source(run, corpus, split))
    first = DEBUG_CLIPS if run.DEBUG else None
    pattern = None if split == SIGNS else _text_pattern(run)
    if isinstance(clips, Shard):
        return _with_squeezed(run, clips.group().with_text(pattern).first(first))
    if pattern is not None:
        everything = clips
        clips = [clip for clip in clips if pattern.search(clip.text)]
        dropped[OTHER_TEXT] += len(everything) - len(clips)
    clips = clips[:first]
    where = describe_sources(clips)
    if not read_poses:
        counts = Summary(corpus.name, split, where, len(clips), dict(dropped))
        told = replace(counts, faults=tuple(dropped.faults), notes=tuple(dropped.notes))
        return Group(clips, None, told)
    found = survey(clips, dropped, run.TRAIN.NUM_WORKERS)
    summary = Summary(
        corpus=corpus.name,
        split=split,
        source=where,
        kept=len(found.clips),
        dropped=dict(dropped),
        frames=int(found.lengths.sum()),
        gaps=found.gaps,
        missing=found.missing,
        faults=tuple(dropped.faults),
        notes=tuple(dropped.notes),
    )
    return _with_squeezed(run, Group(found.clips, found.lengths, summary))


def _with_squeezed(run: Run, group: Group) -> Group:
    """A group whose summary names clips that the length rule plays much too fast."""
    message = squeezed(group.clips, group.lengths, run.DATASET.H2S.MAX_MOTION_LEN)
    if message is None:
        return group
    log.warning("%s %s: %s", group.summary.corpus, group.summary.split, message)
    notes = (*group.summary.notes, message)
    return Group(group.clips, group.lengths, replace(group.summary, notes=notes))


def _text_pattern(run: Run) -> re.Pattern[str] | None:
    if run.DATASET.TEXTS is None:
        return None
    try:
        return re.compile(run.DATASET.TEXTS, re.IGNORECASE)
    except re.error as error:
        raise ValueError(
            f"DATASET.TEXTS={run.DATASET.TEXTS!r} is no regular expression: {error}"
        ) from None


def pose_dataset(
    run: Run, clips: Sequence[Clip], tokenizer: PartTokenizer, crop: int | None = None
) -> PoseDataset:
    """Clips normalised by the tokenizer's own statistics, with which it also gives poses back."""
    mean = tokenizer.mean.cpu()
    std = tokenizer.std.cpu()
    return PoseDataset(clips, run.length_limits, mean, std, crop, run.DATASET.CACHE)


def pose_loader(dataset: PoseDataset, batch_size: int, num_workers: int) -> DataLoader[Any]:
    """Batches in the order of the data set."""
    return DataLoader(dataset, batch_size, collate_fn=collate_poses, num_workers=num_workers)


def odd_statistics(run: Run, clips: Sequence[Clip]) -> tuple[str, ...]:
    """How a sample of training clips differs from the configured statistics of the poses."""
    places = np.linspace(0, len(clips) - 1, min(len(clips), _SAMPLE), dtype=int)
    readings = read_all([clips[int(i)] for i in places])
    motions = [reading.frames for reading in readings if reading.frames is not None]
    h2s = run.DATASET.H2S
    mean, std = read_statistics(h2s.MEAN_PATH, h2s.STD_PATH)
    return compare_statistics(motions, mean.numpy(), std.numpy())


def claim_code_folder(run: Run, tokenizer: PartTokenizer, clear: bool = False) -> None:
    """Note in the token files' folder which tokenizer they come from; empty it first if asked to.

    Raises ``ValueError`` when tokens of another tokenizer are there.
    """
    folder = run.token_folder
    if clear:
        shutil.rmtree(folder, ignore_errors=True)
    statistics = {"mean": tokenizer.mean.tolist(), "std": tokenizer.std.tolist()}
    code = checksum(run.TRAIN.PRETRAINED_VAE)
    claim_folder(folder, code, tokenizer.parts, statistics)
