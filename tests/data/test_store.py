"""The packed store: what is written, how it survives stops, and how an old one shows.

One long file, since all of it is about the same small corpus.
"""

import json
import multiprocessing
import os
import pickle
import shutil
import signal
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from soke.data import load_motion, packing
from soke.data.annotations import SIGNS
from soke.data.clips import Clips
from soke.data.datasets import LengthLimits, PoseDataset, collate_poses
from soke.data.packing import is_packed, pack
from soke.data.store import FRAMES, INDEX, LINES, MANIFEST, Shard, open_shard, shard_folder
from tests.data.conftest import as_parameters, dump, motion, snapshot

NAMES = [f"clip-{i}" for i in range(9)]
LENGTHS = dict(zip(NAMES, (40, 44, 7, 61, 50, 5, 90, 33, 12)))
FILES = (FRAMES, LINES, INDEX, MANIFEST)
LASTING = FILES[:3]  # the manifest has the time


@pytest.fixture
def corpus(write_corpus):
    """Nine clips, one a file of release 2, one damaged, in the layout of CSL-Daily."""
    corpus = write_corpus("csl")
    corpus.annotate([(name, f"text {name}") for name in NAMES])
    for seed, name in enumerate(NAMES):
        write = corpus.write_clip if seed == 4 else corpus.write_frames
        write(name, motion(LENGTHS[name], seed))
    (corpus.folder(NAMES[7]) / "000003.pkl").write_bytes(b"no pickle")
    return corpus


@pytest.fixture
def store(tmp_path):
    return tmp_path / "packed"


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
    assert [clip.name for clip in shard[-2:]] == ["clip-6", "clip-8"] == [shard[-2].name,
                                                                         shard[7].name]  # fmt: skip
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


# Stops


def stopping(monkeypatch, count, stop):
    """Have packing stop after so many clips."""
    read_all = packing.read_all

    def read(clips, workers):
        yield from islice(read_all(clips, workers), count)
        stop()

    monkeypatch.setattr(packing, "read_all", read)


def in_another_process(call, *arguments):
    """The exit code of a process of its own."""
    process = multiprocessing.get_context("fork").Process(target=call, args=arguments)
    process.start()
    process.join(60)
    return process.exitcode


def partial_folder(store, split="train"):
    return store / "csl" / f".{split}.partial"


@pytest.fixture
def undisturbed(corpus, tmp_path):
    return contents(packed(tmp_path / "undisturbed", corpus.source()))


@pytest.mark.parametrize("count", [0, 1, 6])
def test_packing_that_is_killed_goes_on_where_it_stopped(
    corpus, store, undisturbed, monkeypatch, count
):
    source = corpus.source()
    with monkeypatch.context() as patch:
        stopping(patch, count, lambda: os.kill(os.getpid(), signal.SIGKILL))
        assert in_another_process(packed, store, source) == -signal.SIGKILL
    assert open_shard(store, source) is None and not is_packed(store, source)
    read, read_all = [], packing.read_all
    with monkeypatch.context() as patch:
        patch.setattr(
            packing, "read_all", lambda c, workers: read.extend(c) or read_all(c, workers)
        )
        shard = packed(store, source)
    assert [clip.name for clip in read] == NAMES[count:]  # what was packed is not read again
    check_numbers(shard)
    assert contents(shard) == undisturbed


def cut_line(partial):
    """The stop came in the middle of a line."""
    path = partial / LINES
    path.write_bytes(path.read_bytes()[:-5])


def extra_frames(partial):
    """The stop came between the frames of a clip and its line."""
    with (partial / FRAMES).open("ab") as file:
        file.write(b"abc" * 999)


def lost_frames(partial):
    """The power went: the lines reached the disk before the last frames did."""
    os.truncate(partial / FRAMES, (partial / FRAMES).stat().st_size - 5000)


def blank_frames(partial):
    """The power went: the size of the file reached the disk, its last pages did not."""
    size = (partial / FRAMES).stat().st_size
    os.truncate(partial / FRAMES, size - 9000)
    os.truncate(partial / FRAMES, size)


def blank_lines(partial):
    with (partial / LINES).open("ab") as file:
        file.write(bytes(4096) + b"\n")


def lost_files(partial):
    (partial / FRAMES).unlink()


@pytest.mark.parametrize(
    "damage", [cut_line, extra_frames, lost_frames, blank_frames, blank_lines, lost_files]
)
def test_what_a_stop_left_half_is_written_again(corpus, store, undisturbed, monkeypatch, damage):
    class Stop(Exception):
        pass

    def stop():
        raise Stop

    source = corpus.source()
    with monkeypatch.context() as patch:
        stopping(patch, 5, stop)
        with pytest.raises(Stop):
            packed(store, source)
    assert len((partial_folder(store) / LINES).read_bytes().splitlines()) == 5
    damage(partial_folder(store))
    assert contents(packed(store, source)) == undisturbed


@pytest.mark.parametrize("name", ["_write_index", "_write_manifest", "_replace"])
def test_a_stop_at_the_end(corpus, store, undisturbed, monkeypatch, name):
    with monkeypatch.context() as patch:
        patch.setattr(packing, name, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        assert in_another_process(packed, store, corpus.source()) == -signal.SIGKILL
    assert open_shard(store, corpus.source()) is None
    assert contents(packed(store, corpus.source())) == undisturbed


def test_a_stop_while_an_old_shard_is_replaced(corpus, store, monkeypatch):
    source = corpus.source()
    packed(store, source)
    dump(corpus.folder(NAMES[0]) / "000000.pkl", as_parameters(motion(1, 77)[0]))
    with monkeypatch.context() as patch:
        calls = []
        rename = type(store).rename

        def stop_at_second(path, target):
            calls.append(path)
            if len(calls) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return rename(path, target)

        patch.setattr(type(store), "rename", stop_at_second)
        assert in_another_process(packed, store, source) == -signal.SIGKILL
    assert not is_packed(store, source)
    shard = packed(store, source)
    np.testing.assert_array_equal(load_motion(shard[0])[0], motion(1, 77)[0])
    assert {path.name for path in shard.folder.parent.iterdir()} == {"train", ".train.lock"}


def test_what_changed_since_the_stop_is_read_again(corpus, store, monkeypatch):
    source = corpus.source()
    with monkeypatch.context() as patch:
        stopping(patch, 6, lambda: os.kill(os.getpid(), signal.SIGKILL))
        in_another_process(packed, store, source)
    corpus.write_frames(NAMES[1], motion(LENGTHS[NAMES[1]], 50))
    (corpus.folder(NAMES[2]) / "000001.pkl").write_bytes(b"damaged now")
    corpus.annotate([(name, f"text {name}") for name in NAMES if name != NAMES[3]])
    shard = packed(store, source)
    assert [clip.name for clip in shard] == [NAMES[i] for i in (0, 1, 4, 5, 6, 8)]
    np.testing.assert_array_equal(load_motion(shard[1]), motion(LENGTHS[NAMES[1]], 50))
    np.testing.assert_array_equal(load_motion(shard[2]), motion(LENGTHS[NAMES[4]], 4))
    assert is_packed(store, source) and shard.dropped == {"damaged poses": 2}


def test_by_other_rules_packing_begins_anew(corpus, store, monkeypatch):
    with monkeypatch.context() as patch:
        stopping(patch, 4, lambda: os.kill(os.getpid(), signal.SIGKILL))
        in_another_process(packed, store, corpus.source())
    packed(store, replace(corpus.source(), fps=20))
    assert [clip.target_fps for clip in Shard(shard_folder(store, "csl", "train"))] == [20] * 8


def test_two_packers_do_not_meet(corpus, store, monkeypatch):
    context = multiprocessing.get_context("fork")
    started, go_on = context.Event(), context.Event()

    def wait():
        started.set()
        go_on.wait(60)

    source = corpus.source()
    with monkeypatch.context() as patch:
        stopping(patch, 9, wait)
        first = context.Process(target=packed, args=(store, source))
        first.start()
    assert started.wait(60)
    with pytest.raises(ValueError, match=r"another process is packing the same shard.*wait"):
        packed(store, source)
    packed(store, replace(source, corpus="other"))  # other shards are free
    go_on.set()
    first.join(60)
    assert first.exitcode == 0
    check_numbers(open_shard(store, source))


def test_the_lock_goes_with_a_killed_packer_though_its_readers_live_on(corpus, store, monkeypatch):
    context = multiprocessing.get_context("fork")
    born = context.Queue()

    def hold():
        reader = context.Process(target=signal.pause)
        reader.start()
        born.put(reader.pid)
        signal.pause()

    source = corpus.source()
    with monkeypatch.context() as patch:
        stopping(patch, 2, hold)
        packer = context.Process(target=packed, args=(store, source))
        packer.start()
    reader = born.get(timeout=60)
    packer.kill()
    packer.join()
    try:
        check_numbers(packed(store, source))
    finally:
        os.kill(reader, signal.SIGKILL)


def test_nothing_that_can_be_read_is_no_shard(corpus, store):
    source = corpus.source()
    clips, dropped = source.list_clips()
    with pytest.raises(ValueError, match="no clip of csl train can be read"):
        pack(store, source, [clip for clip in clips if clip.name == NAMES[7]], dropped)
    assert open_shard(store, source) is None


# Age


def touch_text(corpus):
    corpus.annotate([(name, f"text {name}!") for name in NAMES])
    return "csl_clean.train has changed"


def rewrite_frame(corpus):
    path = corpus.folder(NAMES[3]) / "000007.pkl"
    size = path.stat().st_size
    dump(path, as_parameters(motion(1, 9)[0]))
    assert path.stat().st_size == size
    return "clip-3 has changed"


def rewrite_with_an_older_file(corpus):
    path = corpus.folder(NAMES[3]) / "000007.pkl"
    dump(path, as_parameters(motion(1, 9)[0]))
    os.utime(path, (1e9, 1e9))  # as from an archive
    return "clip-3 has changed"


def swap_two_frames(corpus):
    one, two = (corpus.folder(NAMES[3]) / f"00000{i}.pkl" for i in (7, 8))
    one.rename(one.with_suffix(".tmp"))
    two.rename(one)
    one.with_suffix(".tmp").rename(two)
    return "clip-3 has changed"


def add_frame(corpus):
    dump(corpus.folder(NAMES[0]) / "000099.pkl", as_parameters(motion(1)[0]))
    return "clip-0 has changed"


def remove_frame(corpus):
    (corpus.folder(NAMES[0]) / "000005.pkl").unlink()
    return "clip-0 has changed"


def replace_clip_file(corpus):
    corpus.write_clip(NAMES[4], motion(50, 60))
    return "clip-4.pkl has changed"


def mend_damaged(corpus):
    dump(corpus.folder(NAMES[7]) / "000003.pkl", as_parameters(motion(1)[0]))
    return "clip-7 was not there, or has changed"


def add_missing(corpus):
    corpus.write_frames("late", motion(50))
    return "late was not there, or has changed"


def move_to_test(corpus):
    corpus.annotate([(NAMES[0], "text")], split="test")
    return "csl_clean.test has changed"


def lengthen_short(corpus):
    corpus.write_frames("short", motion(50))
    return "short was not there, or has changed"


CHANGES = [
    touch_text, rewrite_frame, rewrite_with_an_older_file, swap_two_frames, add_frame,
    remove_frame, replace_clip_file, mend_damaged, add_missing, lengthen_short, move_to_test,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_source_that_changed_is_detected(corpus, store, change):
    corpus.annotate([(name, f"text {name}") for name in [*NAMES, "late", "short"]])
    corpus.write_frames("short", motion(2))
    source = corpus.source()
    packed(store, source)
    assert is_packed(store, source)
    message = change(corpus)
    with pytest.raises(ValueError, match="older than its source") as error:
        open_shard(store, source)
    assert message in str(error.value) and "python -m prepare.pack_poses" in str(error.value)
    assert not is_packed(store, source)
    packed(store, source)
    assert is_packed(store, source) and open_shard(store, source) is not None


@pytest.mark.parametrize("change", [mend_damaged, add_missing, lengthen_short])
def test_poses_that_come_later_are_missed_for_no_other_reason(corpus, store, change):
    """As above where nothing else was left out: one reason alone has to be looked after."""
    name = {mend_damaged: NAMES[7], add_missing: "late", lengthen_short: "short"}[change]
    corpus.annotate([(other, "text") for other in dict.fromkeys([*NAMES[:7], name])])
    corpus.write_frames("short", motion(2))
    assert sum(packed(store, corpus.source()).dropped.values()) == 1
    message = change(corpus)
    with pytest.raises(ValueError, match=f"{message}. Run"):
        open_shard(store, corpus.source())


def test_a_source_that_is_all_there_is_not_listed_again(corpus, store, monkeypatch):
    corpus.annotate([(name, "text") for name in NAMES[:7]])
    packed(store, corpus.source())
    monkeypatch.setattr("soke.data.sources.read_annotations", None)
    assert len(open_shard(store, corpus.source())) == 7


def test_a_change_while_it_is_packed_is_detected(corpus, store, monkeypatch):
    source = corpus.source()
    with monkeypatch.context() as patch:
        stopping(patch, 9, lambda: touch_text(corpus))
        packed(store, source)
    with pytest.raises(ValueError, match=r"csl_clean\.train has changed"):
        open_shard(store, source)


@pytest.mark.parametrize("rule", [{"fps": 24}, {"language": "it"}, {"layout": "phoenix"}])
def test_other_rules_are_detected(corpus, store, rule):
    packed(store, corpus.source())
    (key, value), old = *rule.items(), getattr(corpus.source(), *rule)
    message = rf"packed by other rules: {key} {old!r}, not {value!r}\. .*prepare\.pack_poses"
    with pytest.raises(ValueError, match=message):
        open_shard(store, replace(corpus.source(), **rule))
    assert not is_packed(store, replace(corpus.source(), **rule))


def test_without_a_thorough_look_pose_files_are_not_touched(corpus, store, monkeypatch):
    source = corpus.source()
    packed(store, source)
    rewrite_frame(corpus)
    monkeypatch.setattr("soke.data.store.stamp", None)
    assert len(open_shard(store, source, thorough=False)) == 8
    touch_text(corpus)
    with pytest.raises(ValueError, match="has changed"):
        open_shard(store, source, thorough=False)


def test_a_source_may_be_removed_or_moved(corpus, store):
    source = corpus.source()
    packed(store, source)
    shutil.move(corpus.root, corpus.root.with_name("elsewhere"))
    check_numbers(open_shard(store, source))
    moved = replace(source, root=str(corpus.root.with_name("elsewhere")))
    check_numbers(open_shard(store, moved))
    shutil.rmtree(corpus.root.with_name("elsewhere") / "poses" / NAMES[0])
    check_numbers(open_shard(store, moved))
    shutil.rmtree(corpus.root.with_name("elsewhere") / "poses")
    shutil.rmtree(corpus.root.with_name("elsewhere") / "poses_video_level")
    check_numbers(open_shard(store, moved))


def test_other_files_in_a_folder_of_frames_are_no_change(corpus, store):
    packed(store, corpus.source())
    (corpus.folder(NAMES[0]) / "._000001.pkl").touch()
    (corpus.folder(NAMES[0]) / ".DS_Store").write_bytes(b"x")
    assert is_packed(store, corpus.source())


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
    assert str(folder) in str(error.value) and "python -m prepare.pack_poses" in str(error.value)
    assert not is_packed(store, source)
    check_numbers(packed(store, source))


# Readers


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
