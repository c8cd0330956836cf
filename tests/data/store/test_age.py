"""The packed store: how an old one shows."""

import os
import shutil
from dataclasses import replace

import pytest

from soke.data import freshness
from soke.data.freshness import open_shard
from soke.data.packing import is_packed
from soke.data.store import FRAMES, shard_folder
from tests.data.conftest import as_parameters, dump, motion
from tests.data.store.shards import FILES, NAMES, check_numbers, contents, packed, stopping


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
    touch_text,
    rewrite_frame,
    rewrite_with_an_older_file,
    swap_two_frames,
    add_frame,
    remove_frame,
    replace_clip_file,
    mend_damaged,
    add_missing,
    lengthen_short,
    move_to_test,
]


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
    assert message in str(error.value) and "soke pack" in str(error.value)
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
    monkeypatch.setattr("soke.data.listing.sources.read_annotations", None)
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
    message = rf"packed by other rules: {key} {old!r}, not {value!r}\. .*soke pack"
    with pytest.raises(ValueError, match=message):
        open_shard(store, replace(corpus.source(), **rule))
    assert not is_packed(store, replace(corpus.source(), **rule))


def test_without_a_thorough_look_pose_files_are_not_touched(corpus, store, monkeypatch):
    source = corpus.source()
    packed(store, source)
    rewrite_frame(corpus)
    monkeypatch.setattr("soke.data.freshness.stamp", None)
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


def copied(corpus, store, to):
    """A copy of data and store with the dates of now; the source and the store in it."""
    shutil.copytree(corpus.root, to / "data", copy_function=shutil.copyfile)
    shutil.copytree(store, to / "packed", copy_function=shutil.copyfile)
    return replace(corpus.source(), root=str(to / "data")), to / "packed"


def count_readings(monkeypatch):
    names, read_all = [], freshness.read_all

    def read(clips, workers):
        names.extend(clip.name for clip in clips)
        return read_all(clips, workers)

    monkeypatch.setattr(freshness, "read_all", read)
    return names


@pytest.mark.parametrize("workers", [0, 2])
def test_a_copy_with_other_dates_is_read_once_and_taken(
    corpus, store, tmp_path, monkeypatch, caplog, workers
):
    packed(store, corpus.source())
    source, copy = copied(corpus, store, tmp_path / "copy")
    names = count_readings(monkeypatch)
    with caplog.at_level("INFO"):
        check_numbers(open_shard(copy, source, workers=workers))
    assert names == [*NAMES[:7], NAMES[8], NAMES[7]]  # the damaged one may have been mended
    assert "8 clips have another date" in caplog.text and "content" in caplog.text
    names.clear()
    check_numbers(open_shard(copy, source))
    assert is_packed(copy, source) and names == 2 * [NAMES[7]]
    names.clear()
    check_numbers(open_shard(store, corpus.source()))  # where it was packed nothing is read
    assert names == []


def test_a_copy_in_which_one_frame_changed_is_detected(corpus, store, tmp_path):
    packed(store, corpus.source())
    source, copy = copied(corpus, store, tmp_path / "copy")
    check_numbers(open_shard(copy, source))
    path = tmp_path / "copy" / "data" / "poses" / NAMES[3] / "000007.pkl"
    frame = motion(61, 3)[7]
    frame[100] += 1e-3
    dump(path, as_parameters(frame))
    with pytest.raises(ValueError, match=r"older than its source.*clip-3 has changed"):
        open_shard(copy, source)


def test_a_damaged_clip_that_was_mended_in_a_copy_is_detected(corpus, store, tmp_path):
    packed(store, corpus.source())
    source, copy = copied(corpus, store, tmp_path / "copy")
    dump(tmp_path / "copy/data/poses" / NAMES[7] / "000003.pkl", as_parameters(motion(1)[0]))
    with pytest.raises(ValueError, match="clip-7 was not there, or has changed"):
        open_shard(copy, source)


def test_a_copy_that_cannot_be_written_to_is_taken_all_the_same(corpus, store, tmp_path):
    packed(store, corpus.source())
    source, copy = copied(corpus, store, tmp_path / "copy")
    folder = shard_folder(copy, "csl", "train")
    (folder / "copies.txt").mkdir()  # as good as forbidden, also to the superuser
    check_numbers(open_shard(copy, source))


def test_a_note_about_a_copy_is_no_note_about_another_packing(corpus, store, tmp_path):
    """The copy's files come back after the store was packed from others."""
    packed(store, corpus.source())
    source, copy = copied(corpus, store, tmp_path / "copy")
    open_shard(copy, source)
    notes = (shard_folder(copy, "csl", "train") / "copies.txt").read_text()
    root, kept = tmp_path / "copy" / "data", tmp_path / "copy" / "kept"
    root.rename(kept)
    shutil.copytree(kept, root)
    dump(root / "poses" / NAMES[0] / "000000.pkl", as_parameters(motion(1, 77)[0]))
    folder = packed(copy, source).folder
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    (folder / "copies.txt").write_text(notes)
    shutil.rmtree(root)
    kept.rename(root)
    with pytest.raises(ValueError, match="clip-0 has changed"):
        open_shard(copy, source)


def test_packing_that_was_interrupted_and_copied_does_not_write_its_frames_again(
    corpus, store, tmp_path, monkeypatch
):
    class Stop(Exception):
        pass

    def stop():
        raise Stop

    with monkeypatch.context() as patch:
        stopping(patch, 6, stop)
        with pytest.raises(Stop):
            packed(store, corpus.source())
    source, copy = copied(corpus, store, tmp_path / "copy")
    dump(tmp_path / "copy/data/poses" / NAMES[1] / "000003.pkl", as_parameters(motion(1, 5)[0]))
    with monkeypatch.context() as patch:
        stopping(patch, 4, stop)  # and once more, with lines that point back
        with pytest.raises(Stop):
            packed(copy, source)
    shard = packed(copy, source)
    frames = sum(shard.lengths.tolist())
    assert (shard.folder / FRAMES).stat().st_size == (frames + 44) * 179 * 4  # clip-1 twice
    fresh = packed(tmp_path / "fresh", source)
    assert [shard.record(i)["crc32"] for i in range(8)] == [
        fresh.record(i)["crc32"] for i in range(8)
    ]
    shard.verify()
    assert contents(shard) != contents(fresh)


def test_a_store_with_texts_as_annotated_is_still_read(corpus, store, monkeypatch):
    corpus.annotate([(name, f"text\u200b{name}\x07") for name in NAMES])
    with monkeypatch.context() as earlier:
        earlier.setattr("soke.data.listing.annotations.clean", lambda text: text)
        packed(store, corpus.source())
    for path in corpus.folder(NAMES[3]).iterdir():
        os.utime(path, (1e9, 1e9))  # compares the clip that has this text
    check_numbers(open_shard(store, corpus.source()))
