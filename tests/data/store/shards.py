"""Packing and checking the small corpus of this folder's tests."""

from itertools import islice

import numpy as np

from soke.data import load_motion, packing
from soke.data.packing import pack
from soke.data.store import FRAMES, INDEX, LINES, MANIFEST
from tests.data.conftest import motion

NAMES = [f"clip-{i}" for i in range(9)]
LENGTHS = dict(zip(NAMES, (40, 44, 7, 61, 50, 5, 90, 33, 12)))
FILES = (FRAMES, LINES, INDEX, MANIFEST)
LASTING = FILES[:3]  # the manifest has the time


def packed(store, source, workers=0):
    return pack(store, source, *source.list_clips(), workers)


def contents(shard):
    return {name: (shard.folder / name).read_bytes() for name in LASTING}


def check_numbers(shard):
    """A shard of `corpus` holds what was written to the source."""
    names = [name for name in NAMES if name != NAMES[7]]
    assert [clip.name for clip in shard] == names
    assert shard.lengths.tolist() == [LENGTHS[name] for name in names]
    for name, clip in zip(names, shard):
        assert (clip.corpus, clip.text, clip.split) == ("csl", f"text {name}", "train")
        np.testing.assert_array_equal(
            load_motion(clip), motion(LENGTHS[name], NAMES.index(name)), strict=True
        )


def stopping(monkeypatch, count, stop):
    """Have packing stop after so many clips."""
    read_all = packing.read_all

    def read(clips, workers):
        yield from islice(read_all(clips, workers), count)
        stop()

    monkeypatch.setattr(packing, "read_all", read)
