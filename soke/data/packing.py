"""Writing the packed store (`soke.data.store`): append-only, so that it goes on after any stop.

Frames and lines are appended to a hidden folder beside the shard; a clip counts once its line is
whole and its frames are those that the line speaks of. At the end the folder takes the shard's
place.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.progress import track

from soke.data.freshness import out_of_date
from soke.data.listing.annotations import Clip, DropCounts
from soke.data.listing.sources import Source
from soke.data.motion.plausibility import Oddities
from soke.data.scan import note_rates, read_all
from soke.data.store import (
    FRAMES,
    INDEX,
    LINES,
    MANIFEST,
    VERSION,
    Shard,
    clip_key,
    describe,
    frames_checksum,
    shard_folder,
)
from soke.files import atomic_path, checksum, locked
from soke.parts import FRAME_SIZE

log = logging.getLogger(__name__)

_RULES = "rules.json"
_FRAME_BYTES = FRAME_SIZE * 4


def is_packed(store: str | Path, source: Source, workers: int = 0) -> bool:
    """Whether there is a whole shard that agrees with its source."""
    folder = shard_folder(store, source.corpus, source.split)
    try:
        return out_of_date(Shard(folder), source, workers=workers) is None
    except ValueError:
        return False


def pack(
    store: str | Path, source: Source, clips: Sequence[Clip], dropped: DropCounts, workers: int = 0
) -> Shard:
    """Write the shard of a source from its listed clips; goes on where it was stopped.

    Clips that cannot be read are left out, named and counted beside those of ``dropped``. A shard
    that is there is replaced when the new one is whole. Raises ``ValueError`` when another process
    is packing the same shard or when no clip can be read.
    """
    final = shard_folder(store, source.corpus, source.split)
    partial = final.with_name(f".{final.name}.partial")
    lock = final.with_name(f".{final.name}.lock")
    refusal = f"another process is packing the same shard (it holds {lock}); wait for it"
    with locked(lock, refusal):
        # Before anything is read: what changes meanwhile makes the shard older than its source.
        annotations = source.checksums
        partial.mkdir(exist_ok=True)
        done = _resume(partial, source)
        pending = [(clip, describe(clip, source.root)) for clip in clips]
        left = [
            (clip, record)
            for clip, record in pending
            if not done.get(clip_key(record), {}).items() >= record.items()
        ]
        if done:
            log.info("%s: %d clips were packed before", final, len(clips) - len(left))
        unreadable = _append(partial, source, left, done, dropped, workers)
        keys = [clip_key(record) for _, record in pending]
        # An earlier packing may have read what cannot be read any more.
        kept = _write_index(partial, [key for key in keys if key not in unreadable])
        if not kept:
            raise ValueError(f"no clip of {source.corpus} {source.split} can be read")
        told = {"annotations": annotations, "unreadable": unreadable}
        _write_manifest(partial, source, kept, dropped, told)
        _replace(partial, final)
    return Shard(final)


def _resume(partial: Path, source: Source) -> dict[str, dict[str, object]]:
    """The lines that an earlier, interrupted packing wrote by the same rules; by key.

    Whatever follows the last whole clip is cut off.
    """
    rules = json.dumps({"version": VERSION, **source.rules})
    rules_path = partial / _RULES
    if not rules_path.exists() or rules_path.read_text(encoding="utf-8") != rules:
        for name in (FRAMES, LINES):
            (partial / name).write_bytes(b"")
        rules_path.write_text(rules, encoding="utf-8")
    for name in (FRAMES, LINES):
        (partial / name).touch()
    lines = {}
    end = 0
    size = 0
    with (partial / FRAMES).open("rb") as frames:
        for record, (_, stop) in _read_lines(partial):
            start, count = record["frames"]
            frames.seek(start * _FRAME_BYTES)
            # After a loss of power lines may be there whose frames never reached the disk.
            if zlib.crc32(frames.read(count * _FRAME_BYTES)) != record["crc32"]:
                break
            lines[clip_key(record)] = record
            end = stop
            size = max(size, frames.tell())
    os.truncate(partial / LINES, end)
    os.truncate(partial / FRAMES, size)
    return lines


def _read_lines(partial: Path) -> Iterator[tuple[dict[str, object], tuple[int, int]]]:
    """The whole lines that were written, and where each begins and ends."""
    end = 0
    with (partial / LINES).open("rb") as file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                return
            if not line.endswith(b"\n"):
                return
            yield record, (end, end + len(line))
            end += len(line)


def _append(
    partial: Path,
    source: Source,
    left: Sequence[tuple[Clip, dict[str, object]]],
    done: Mapping[str, Mapping[str, object]],
    dropped: DropCounts,
    workers: int,
) -> dict[str, str]:
    """Read clips and write those that can be used. A line also says where its frames lie.

    The frames of a clip that only has another date than in ``done`` are not written again. Returns
    the stamps of those that cannot be read, by key.
    """
    start = (partial / FRAMES).stat().st_size // _FRAME_BYTES
    unreadable = {}
    odd = Oddities()
    rates: Counter[float] = Counter()
    title = f"packing {source.corpus} {source.split}"
    readings = read_all([clip for clip, _ in left], workers)
    shown = track(readings, title, len(left), disable=not left)
    with (partial / FRAMES).open("ab") as frames, (partial / LINES).open("ab") as lines:
        for reading, (clip, record) in zip(shown, left):
            if reading.fault is not None:
                dropped.fault(ValueError(reading.fault), reading.reason)
                unreadable[clip_key(record)] = record["stamp"]
                continue
            odd.add(clip.name, reading.odd)
            rates.update(() if reading.native is None else (reading.native,))
            crc = frames_checksum(reading.frames)
            old = done.get(clip_key(record))
            if old is not None and (old["crc32"], old["frames"][1]) == (crc, reading.length):
                place = old["frames"]
            else:
                place = [start, reading.length]
                frames.write(np.ascontiguousarray(reading.frames, dtype="<f4").data)
                frames.flush()
                start += reading.length
            line = record | {"frames": place, "missing": reading.missing, "crc32": crc}
            lines.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            lines.flush()
        for file in (frames, lines):
            os.fsync(file.fileno())
    odd.warn(f"{source.corpus} {source.split}")
    note_rates(dropped, [clip for clip, _ in left], rates)
    return unreadable


def _write_index(partial: Path, order: Sequence[str]) -> list[dict[str, object]]:
    """Write the index in the order of the annotation; the lines of the clips that are kept."""
    # The last line of a clip counts: it was packed again after its source had changed.
    found = {clip_key(record): (record, bounds) for record, bounds in _read_lines(partial)}
    kept = [found[key] for key in order if key in found]
    rows = [[*bounds, *record["frames"]] for record, bounds in kept]
    with atomic_path(partial / INDEX) as temporary:
        np.save(temporary, np.array(rows, dtype=np.int64).reshape(-1, 4))
    return [record for record, _ in kept]


def _write_manifest(
    partial: Path,
    source: Source,
    kept: Sequence[Mapping[str, object]],
    dropped: DropCounts,
    told: Mapping[str, object],
) -> None:
    manifest = {
        "version": VERSION,
        "made": datetime.now(UTC).isoformat(),  # tells two packings of the same from each other
        "source": source.rules,
        "root": source.root,
        **told,
        "clips": len(kept),
        "frames": sum(record["frames"][1] for record in kept),
        "gaps": sum(record["missing"] > 0 for record in kept),
        "missing": sum(record["missing"] for record in kept),
        "dropped": dict(dropped),
        "faults": dropped.faults,
        "notes": dropped.notes,
        "bytes": (partial / FRAMES).stat().st_size,
        "sha256": {name: checksum(partial / name) for name in (FRAMES, LINES, INDEX)},
    }
    with atomic_path(partial / MANIFEST) as temporary:
        text = json.dumps(manifest, indent=1, ensure_ascii=False)
        temporary.write_text(text, encoding="utf-8")


def _replace(partial: Path, final: Path) -> None:
    """Put the whole shard in place of an older one. Who has that mapped keeps reading it."""
    old = final.with_name(f".{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    partial.rename(final)
    (final / _RULES).unlink()
    shutil.rmtree(old, ignore_errors=True)
