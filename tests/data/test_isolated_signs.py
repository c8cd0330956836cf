import json
import pickle

import numpy as np
import pytest

from soke.data import load_motion, read_isolated_signs
from soke.files import MissingAssetError
from tests.data.conftest import motion

BENCHMARKS = ("how2sign", "csl", "phoenix")


def sign(name="s", start=2, end=5, video_file="", **more):
    row = {"name": name, "label": "HOUSE", "start": start, "end": end, "video_file": video_file}
    return row | more


def listed(corpus, rows, file="signs.json"):
    corpus.root.mkdir(parents=True, exist_ok=True)
    content = json.dumps(rows).encode() if file.endswith("json") else pickle.dumps(rows)
    (corpus.root / file).write_bytes(content)
    return read_isolated_signs(corpus.layout, corpus.root, file)


@pytest.mark.parametrize("layout", BENCHMARKS)
@pytest.mark.parametrize("file", ["signs.json", "signs.pkl"])
def test_a_sign_is_the_frames_numbered_start_to_end(write_corpus, layout, file):
    corpus = write_corpus(layout)
    corpus.write_frames("test/rec_1", motion(10), split="test", numbers=range(1, 11))
    rows = [sign("s1", 2, 5, "test/rec_1"), sign("test/rec_1", 9, 12)]
    (one, two), dropped = listed(corpus, rows, file)
    assert (one.name, one.corpus, one.text) == ("s1", layout, "HOUSE")
    assert not dropped
    np.testing.assert_array_equal(load_motion(one), motion(10)[1:5])
    np.testing.assert_array_equal(load_motion(two), motion(10)[8:])


def test_how2sign_recordings_are_searched_in_all_splits(write_corpus):
    corpus = write_corpus("how2sign")
    for split in ("train", "val", "test"):
        corpus.write_frames(f"in_{split}_7", motion(4), split=split)
    rows = [sign(f"in_{split}_7", 0, 3) for split in ("val", "train", "test")]
    signs, _ = listed(corpus, rows)
    assert [s.poses for s in signs] == [
        corpus.folder(f"in_{split}_7", split) for split in ("val", "train", "test")
    ]


def test_the_recording_may_carry_a_suffix(write_corpus):
    corpus = write_corpus("csl")
    corpus.write_frames("rec", motion(6))
    (one,), _ = listed(corpus, [sign("s", 0, 5, "rec.mp4")])
    assert one.poses == corpus.folder("rec")


def test_signs_with_fewer_than_half_of_their_frames_are_left_out(write_corpus):
    corpus = write_corpus("csl")
    corpus.write_frames("rec", motion(6), numbers=[0, 1, 2, 3, 20, 22])
    ranges = {"half": (0, 7), "less": (0, 8), "gaps": (20, 22), "none": (10, 12), "back": (3, 1)}
    rows = [sign(name, *ends, "rec") for name, ends in ranges.items()]
    signs, dropped = listed(corpus, [*rows, sign("nowhere")])
    assert [s.name for s in signs] == ["half", "gaps"]
    assert dropped == {"fewer than half of the frames": 3, "no pose files": 1}
    np.testing.assert_array_equal(load_motion(signs[1])[:, 0], [4, 5])


def test_numbers_of_other_types_are_understood(write_corpus):
    corpus = write_corpus("csl")
    corpus.write_frames("rec", motion(6))
    rows = [sign("a", np.int64(1), np.float64(3.5), "rec")]
    (one,), _ = listed(corpus, rows, "signs.pkl")
    assert one.numbers == (1, 3) and len(load_motion(one)) == 3


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"name": "s"}, "entry 1: 'label' has to be str, found nothing"),
        (sign(start="1"), "entry 1: 'start' has to be"),
        (sign(end=float("nan")), "entry 1: start and end have to be numbers"),
        (sign(name="../s"), "'../s' is an invalid clip name"),
        (sign(video_file="/etc"), "'/etc' is an invalid clip name"),
    ],
)
def test_faults_of_the_list_are_named(write_corpus, row, message):
    corpus = write_corpus("csl")
    corpus.write_frames("good", motion(6))
    signs, dropped = listed(corpus, [sign("good"), row])
    (fault,) = dropped.faults
    assert len(signs) == 1 and message in fault and str(corpus.root / "signs.json") in fault


def test_a_recording_in_one_file_is_numbered_from_0(write_corpus):
    corpus = write_corpus("csl")
    corpus.write_clip("rec", motion(10))
    (one,), dropped = listed(corpus, [sign("s1", 2, 5, "rec"), sign("s2", 8, 20, "rec")])
    np.testing.assert_array_equal(load_motion(one), motion(10)[2:6])
    assert dropped == {"fewer than half of the frames": 1}


@pytest.mark.parametrize("damage", ["content", "folder in its place", "no folder of frames"])
def test_a_recording_that_cannot_be_read_is_left_out(write_corpus, damage):
    corpus = write_corpus("csl")
    corpus.write_frames("good", motion(6))
    if damage == "no folder of frames":
        broken = corpus.folder("rec")
        broken.parent.mkdir(parents=True, exist_ok=True)
        broken.write_text("a file")  # listing it raises NotADirectoryError
    else:
        broken = corpus.write_clip("rec", motion(10))
        broken.write_bytes(b"no pickle")
    if damage == "folder in its place":
        broken.unlink()
        broken.mkdir()  # opening it raises IsADirectoryError
    signs, dropped = listed(corpus, [sign("s1", 2, 5, "rec"), sign("good")])
    assert [s.name for s in signs] == ["good"]
    assert dropped == {"damaged poses": 1}
    assert str(broken) in dropped.faults[0]


def test_a_name_too_long_for_a_file_is_named(write_corpus):
    corpus = write_corpus("csl")
    corpus.write_frames("good", motion(6))
    signs, dropped = listed(corpus, [sign("x" * 300), sign("good")])
    assert len(signs) == 1
    (fault,) = dropped.faults
    assert "signs.json, entry 0: " in fault and "File name too long" in fault


def test_a_missing_or_damaged_list_is_named(write_corpus):
    corpus = write_corpus("csl")
    with pytest.raises(
        MissingAssetError, match=r"list of isolated signs of CSL-Daily.*signs\.json"
    ):
        read_isolated_signs("csl", corpus.root, "signs.json")
    corpus.root.mkdir(parents=True)
    (corpus.root / "signs.json").write_text("[{")
    with pytest.raises(ValueError, match=r"signs\.json cannot be read as JSON"):
        read_isolated_signs("csl", corpus.root, "signs.json")
