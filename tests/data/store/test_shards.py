"""The packed store: what is written, and who reads it."""

import json
import multiprocessing
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from soke.data import load_motion
from soke.data.clips import Clips
from soke.data.datasets import LengthLimits, PoseDataset, collate_poses
from soke.data.freshness import open_shard
from soke.data.listing.annotations import SIGNS
from soke.data.packing import is_packed, pack
from soke.data.store import FRAMES, INDEX, LINES, MANIFEST
from tests.data.conftest import motion, snapshot
from tests.data.store.shards import FILES, LENGTHS, NAMES, check_numbers, packed


@pytest.mark.parametrize("workers", [0, 2])
def test_a_shard_holds_the_numbers_of_its_source(corpus, store, workers, caplog):
    before, source = snapshot(corpus.root), corpus.source()
    shard = packed(store, source, workers)
    check_numbers(shard)
    check_numbers(open_shard(store, source))
    assert snapshot(corpus.root) == before
    assert sorted(path.name for path in shard.folder.iterdir()) == sorted(FILES)
    assert not [path for path in shard.folder.parent.iterdir() if path.suffix == ".partial"]
    total = sum(LENGTHS.values()) - LENGTHS[NAMES[7]]
    frames = np.fromfile(shard.folder / FRAMES, "<f4").reshape(-1, 179)
    assert len(frames) == total == shard.manifest["frames"]
    summary = shard.group().summary
    assert (summary.kept, summary.frames, summary.dropped) == (8, total, {"damaged poses": 1})
    assert "'clip-7'" in summary.faults[0] and "000003.pkl" in summary.faults[0]
    assert summary.faults[0] in caplog.text
    shard.verify()
    with (shard.folder / FRAMES).open("r+b") as file:
        file.seek(999)
        file.write(b"x")
    with pytest.raises(ValueError, match=r"frames\.f32 is damaged: its checksum differs"):
        shard.verify()


def test_slices_and_bounds(corpus, store):
    shard = packed(store, corpus.source())
    assert (
        [clip.name for clip in shard[-2:]]
        == ["clip-6", "clip-8"]
        == [shard[-2].name, shard[7].name]
    )
    for index in (8, -9):
        with pytest.raises(IndexError):
            shard[index]
    clips = Clips([shard.group(), shard.group()])
    assert len(clips) == 16 and [clip.name for clip in clips] == 2 * [clip.name for clip in shard]
    assert clips[-1] == shard[7] and clips[8] == shard[0]
    assert clips.lengths.tolist() == 2 * shard.lengths.tolist()
    assert Clips([shard.group().first(3)]).lengths.tolist() == [40, 44, 7]
    assert shard.group().first(None).clips is shard


def test_faster_clips_are_packed_thinned(write_corpus, store):
    corpus = write_corpus("how2sign")
    corpus.annotate([("fast", "x", 0, 1, 50.0), ("slow", "y", 0, 1, 12.0)])
    corpus.write_frames("fast", motion(40, 1))
    corpus.write_frames("slow", motion(10, 2))
    fast, slow = packed(store, corpus.source(fps=25))
    np.testing.assert_array_equal(load_motion(fast), motion(40, 1)[::2])
    np.testing.assert_array_equal(load_motion(slow), motion(10, 2))
    assert (fast.fps, fast.target_fps) == (50, 25)


def test_isolated_signs_that_share_a_recording_and_a_name(write_corpus, store):
    corpus = write_corpus("csl")
    corpus.write_frames("rec", motion(20), numbers=range(5, 25))
    rows = [("s", "A", 6, 8), ("s", "B", 6, 8), ("s", "A", 10, 14), ("s", "A", 6, 8)]
    entries = [
        {"name": name, "label": label, "start": start, "end": end, "video_file": "rec"}
        for name, label, start, end in rows
    ]
    (corpus.root / "signs.json").write_text(json.dumps(entries))
    source = corpus.source(SIGNS, signs="signs.json")
    signs = packed(store, source)
    assert [(sign.text, sign.numbers) for sign in signs] == [
        (label, (start, end)) for _, label, start, end in rows
    ]
    for sign, (_, _, start, end) in zip(signs, rows):
        np.testing.assert_array_equal(load_motion(sign), motion(20)[start - 5 : end - 4])
    assert is_packed(store, source)


def test_nothing_that_can_be_read_is_no_shard(corpus, store):
    source = corpus.source()
    clips, dropped = source.list_clips()
    with pytest.raises(ValueError, match="no clip of csl train can be read"):
        pack(store, source, [clip for clip in clips if clip.name == NAMES[7]], dropped)
    assert open_shard(store, source) is None


def edit(**more):
    def change(folder):
        manifest = json.loads((folder / MANIFEST).read_text()) | more
        (folder / MANIFEST).write_text(json.dumps(manifest))

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), "is not a whole packed store"),
        (lambda folder: (folder / MANIFEST).write_text("[1]"), "is not a whole packed store"),
        (lambda folder: (folder / MANIFEST).write_text('{"a"'), "is not a whole packed store"),
        (lambda folder: (folder / FRAMES).unlink(), "is not a whole packed store"),
        (lambda folder: os.truncate(folder / FRAMES, 179 * 4 * 9), "is not a whole packed store"),
        (lambda folder: os.truncate(folder / FRAMES, 5), "is not a whole packed store"),
        (lambda folder: os.truncate(folder / LINES, 500), "is not a whole packed store"),
        (lambda folder: os.truncate(folder / INDEX, 200), "is not a whole packed store"),
        (lambda folder: np.save(folder / INDEX, np.arange(8)), "is not a whole packed store"),
        (edit(clips=7), "is not a whole packed store"),
        (edit(version=99), "is a packed store of version 99, this is version 1"),
        (lambda folder: (folder / MANIFEST).write_text('{"version": 2}'), "of version 2"),
    ],
)
def test_a_damaged_shard_is_one_clear_error(corpus, store, damage, message):
    source = corpus.source()
    folder = packed(store, source).folder
    damage(folder)
    with pytest.raises(ValueError, match=message) as error:
        open_shard(store, source)
    assert str(folder) in str(error.value) and "soke pack" in str(error.value)
    assert not is_packed(store, source)
    check_numbers(packed(store, source))


def test_who_reads_while_it_is_packed_anew_keeps_the_old_numbers(corpus, store):
    source = corpus.source()
    packed(store, source)
    old = open_shard(store, source, thorough=False)
    corpus.annotate([(name, "new") for name in reversed(NAMES)])
    for name in NAMES:
        corpus.write_frames(name, motion(30, 99))
    shutil.rmtree(corpus.root / "poses_video_level")
    new = packed(store, source)
    assert [clip.name for clip in new] == NAMES[::-1]
    np.testing.assert_array_equal(load_motion(new[8])[:30], motion(30, 99))
    check_numbers(old)
    check_numbers(pickle.loads(pickle.dumps(old)))
    # A process that starts after it must not take the new numbers for the old ones.
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool, pytest.raises(ValueError, match="packed anew while it was in"):
        pool.apply(load_motion, (old[0],))


def dataset(clips):
    return PoseDataset(clips, LengthLimits(), torch.zeros(133), torch.ones(133))


def test_a_dataset_takes_no_clips_along_to_other_processes(write_corpus, store):
    corpus, sizes = write_corpus("csl"), []
    corpus.write_clip("same", motion(40))
    path = corpus.root / "poses_video_level" / "same.pkl"
    for count in (10, 600):
        names = [f"{i:04d}" for i in range(count)]
        for name in names:
            if not (path.parent / f"{name}.pkl").exists():
                os.link(path, path.parent / f"{name}.pkl")
        silent = [(f"silent-{name}", " ") for name in names]  # left out, with a message each
        corpus.annotate([*silent, *((name, "text " * 9) for name in names)])
        shard = packed(store / str(count), corpus.source())
        for clips in (shard, Clips([shard.group()])):
            data = dataset(clips)
            sizes.append(len(pickle.dumps(data)))
            again = pickle.loads(pickle.dumps(data))
            assert len(again) == count and again.clips[-1] == clips[count - 1]
            assert torch.equal(again[count - 1].motion, data[count - 1].motion)
    assert max(sizes) < 20_000 and sizes[2] - sizes[0] < 100 > sizes[3] - sizes[1]


@pytest.mark.parametrize(("start", "workers"), [("fork", 2), ("spawn", 1)])
def test_workers_read_the_same_numbers(corpus, store, start, workers):
    data = dataset(Clips([packed(store, corpus.source()).group()]))
    loader = DataLoader(
        data, 3, collate_fn=collate_poses, num_workers=workers, multiprocessing_context=start
    )
    for i, batch in enumerate(loader):
        expected = collate_poses([data[j] for j in range(3 * i, min(3 * i + 3, 8))])
        assert batch.names == expected.names and torch.equal(batch.motion, expected.motion)
