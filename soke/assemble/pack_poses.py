"""Pack the poses of the configured data sets into memory-mapped arrays, one shard per split.

    soke pack --cfg configs/deto.yaml

Training and evaluation then read the shards under DATASET.PACKED instead of the pose files, which
are never written to. A shard that agrees with its source is kept, one that is older is packed
again, and an interrupted run goes on where it stopped. Data and store may be copied or moved:
content counts, not dates.
"""

from __future__ import annotations

import logging

from soke.assemble.data import clip_source
from soke.assemble.run import Run
from soke.data.clips import Summary, summary_table, write_summaries
from soke.data.listing.annotations import SIGNS
from soke.data.packing import is_packed, pack
from soke.data.store import Shard, shard_folder
from soke.parts import FRAME_SIZE

log = logging.getLogger(__name__)


def pack_all(run: Run) -> None:
    """Pack every split of the configured data sets, and their isolated signs."""
    store = run.DATASET.PACKED
    workers = run.TRAIN.NUM_WORKERS
    summaries: list[Summary] = []
    if store is None:
        raise ValueError("DATASET.PACKED is null: name the folder to pack into")
    splits = dict.fromkeys((run.TRAIN.SPLIT, run.EVAL.SPLIT, run.TEST.SPLIT))
    for corpus in run.corpora.values():
        for split in (*splits, *([] if corpus.signs is None else [SIGNS])):
            source = clip_source(run, corpus, split)
            if is_packed(store, source, workers):
                log.info("%s %s is packed already", corpus.name, split)
                shard = Shard(shard_folder(store, corpus.name, split))
            else:
                clips, dropped = source.list_clips()
                if not clips:  # such as a data set without a test split
                    log.warning("%s %s has no usable clip; it is not packed", corpus.name, split)
                    continue
                shard = pack(store, source, clips, dropped, workers)
            summaries.append(shard.group().summary)
    log.info("\n%s", summary_table(summaries))
    write_summaries(store, summaries)
    _report_size(store, summaries)


def _report_size(store: str, summaries: list[Summary]) -> None:
    frames = sum(summary.frames or 0 for summary in summaries)
    log.info("%d frames, %.1f MB, in %s", frames, frames * FRAME_SIZE * 4 / 1e6, store)
