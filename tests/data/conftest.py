"""Writes small corpora in the three layouts, in both releases."""

import csv
import gzip
import pickle

import numpy as np
import pytest

from soke.parts import PARAMETERS

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
}
FRAMES = {"how2sign": "{stem}_{i}_3D.pkl", "csl": "{i:06d}.pkl", "phoenix": "images{i:04d}.pkl"}


class CorpusWriter:
    """One corpus below ``root``."""

    def __init__(self, layout, root):
        self.layout, self.root = layout, root

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
        return dump(path, as_parameters(frames))

    def annotate(self, rows, split="train", delimiter=",", mark="", columns=COLUMNS):
        """Rows are (name, text) and for how2sign optionally (.., start, end, fps)."""
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
