"""The three benchmark layouts, first release: one pickle a frame, annotations beside them."""

from __future__ import annotations

import csv
import gzip
import json
import pickle
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from soke.data.layouts import LAYOUTS
from soke.data.layouts import Layout as BenchmarkLayout
from soke.files import atomic_path
from soke.parts import frame_slices

#: The list of isolated signs, at the root of each corpus.
SIGN_LIST = "isolated_signs.json"


@dataclass(frozen=True)
class Entry:
    """One annotated clip: the name its annotation uses, its text, its length in frames."""

    name: str
    text: str
    frames: int


@dataclass(frozen=True)
class Layout:
    """How one benchmark is written below its ``root`` folder.

    ``benchmark`` is the layout that the loaders read. ``clip`` is a clip's name in annotations and
    ``frame`` a file's, filled with ``split`` (as the benchmark calls it), ``name`` and the frame
    number ``i`` from 0.
    """

    root: str
    benchmark: BenchmarkLayout
    clip: str
    frame: str
    write: Callable[[Path, Sequence[Entry], float], None]

    def clip_name(self, split: str, name: str) -> str:
        return self.clip.format(split=self.benchmark.splits[split], name=name)

    def clip_folder(self, split: str, name: str) -> Path:
        folder = self.benchmark.splits[split]
        pattern = self.benchmark.frames
        return Path(self.root, pattern.format(split=folder, name=self.clip_name(split, name)))

    def annotation_path(self, split: str) -> Path:
        pattern = self.benchmark.annotations[0]
        return Path(self.root, pattern.format(split=self.benchmark.splits[split]))

    def write_annotation(self, out: Path, split: str, entries: Sequence[Entry], fps: float) -> None:
        with atomic_path(out / self.annotation_path(split)) as temporary:
            self.write(temporary, entries, fps)


def write_table(path: Path, entries: Sequence[Entry], fps: float) -> None:
    """How2Sign: a comma-separated table; a clip lies between two times of its video."""
    columns = ("SENTENCE_NAME", "SENTENCE", "START_REALIGNED", "END_REALIGNED", "fps")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows((e.name, e.text, 0.0, e.frames / fps, fps) for e in entries)


def write_pickle(path: Path, entries: Sequence[Entry], fps: float) -> None:
    """CSL-Daily and Phoenix-2014T: a compressed pickle, the same bytes for the same entries."""
    content = pickle.dumps([{"name": e.name, "text": e.text} for e in entries], protocol=4)
    path.write_bytes(gzip.compress(content, mtime=0))


HOW2SIGN = Layout("How2Sign", LAYOUTS["how2sign"], "{name}", "{name}_{i}_3D.pkl", write_table)
CSL_DAILY = Layout("CSL-Daily", LAYOUTS["csl"], "{name}", "images{i:04d}.pkl", write_pickle)
PHOENIX_2014T = Layout(
    "Phoenix_2014T", LAYOUTS["phoenix"], "{split}/{name}", "images{i:04d}.pkl", write_pickle
)


def write_clip(folder: Path, frame_names: Sequence[str], frames: np.ndarray) -> None:
    """Write frames ``[T, 179]`` as one pickle each; the folder appears when all are there."""
    partial = folder.with_name(f".{folder.name}.partial")
    if partial.exists():  # left behind by a run that was stopped
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    prefix = f"{partial}/"
    slices = frame_slices()
    for name, frame in zip(frame_names, frames):
        # Copies, since a view would be pickled with all it is a view of.
        content = pickle.dumps({key: frame[at].copy() for key, at in slices.items()}, protocol=4)
        with open(prefix + name, "wb", buffering=0) as file:  # noqa: PTH123, a quarter of the time
            file.write(content)
    partial.rename(folder)


def safe_name(unit: str) -> str:
    """A folder name for a letter: plain ASCII, unique whatever a file system does with case."""
    return "".join(c if c.isascii() else f"u{ord(c):04x}" for c in unit)


def write_signs(out: Path, layout: Layout, signs: Sequence[Mapping[str, object]]) -> None:
    """The sign dictionary's list: rows of name, label, start, end (inclusive) and video_file."""
    with atomic_path(out / layout.root / SIGN_LIST) as temporary:
        text = json.dumps(list(signs), ensure_ascii=False, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")
