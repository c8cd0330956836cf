"""Writes small corpora in every layout: the benchmarks in both releases, and the neutral table."""

import csv
import gzip
import pickle

import numpy as np
import pytest

from prepare.fingerspelling.languages import LANGUAGES
from prepare.fingerspelling.making import Settings, build
from soke.data.listing.sources import Source
from soke.parts import PARAMETERS

TABLE_COLUMNS = ("name", "text", "language", "split", "fps")
#: What the smplx library calls the parameters, written down apart from the code.
LIBRARY = {
    "smplx_root_pose": "global_orient",
    "smplx_body_pose": "body_pose",
    "smplx_lhand_pose": "left_hand_pose",
    "smplx_rhand_pose": "right_hand_pose",
    "smplx_jaw_pose": "jaw_pose",
    "smplx_shape": "betas",
    "smplx_expr": "expression",
}
COLUMNS = ("SENTENCE_NAME", "SENTENCE", "START_REALIGNED", "END_REALIGNED", "fps")


def dump(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(value))
    return path


def motion(length, seed=0):
    """Random frames [T, 179]; the first column counts the frames."""
    frames = np.random.default_rng(seed).normal(size=(length, 179)).astype(np.float32)
    frames[:, 0] = np.arange(length)
    return frames


def as_parameters(frames):
    """Frames [..., 179] as the dict of a pose file."""
    ends = np.cumsum([size for _, size in PARAMETERS])[:-1]
    return dict(zip((key for key, _ in PARAMETERS), np.split(frames, ends, axis=-1)))


FOLDERS = {"how2sign": "{split}/poses/{name}", "csl": "poses/{name}", "phoenix": "{name}"}
FILES = {
    "how2sign": "poses_video_level/{split}/poses/{name}.pkl",
    "csl": "poses_video_level/{name}.pkl",
    "phoenix": "poses_video_level/{name}.pkl",
    "table": "poses/{name}.npz",
}
FRAMES = {"how2sign": "{stem}_{i}_3D.pkl", "csl": "{i:06d}.pkl", "phoenix": "images{i:04d}.pkl"}


def as_library(frames):
    """Frames [..., 179] as a dict with the smplx library's names."""
    return {LIBRARY[key]: value for key, value in as_parameters(frames).items()}


def write_table(path, rows, columns=TABLE_COLUMNS, delimiter=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def write_arrays(path, content):
    """An array as .npy, or a dict of arrays as .npz, by the ending of ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, content)
    else:
        np.savez(path, **content)
    return path


def snapshot(*roots):
    """Name, size and age of everything below some folders."""
    paths = [path for root in roots for path in (root, *root.rglob("*"))]
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


def demo_corpora(tmp_path_factory):
    """The folder of a small demo data set, made once a test session."""
    out = tmp_path_factory.getbasetemp() / "demo"
    if not (out / "manifest.json").exists():
        words = dict.fromkeys(LANGUAGES, 6)
        build(Settings(words=words, held_out=2, lengths=(3, 4)), out, processes=1)
    return out


class CorpusWriter:
    """One corpus below ``root``."""

    def __init__(self, layout, root):
        self.layout, self.root = layout, root
        self.rows = {}  # of a table, by split

    def folder(self, name, split="train"):
        return self.root / FOLDERS[self.layout].format(split=split, name=name)

    def write_frames(self, name, frames, split="train", numbers=None):
        folder = self.folder(name, split)
        for i, frame in zip(numbers or range(len(frames)), frames):
            file = FRAMES[self.layout].format(stem=folder.name, i=i)
            dump(folder / file, as_parameters(frame))
        return folder

    def write_clip(self, name, frames, split="train"):
        path = self.root / FILES[self.layout].format(split=split, name=name)
        write = write_arrays if self.layout == "table" else dump
        return write(path, as_parameters(frames))

    def source(self, split="train", fps=25, **more):
        return Source(self.layout, self.layout, str(self.root), split, fps, **more)

    def annotate(self, rows, split="train", delimiter=",", mark="", columns=COLUMNS):
        """Rows are (name, text) and for how2sign optionally (.., start, end, fps).

        A table's rows are (name, text), optionally (.., language), beside those of other splits.
        """
        if self.layout == "table":
            self.rows[split] = [(*(*row, "it")[:3], split, "") for row in rows]
            everything = [row for rows in self.rows.values() for row in rows]
            return write_table(self.root / "clips.csv", everything, delimiter=delimiter)
        if self.layout == "how2sign":
            path = (
                self.root
                / split
                / "re_aligned"
                / f"how2sign_realigned_{split}_preprocessed_fps.csv"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8", newline="") as file:
                file.write(mark)
                writer = csv.writer(file, delimiter=delimiter)
                writer.writerow(columns)
                writer.writerows([*row, *(0.0, 2.0, 24.0)[len(row) - 2 :]] for row in rows)
            return path
        stem = {"csl": "csl_clean", "phoenix": "phoenix14t"}[self.layout]
        content = [{"name": row[0], "text": row[1], "gloss": ["A"]} for row in rows]
        path = self.root / f"{stem}.{split}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(pickle.dumps(content)))
        return path


@pytest.fixture
def write_corpus(tmp_path):
    return lambda layout: CorpusWriter(layout, tmp_path / layout)
