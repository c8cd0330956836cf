"""The packed store: how packing survives stops, and another packer."""

import multiprocessing
import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from soke.data import load_motion, packing
from soke.data.freshness import open_shard
from soke.data.packing import is_packed
from soke.data.store import FRAMES, LINES, Shard, shard_folder
from tests.data.conftest import as_parameters, dump, motion
from tests.data.store.shards import LENGTHS, NAMES, check_numbers, contents, packed, stopping


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
