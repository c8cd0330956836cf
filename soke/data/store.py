"""The packed store: the frames of a split in one memory-mapped array.

A shard is the folder ``{store}/{corpus}/{split}`` with

- ``frames.f32``: little-endian float32 [N, 179], the clips one after another, after the frame-rate
  rule and before the length rule;
- ``clips.jsonl``: one line per clip (what a `Clip` holds, the dates and sizes of its source, and a
  checksum of its frames);
- ``index.npy``: int64 [C, 4], the bytes where each clip's line begins and ends, its first frame and
  the number of its frames;
- ``manifest.json``: version, source, counts, what was left out, checksums.

Nothing of it is read as a whole: a clip's line and its frames are looked up when they are asked
for, so memory does not grow with the number of clips, and processes share the mapped pages.
`soke.data.packing` writes it, `soke.data.freshness` compares it with its source.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np

from soke.data.clips import Group, Summary
from soke.data.listing.annotations import Clip, DropCounts
from soke.data.lmdb_clips import data_file
from soke.data.poses import is_pose_file, is_pose_name
from soke.files import checksum
from soke.parts import FRAME_SIZE
from soke.retrieval.words import clean

VERSION = 1
FRAMES = "frames.f32"
LINES = "clips.jsonl"
INDEX = "index.npy"
MANIFEST = "manifest.json"


def shard_folder(store: str | Path, corpus: str, split: str) -> Path:
    return Path(store) / corpus / split


def stamp(poses: Path) -> str:
    """A digest of the names, dates (ns) and sizes of the pose files of a clip.

    The same stamp means the same content; after a copy the content can be the same under another.
    Raises ``FileNotFoundError`` when they are gone.
    """
    if is_pose_file(poses):
        found = [("", data_file(poses).stat())]
    else:
        with os.scandir(poses) as entries:
            found = sorted((e.name, e.stat()) for e in entries if is_pose_name(e.name))
    told = [(name, status.st_mtime_ns, status.st_size) for name, status in found]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def frames_checksum(frames: np.ndarray) -> int:
    """The CRC-32 of frames ``[T, 179]`` as a shard holds them."""
    return zlib.crc32(np.ascontiguousarray(frames, dtype="<f4").data)


@dataclass(frozen=True)
class Mapped:
    """The files of a shard in memory, read page by page where they are looked at."""

    frames: np.ndarray  # [N, 179] float32
    lines: np.ndarray  # [bytes] uint8
    index: np.ndarray  # [C, 4] int64


@lru_cache(maxsize=64)
def mapped(folder: Path, packing: str) -> Mapped:
    """The files of one packing of a shard, mapped once a process.

    What is mapped is kept when the shard is packed anew. Raises ``ValueError`` when that happened
    before this process mapped it.
    """
    files = Mapped(
        np.memmap(folder / FRAMES, dtype="<f4", mode="r").reshape(-1, FRAME_SIZE),
        np.memmap(folder / LINES, dtype=np.uint8, mode="r"),
        np.load(folder / INDEX, mmap_mode="r", allow_pickle=False),
    )
    if checksum(folder / MANIFEST) != packing:
        raise ValueError(f"{folder} was packed anew while it was in use; start again")
    return files


class Shard(Sequence[Clip]):
    """The clips of one shard; each is made when it is asked for.

    Raises ``ValueError`` when the folder is not a whole shard of this version.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            content = (self.folder / MANIFEST).read_bytes()
            self.manifest = json.loads(content)
            self.packing = hashlib.sha256(content).hexdigest()
            if self.manifest["version"] == VERSION and not self._is_whole():
                raise ValueError("its files have other sizes")
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise ValueError(
                f"{self.folder} is not a whole packed store ({error}); remove the folder or run "
                "`soke pack` again"
            ) from None
        if self.manifest["version"] != VERSION:
            raise ValueError(
                f"{self.folder} is a packed store of version {self.manifest['version']}, this is "
                f"version {VERSION}; run `soke pack` again"
            )
        mapped(self.folder, self.packing)  # this packing is read, whatever takes its place

    def _is_whole(self) -> bool:
        index = np.load(self.folder / INDEX, mmap_mode="r", allow_pickle=False)
        frames, lines = ((self.folder / name).stat().st_size for name in (FRAMES, LINES))
        return (
            index.shape == (self.manifest["clips"], 4)
            and frames == self.manifest["bytes"]
            and lines >= index[:, 1].max(initial=0)
        )

    def __getstate__(self) -> dict[str, object]:
        # Other processes look clips up; what is told about those left out stays here.
        manifest = self.manifest | {"faults": [], "unreadable": {}}
        return self.__dict__ | {"manifest": manifest}

    def __len__(self) -> int:
        return self.manifest["clips"]

    def __getitem__(self, index: int | slice) -> Clip | list[Clip]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        record = self.record(index)
        values = {key: record[key] for key in _RECORDED if key in record}
        values["numbers"] = None if values["numbers"] is None else tuple(values["numbers"])
        frames = tuple(record["frames"])
        return Clip(**values, poses=self.folder / FRAMES, rows=frames, packing=self.packing)

    def record(self, index: int) -> dict[str, object]:
        """The line of a clip: its fields, ``source`` (relative to the root), ``stamp``, ..."""
        files = mapped(self.folder, self.packing)
        start, stop = files.index[index, :2]
        record = json.loads(files.lines[start:stop].tobytes())
        # Stores of earlier versions hold texts as they were annotated.
        return record | {key: clean(record[key]) for key in ("text", "gloss") if key in record}

    @property
    def lengths(self) -> np.ndarray:
        """Frames of every clip, [C]."""
        return np.array(mapped(self.folder, self.packing).index[:, 3])

    @property
    def dropped(self) -> DropCounts:
        """What was left out when the clips were packed."""
        dropped = DropCounts(self.manifest["dropped"])
        dropped.faults = list(self.manifest["faults"])
        dropped.notes = list(self.manifest.get("notes", []))  # older ones have none
        return dropped

    def group(self) -> Group:
        """The clips with their lengths and what was left out."""
        entries = self.manifest
        summary = Summary(
            corpus=entries["source"]["corpus"],
            split=entries["source"]["split"],
            source="packed store",
            kept=entries["clips"],
            dropped=entries["dropped"],
            frames=entries["frames"],
            gaps=entries["gaps"],
            missing=entries["missing"],
            faults=tuple(entries["faults"]),
            notes=tuple(entries.get("notes", ())),
        )
        return Group(self, self.lengths, summary)

    def verify(self) -> None:
        """Read everything and compare with the checksums. Raises ``ValueError`` on a difference."""
        for name, expected in self.manifest["sha256"].items():
            if checksum(self.folder / name) != expected:
                raise ValueError(
                    f"{self.folder / name} is damaged: its checksum differs; remove the folder and "
                    "run `soke pack` again"
                )


#: What a line of the store keeps of a clip.
_NOT_RECORDED = ("poses", "rows", "packing", "any_tool", "hands", "max_seconds")
_RECORDED = [f.name for f in fields(Clip) if f.name not in _NOT_RECORDED]


def describe(clip: Clip, root: str | Path) -> dict[str, object]:
    """The line of a clip that is read from ``root``."""
    record = {key: getattr(clip, key) for key in _RECORDED}
    record["numbers"] = None if clip.numbers is None else list(clip.numbers)  # as JSON has it
    source = os.path.relpath(clip.poses, root)
    return record | {"source": source, "stamp": stamp(clip.poses)}


def clip_key(record: Mapping[str, object]) -> str:
    """What tells the clips of a shard apart: isolated signs may share a name."""
    return json.dumps([record["name"], record["text"], record["numbers"]])
