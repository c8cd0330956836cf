import logging
import os
import pickle
import time
from collections import Counter

import numpy as np
import pytest
import torch

from soke.data import LAYOUTS, load_motion, read_annotations
from soke.files import MissingAssetError
from tests.data.conftest import COLUMNS, dump, motion

NAMES = {
    "how2sign": ["a1_3-8-rgb_front", "b_0-1-rgb_front"],
    "csl": ["S000_P0_T00", "S001_P0_T00"],
    "phoenix": ["train/26July_2010_tagesschau-6828", "train/01May_2011_heute-1"],
}


@pytest.mark.parametrize("layout", NAMES)
@pytest.mark.parametrize("release", [1, 2])
def test_clips_of_every_layout_and_release(write_corpus, layout, release):
    corpus = write_corpus(layout)
    corpus.annotate([(name, f" Text ä {i} ") for i, name in enumerate(NAMES[layout])])
    write = corpus.write_frames if release == 1 else corpus.write_clip
    for i, name in enumerate(NAMES[layout]):
        write(name, motion(12, seed=i))
    clips, dropped = read_annotations(layout, corpus.root, "train", corpus="mine")
    assert [clip.name for clip in clips] == NAMES[layout] and not dropped
    assert {(clip.corpus, clip.split) for clip in clips} == {("mine", "train")}
    assert clips[1].text == "Text ä 1"
    for i, clip in enumerate(clips):
        np.testing.assert_array_equal(load_motion(clip), motion(12, seed=i))


@pytest.mark.parametrize("layout", NAMES)
def test_clip_files_come_first_and_folders_fill_in(write_corpus, layout):
    corpus, (one, two) = write_corpus(layout), NAMES[layout]
    corpus.annotate([(one, "a"), (two, "b")])
    corpus.write_frames(one, motion(5, seed=1))
    corpus.write_clip(one, motion(6, seed=2))
    corpus.write_frames(two, motion(7, seed=3))
    clips, _ = read_annotations(layout, corpus.root, "train")
    assert [len(load_motion(clip)) for clip in clips] == [6, 7]


def test_the_validation_split_of_phoenix_is_called_dev(write_corpus):
    corpus = write_corpus("phoenix")
    corpus.annotate([("dev/a-1", "Wetter")], split="dev")
    corpus.write_frames("dev/a-1", motion(5))
    (clip,), _ = read_annotations("phoenix", corpus.root, "val")
    assert (clip.name, clip.split) == ("dev/a-1", "val")
    with pytest.raises(ValueError, match=r"'dev' is unknown.*'val'"):
        read_annotations("phoenix", corpus.root, "dev")
    with pytest.raises(ValueError, match=r"'asl' is unknown.*'how2sign'"):
        read_annotations("asl", corpus.root, "train")


@pytest.mark.parametrize("release", [1, 2])
def test_every_clip_left_out_is_counted_by_reason(write_corpus, release):
    corpus = write_corpus("how2sign")
    frames = {
        "good": (30, 10.0, 39.9, 24.0),
        "0DU7wWLK-QU_0-8-rgb_front": (30, 0.0, 2.0, 24.0),
        "long": (30, 10.0, 40.0, 24.0),
        "longer": (30, 0.0, 99.0, 24.0),
        "short": (3, 0.0, 2.0, 24.0),
        "four": (4, 0.0, 2.0, 24.0),
        "short_when_thinned": (4, 0.0, 2.0, 30.0),
        "four_when_thinned": (5, 0.0, 2.0, 30.0),
        "nowhere": (0, 0.0, 2.0, 24.0),
    }
    corpus.annotate([(name, "text", *numbers) for name, (_, *numbers) in frames.items()])
    write = corpus.write_frames if release == 1 else corpus.write_clip
    for name, (n, *_) in frames.items():
        if n:
            write(name, motion(n))
    corpus.folder("nowhere").mkdir(parents=True)
    clips, dropped = read_annotations("how2sign", corpus.root, "train")
    assert [clip.name for clip in clips] == ["good", "four", "four_when_thinned"]
    assert [len(load_motion(clip)) for clip in clips] == [30, 4, 4]
    assert dropped == Counter(
        {"known bad pose fit": 1, "30 s or longer": 2, "under 4 frames": 2, "no pose files": 1}
    )


def test_the_list_of_bad_clips_is_complete():
    bad = LAYOUTS["how2sign"].known_bad
    assert len(bad) == 31 and "g3Cc_1-V31U_12-3-rgb_front" in bad
    assert not LAYOUTS["csl"].known_bad and not LAYOUTS["phoenix"].known_bad


@pytest.mark.parametrize("release", [1, 2])
def test_high_frame_rates_are_thinned(write_corpus, release):
    corpus = write_corpus("how2sign")
    corpus.annotate([("fast", "a", 0, 1, 30.0), ("slow", "b", 0, 1, 15.0)])
    for name in ("fast", "slow"):
        (corpus.write_frames if release == 1 else corpus.write_clip)(name, motion(10))
    fast, slow = read_annotations("how2sign", corpus.root, "train")[0]
    assert load_motion(fast)[:, 0].tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert load_motion(slow)[:, 0].tolist() == list(range(10))


def test_gaps_in_the_numbering_are_survived_and_logged(write_corpus, caplog):
    corpus = write_corpus("csl")
    corpus.annotate([("a", "x")])
    corpus.write_frames("a", motion(5), numbers=[3, 4, 9, 10, 11])
    (clip,), _ = read_annotations("csl", corpus.root, "train")
    with caplog.at_level(logging.DEBUG):
        np.testing.assert_array_equal(load_motion(clip), motion(5))
    assert "4 frame numbers are missing" in caplog.text


@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_tables_with_tabs_or_commas_and_with_a_mark(write_corpus, delimiter, mark):
    corpus = write_corpus("how2sign")
    text = 'He said "well, no";\tthen left'
    corpus.annotate([("a", text, 1.5, 3.0, 25.0)], delimiter=delimiter, mark=mark)
    corpus.write_frames("a", motion(5))
    (clip,), _ = read_annotations("how2sign", corpus.root, "train")
    assert (clip.name, clip.fps) == ("a", 25.0)
    assert clip.text == 'He said "well, no"; then left'


def test_faults_of_a_table_are_named(write_corpus, caplog):
    corpus = write_corpus("how2sign")
    corpus.write_frames("good", motion(5))

    def message(*row):
        path = corpus.annotate([("good", "fine"), row])
        clips, dropped = read_annotations("how2sign", corpus.root, "train")
        assert [clip.name for clip in clips] == ["good"]
        (fault,) = dropped.faults
        assert fault.startswith(f"{path}, line 3: ") and fault in caplog.text
        assert sum(dropped.values()) == 1
        return f"{next(iter(dropped))}: {fault}"

    assert "broken annotation entry" in message("b", "y", 0, "", 24)
    assert "END_REALIGNED has to be a number, found ''" in message("b", "y", 0, "", 24)
    assert "fps has to be a number, found 'nan'" in message("b", "x", 0, 1, "nan")
    assert "fps has to be above 0" in message("b", "x", 0, 1, 0)
    assert "'../a' is an invalid clip name" in message("../a", "x")
    assert "no text" in message("b", " \t")
    path = corpus.annotate([("good", "fine")])
    path.write_text(",".join(reversed(COLUMNS)) + "\n24,1,0\n24,1,0,fine,good\n")
    clips, dropped = read_annotations("how2sign", corpus.root, "train")
    assert len(clips) == 1 and "line 2: the line ends" in dropped.faults[0]


def test_bytes_that_are_no_text_spoil_their_own_line(write_corpus):
    corpus = write_corpus("how2sign")
    corpus.write_frames("good", motion(5))
    path = corpus.annotate([("bad", "x"), ("good", "Grüße")])
    path.write_bytes(path.read_bytes().replace(b"bad,x", b"bad,\xff\xfe"))
    (clip,), dropped = read_annotations("how2sign", corpus.root, "train")
    assert clip.text == "Grüße" and dropped == {"broken annotation entry": 1}
    assert "line 2" in dropped.faults[0] and "UTF-8" in dropped.faults[0]


def test_a_table_that_is_wrong_as_a_whole_stops(write_corpus):
    corpus = write_corpus("how2sign")
    path = corpus.annotate([], columns=COLUMNS[::2])
    with pytest.raises(ValueError, match=r"no column text; it has .'SENTENCE_NAME', ") as error:
        read_annotations("how2sign", corpus.root, "train")
    assert str(path) in str(error.value)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ValueError, match="no column name, text: it begins with 'version"):
        read_annotations("how2sign", corpus.root, "train")


@pytest.mark.parametrize("layout", ["csl", "phoenix"])
@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("a", "entry 1: expected a dict"),
        ({"name": "b"}, "entry 1: 'text' has to be str"),
        ({"name": 3, "text": "x"}, "entry 1: 'name' has to be str, found int"),
        ({"name": "/etc", "text": "x"}, "'/etc' is an invalid clip name"),
        ({"name": "b", "text": "  "}, "'b' has no text"),
        ({"name": "b", "text": os.getcwd}, "'text' has to be str, found posix.getcwd"),
        ({"name": "b", "text": "x", "gloss": torch.zeros(1)}, "'gloss' has to be str, found torch"),
        ({"name": "b", "text": "x", "fps": {25}}, "fps has to be a number, found a set"),
    ],
)
def test_faults_of_a_pickled_list_are_named(write_corpus, layout, entry, message):
    corpus = write_corpus(layout)
    corpus.write_frames("a", motion(5))
    path = corpus.annotate([])
    path.write_bytes(pickle.dumps([{"name": "a", "text": "x"}, entry]))
    clips, dropped = read_annotations(layout, corpus.root, "train")
    assert len(clips) == 1
    (fault,) = dropped.faults
    assert message in fault and fault.startswith(str(path))


@pytest.mark.parametrize("layout", ["csl", "phoenix"])
@pytest.mark.parametrize(
    ("content", "message"),
    [({"a": 1}, "expected a list"), (3, "expected a list of dicts .* found int"), (b"", "list")],
)
def test_a_pickled_list_that_is_wrong_as_a_whole_stops(write_corpus, layout, content, message):
    corpus = write_corpus(layout)
    path = corpus.annotate([])
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=message) as error:
        read_annotations(layout, corpus.root, "train")
    assert str(path) in str(error.value)


def test_a_name_counts_once_and_in_one_split(write_corpus):
    corpus = write_corpus("csl")
    for name in "abcd":
        corpus.write_frames(name, motion(5))
    corpus.annotate([("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("d", "5")])
    corpus.annotate([("b", "2"), ("c", "4")], split="val")
    corpus.annotate([("c", "4")], split="test")

    def read(split):
        clips, dropped = read_annotations("csl", corpus.root, split)
        return [(clip.name, clip.text) for clip in clips], dict(dropped)

    elsewhere = "also in the test or validation split"
    assert read("train") == ([("a", "1"), ("d", "5")], {"name occurs before": 1, elsewhere: 2})
    assert read("val") == ([("b", "2")], {elsewhere: 1})
    assert read("test") == ([("c", "4")], {})


def test_damaged_poses_that_listing_meets_are_left_out(write_corpus):
    corpus = write_corpus("csl")
    corpus.annotate([("good", "x"), ("bad", "y")])
    corpus.write_frames("good", motion(5))
    path = corpus.write_clip("bad", motion(5))
    path.write_bytes(path.read_bytes()[:100])
    clips, dropped = read_annotations("csl", corpus.root, "train")
    assert [clip.name for clip in clips] == ["good"] and dropped == {"damaged poses": 1}
    assert str(path) in dropped.faults[0]


@pytest.mark.parametrize("layout", NAMES)
def test_what_is_missing_is_named_with_where_to_get_it(write_corpus, layout):
    corpus = write_corpus(layout)
    with pytest.raises(MissingAssetError, match="annotation of") as error:
        read_annotations(layout, corpus.root, "train")
    for hint in (str(corpus.root), LAYOUTS[layout].source, "soke fingerspelling"):
        assert hint in str(error.value)
    corpus.annotate([("a", "x"), ("b", "y")])
    with pytest.raises(MissingAssetError, match="Every pose file of"):
        read_annotations(layout, corpus.root, "train")


def test_listing_does_not_look_at_every_frame(write_corpus, monkeypatch):
    corpus = write_corpus("csl")
    rows = [(f"clip{i}", "x") for i in range(300)]
    corpus.annotate(rows)
    for name, _ in rows:
        folder = corpus.folder(name)
        folder.mkdir(parents=True)
        for i in range(20):
            (folder / f"{i:04d}.pkl").touch()
    dump(corpus.root / "poses_video_level" / "big.pkl", np.zeros(9000))
    corpus.annotate([*rows, ("big", "x")])
    monkeypatch.setattr("soke.data.listing.annotations.read_poses", None)
    started = time.perf_counter()
    clips, _ = read_annotations("csl", corpus.root, "train")
    assert len(clips) == 301
    assert time.perf_counter() - started < 3  # 35,000 clips take seconds, not minutes
