"""Whether a packed store (`soke.data.store`) still agrees with the files it was made from.

Pose files with the dates and sizes they had when they were packed have not changed. Where these
differ, as in a copy of the data, the clip is read and its frames are compared with the packed ones.
A copy that agreed is noted in the shard's folder, so that it is read only once.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from rich.progress import track

from soke.data.listing.annotations import DAMAGED, NO_POSES, TOO_SHORT, Clip
from soke.data.listing.isolated_signs import INCOMPLETE
from soke.data.listing.sources import Source
from soke.data.scan import Reading, read_all
from soke.data.store import Shard, clip_key, describe, frames_checksum, shard_folder, stamp

log = logging.getLogger(__name__)

#: Why clips were left out that may be there the next time, though no annotation has changed.
_MENDABLE = (NO_POSES, TOO_SHORT, DAMAGED, INCOMPLETE)
#: In a shard's folder: one line per copy of the source that was compared and agreed.
_COPIES = "copies.txt"


def open_shard(
    store: str | Path | None, source: Source, thorough: bool = True, workers: int = 0
) -> Shard | None:
    """The shard of a source, or None where there is none.

    Raises ``ValueError`` when it is damaged or older than its source, see `out_of_date`.
    """
    if store is None or not shard_folder(store, source.corpus, source.split).is_dir():
        return None
    shard = Shard(shard_folder(store, source.corpus, source.split))
    reason = out_of_date(shard, source, thorough, workers)
    if reason is not None:
        raise ValueError(
            f"the packed store {shard.folder} is older than its source: {reason}. Run "
            "`soke pack` with the same configuration again, or remove the folder"
        )
    return shard


def out_of_date(
    shard: Shard, source: Source, thorough: bool = True, workers: int = 0
) -> str | None:
    """Why a shard no longer agrees with its source; None if it does, or the source is gone.

    The rules and the annotations are always compared; with ``thorough`` also the poses, and whether
    there are some that could not be used before. ``workers`` processes read those that may have
    changed.
    """
    rules = shard.manifest["source"]
    changes = [
        f"{key} {rules.get(key)!r}, not {source.rules.get(key)!r}"
        for key in {**rules, **source.rules}
        if rules.get(key) != source.rules.get(key)
    ]
    if changes:
        return f"it was packed by other rules: {'; '.join(changes)}"
    if not source.annotation.exists():
        return None
    for split, found in source.checksums.items():
        if found != shard.manifest["annotations"].get(split):
            return f"{source.annotations[split]} has changed"
    if not thorough:
        return None
    return _changed_poses(shard, source, workers) or _new_poses(shard, source, workers)


def _changed_poses(shard: Shard, source: Source, workers: int) -> str | None:
    # With the packing in it, so that a note about an older packing says nothing of this one.
    copy = hashlib.sha256(shard.packing.encode())
    suspects = []
    for index in range(len(shard)):
        record = shard.record(index)
        poses = Path(source.root) / record["source"]
        try:
            found = stamp(poses)
        except FileNotFoundError:
            continue  # the source may be removed once it is packed
        copy.update(found.encode())
        if found != record["stamp"]:
            suspects.append(record)
    if not suspects or copy.hexdigest() in _agreed(shard):
        return None
    log.info(
        "%s: %d clips have another date than when they were packed, as after a copy; reading them "
        "once to compare their content",
        shard.folder,
        len(suspects),
    )
    # The source knows by which rules its clips are read.
    listed = {clip_key(describe(clip, source.root)): clip for clip in source.list_clips()[0]}
    for record in suspects:
        if clip_key(record) not in listed:
            return f"{Path(source.root) / record['source']} has changed"
    clips = [listed[clip_key(record)] for record in suspects]
    for reading, clip, record in zip(_read(clips, source, workers), clips, suspects):
        if reading.fault is not None or frames_checksum(reading.frames) != record["crc32"]:
            return f"{clip.poses} has changed"
    with suppress(OSError), (shard.folder / _COPIES).open("a") as file:  # it may be read-only
        file.write(f"{copy.hexdigest()}\n")
    return None


def _agreed(shard: Shard) -> list[str]:
    with suppress(OSError):
        return (shard.folder / _COPIES).read_text().split()
    return []


def _read(clips: Sequence[Clip], source: Source, workers: int) -> Iterator[Reading]:
    title = f"comparing {source.corpus} {source.split}"
    return iter(track(read_all(clips, workers), title, len(clips), disable=not clips))


def _new_poses(shard: Shard, source: Source, workers: int) -> str | None:
    """A clip that was left out for its poses when the shard was packed, and would not be now."""
    # Listing takes memory for every clip: it is only done where poses may have been mended.
    if not any(reason in shard.manifest["dropped"] for reason in _MENDABLE):
        return None
    try:
        clips, _ = source.list_clips()
    except FileNotFoundError:
        return None
    packed = {clip_key(shard.record(index)) for index in range(len(shard))}
    unreadable = shard.manifest["unreadable"]
    suspects = []
    for clip in clips:
        record = describe(clip, source.root)
        key = clip_key(record)
        if key not in packed and unreadable.get(key) != record["stamp"]:
            suspects.append(clip)
    for reading, clip in zip(_read(suspects, source, workers), suspects):
        if reading.fault is None:
            return f"{clip.poses} was not there, or has changed"
    return None
