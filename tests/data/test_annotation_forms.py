"""Annotations of the benchmarks in the forms that people hold, written by pickle, torch and csv."""

import csv
import gzip
import io
import json
import os
import pickle
import pickletools
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch

from soke.data import load_motion, read_annotations
from soke.data.scan import survey
from soke.files import MissingAssetError
from tests.data.conftest import motion, write_arrays


def compressed(value, protocol=4):
    return gzip.compress(pickle.dumps(value, protocol))


#: What stands in place of a video in every record.
NO_VIDEO = torch.zeros(0)


def rows(layout):
    """Two clips, as (name, text, gloss, signer, number of frames)."""
    prefix = "train/" if layout == "phoenix" else ""
    return [
        (f"{prefix}S000_P1-1", "你们好！", "你们 好", "Signer01", 12),
        (f"{prefix}S001_P2-7", "schönes Wetter .", "WETTER SCHOEN", "Signer02", 9),
    ]


def list_of_dicts(layout, sign=NO_VIDEO):
    return [
        {
            "name": name,
            "signer": signer,
            "gloss": gloss,
            "text": text,
            "sign": sign,
            "num_frames": count,
            "alignments": {"pami0": "0 1 " * 500},
        }
        for name, text, gloss, signer, count in rows(layout)
    ]


def dict_of_dicts(layout, ending=""):
    return {
        name + ending: {
            "name": name + ending,
            "gloss": gloss.split(),
            "text": text,
            "length": count,
            "video_path": f"{name}.mp4",
            "imgs_path": [f"{name}/images{i:04d}.png" for i in range(count)],
        }
        for name, text, gloss, _, count in rows(layout)
    }


FORMS = {
    **{
        f"a list with tensors, protocol {protocol}": lambda layout, protocol=protocol: compressed(
            list_of_dicts(layout, torch.zeros(1, 1)), protocol
        )
        for protocol in range(2, 6)
    },
    "a list, not compressed": lambda layout: pickle.dumps(list_of_dicts(layout), 2),
    "a list, the oldest protocol": lambda layout: pickle.dumps(dict_of_dicts(layout), 0),
    "protocol 1, optimised": lambda layout: pickletools.optimize(
        pickle.dumps(list(dict_of_dicts(layout).values()), 1)
    ),
    "a dict": lambda layout: compressed(dict_of_dicts(layout)),
    "a dict by video": lambda layout: compressed(dict_of_dicts(layout, ".mp4")),
    "JSON": lambda layout: json.dumps(list(dict_of_dicts(layout).values())).encode(),
    "JSON by name": lambda layout: b"\xef\xbb\xbf" + json.dumps(dict_of_dicts(layout)).encode(),
}
FILES = {
    "how2sign": "train/re_aligned/how2sign_realigned_train_preprocessed_fps.csv",
    "csl": "csl_clean.train",
    "phoenix": "phoenix14t.train",
}


def annotated(corpus, content, file=None):
    path = corpus.root / (file or FILES[corpus.layout])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    for i, (name, *_) in enumerate(rows(corpus.layout)):
        corpus.write_clip(name, motion(12, seed=i))
    return path


@pytest.mark.parametrize("layout", FILES)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_every_benchmark(write_corpus, layout, form):
    corpus = write_corpus(layout)
    annotated(corpus, FORMS[form](layout))
    clips, dropped = read_annotations(layout, corpus.root, "train")
    assert not dropped
    found = [(clip.name, clip.text, clip.gloss, clip.num_frames) for clip in clips]
    assert found == [(name, text, gloss, n) for name, text, gloss, _, n in rows(layout)]
    if "list" in form and "oldest" not in form:
        assert [clip.signer for clip in clips] == ["Signer01", "Signer02"]
    np.testing.assert_array_equal(load_motion(clips[1]), motion(12, seed=1))


def test_phoenix_as_its_release_lists_it(write_corpus):
    corpus = write_corpus("phoenix")
    lines = ["name|video|start|end|speaker|orth|translation"]
    for name, text, gloss, signer, _ in rows("phoenix"):
        short = name.removeprefix("train/")
        lines.append(f"{short}|{short}/1/*.png|-1|-1|{signer}|{gloss}|{text}")
    annotated(corpus, "\n".join(lines).encode(), "PHOENIX-2014-T.train.corpus.csv")
    clips, dropped = read_annotations("phoenix", corpus.root, "train")
    assert not dropped and not dropped.notes
    assert [(c.name, c.text, c.gloss, c.signer) for c in clips] == [r[:4] for r in rows("phoenix")]


HOW2SIGN = (
    "VIDEO_ID VIDEO_NAME SENTENCE_ID SENTENCE_NAME START_REALIGNED END_REALIGNED SENTENCE".split()
)
TEXTS = [
    "\"So, you can't get in and decide,",  # a quotation mark that never closes
    'I call it "painting" the wall.',
    '"""Oops, let\'s get our tip right""."',
    '"Strong face, ""great bones."',
    "Plain, with commas; and more.",
]
READ = [
    "\"So, you can't get in and decide,",
    'I call it "painting" the wall.',
    '"Oops, let\'s get our tip right".',
    'Strong face, "great bones.',
    "Plain, with commas; and more.",
]


def realigned(seconds):
    """The release's own table, where texts stand as they came; one video has all clips."""
    lines = ["\t".join(HOW2SIGN)]
    for i, text in enumerate(TEXTS):
        end = 10 + seconds[i]
        lines.append(f"v\tv-1-rgb_front\tv_{i}\tv_{i}-1-rgb_front\t10.0\t{end:.2f}\t{text}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("release", [1, 2])
def test_how2sign_without_a_rate(write_corpus, release):
    corpus = write_corpus("how2sign")
    path = corpus.root / "train/re_aligned/how2sign_realigned_train.csv"
    path.parent.mkdir(parents=True)
    lengths = [30, 31, 60, 90, 15]
    path.write_text(realigned([n / 25 + 0.3 * (i == 4) for i, n in enumerate(lengths)]))
    write = corpus.write_frames if release == 1 else corpus.write_clip
    for i, n in enumerate(lengths):
        write(f"v_{i}-1-rgb_front", motion(n))
    clips, dropped = read_annotations("how2sign", corpus.root, "train")
    assert [clip.text for clip in clips] == READ and not dropped
    # The short one alone would be taken for 24: the clips of one video share a rate.
    assert {clip.fps for clip in clips} == {25.0}
    assert [len(load_motion(clip)) for clip in clips] == [int(24 * n / 25) for n in lengths]
    (note,) = dropped.notes
    assert "no frame rate" in note and "5 at 25 frames/s" in note


def test_how2sign_whose_longest_clips_have_no_poses(write_corpus):
    corpus = write_corpus("how2sign")
    path = corpus.root / "train/re_aligned/how2sign_realigned_train.csv"
    path.parent.mkdir(parents=True)
    path.write_text(realigned([9, 8, 7, 6, 5]))
    corpus.write_clip("v_4-1-rgb_front", motion(150))
    (clip,), dropped = read_annotations("how2sign", corpus.root, "train")
    assert clip.fps == 30 and len(load_motion(clip)) == 120
    assert dropped == {"no pose files": 4}


def test_how2sign_without_rates_or_durations_says_so(write_corpus):
    corpus = write_corpus("how2sign")
    annotated(corpus, FORMS["a dict"]("how2sign"))
    clips, dropped = read_annotations("how2sign", corpus.root, "train")
    (note,) = dropped.notes
    assert len(clips) == 2 and "of 2 clips no frame rate is known" in note


@pytest.mark.parametrize("layout", FILES)
def test_fields_that_are_odd_and_not_needed_stop_nothing(write_corpus, layout):
    content = list_of_dicts(layout)
    more = {"split": "dev", "language": 3, "gloss": float("nan"), "signer": np.int64(7)}
    content = [entry | more | {"num_frames": np.int64(12)} for entry in content]
    corpus = write_corpus(layout)
    annotated(corpus, compressed(content))
    clips, dropped = read_annotations(layout, corpus.root, "train")
    assert not dropped
    assert {(c.gloss, c.signer, c.num_frames) for c in clips} == {("", "7", 12)}


def test_a_gloss_in_another_encoding_can_be_packed(write_corpus):
    corpus = write_corpus("phoenix")
    lines = ["name|speaker|orth|translation", "S1|M\xfcller|M\xdcNCHEN|Wetter"]
    path = corpus.root / "PHOENIX-2014-T.train.corpus.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes("\n".join(lines).encode("latin1"))
    corpus.write_clip("train/S1", motion(9))
    (clip,), _ = read_annotations("phoenix", corpus.root, "train")
    assert (clip.gloss, clip.signer) == ("M\ufffdNCHEN", "M\ufffdller")
    clip.gloss.encode()


def test_annotations_that_cannot_be_are_one_message(write_corpus):
    corpus = write_corpus("csl")
    for content, message in (
        (b"[" * 100_000, "cannot be read as JSON"),
        (json.dumps([{"name": "a", "text": "x", "fps": 10**400}]).encode(), None),
        (compressed([{"name": "a", "text": "x", "fps": 1e-6}]), None),
    ):
        path = annotated(corpus, content)
        if message is None:
            _, dropped = read_annotations("csl", corpus.root, "train")
            assert "fps has to be" in dropped.faults[0]
            continue
        with pytest.raises(ValueError, match=message):
            read_annotations("csl", corpus.root, "train")
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match="is not a file"):
        read_annotations("csl", corpus.root, "train")


def test_a_quoted_tab_is_no_separator(write_corpus):
    corpus = write_corpus("how2sign")
    path = corpus.annotate([])
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL)
        writer.writerow(["SENTENCE_NAME", "SENTENCE"])
        writer.writerow(["a", 'one\ttwo "three"'])
    corpus.write_clip("a", motion(5))
    (clip,), _ = read_annotations("how2sign", corpus.root, "train")
    assert clip.text == 'one two "three"'


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_quoted_line_break_in_a_table_of_tabs_is_named(tmp_path, place):
    table = [line.format("\t").split("\t") for line in LINES]
    table = [[row[0], *row[2:]] for row in [table[0], ["bad", *table[1][1:]], table[1]]]
    for row, text in zip(table, ["text", 'one "x"\n\ntwo', "sì"]):
        row.insert(place, text)
    lines = io.StringIO()
    csv.writer(lines, delimiter="\t").writerows(table)
    stray = lines.getvalue().splitlines()[-1].replace("good", "good2").replace("sì", '"So')
    write_arrays(tmp_path / "poses/good2.npy", motion(9))
    clips, dropped = own(tmp_path, lines.getvalue() + stray)
    assert [clip.text for clip in clips] == ["sì", '"So']
    (fault,) = dropped.faults
    assert "clips.csv, lines 2 to 4: a field goes over several lines" in fault


def test_names_of_one_file_are_one_name(tmp_path):
    lines = [*LINES, "./good{0}x{0}it{0}train", "good/{0}y{0}it{0}train"]
    (clip,), dropped = own(tmp_path, "\n".join(lines).format(","))
    assert clip.name == "good" and dropped == {"name occurs before": 2}


class Attack:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("layout", FILES)
def test_attacks_in_unused_fields_stay_inert(write_corpus, layout, tmp_path):
    marker = tmp_path / "executed"
    content = list_of_dicts(layout, Attack(marker))
    content[1]["gloss"] = Attack(marker)
    corpus = write_corpus(layout)
    path = annotated(corpus, compressed(content))
    clips, dropped = read_annotations(layout, corpus.root, "train")
    assert [clip.name for clip in clips] == [rows(layout)[0][0]]
    (fault,) = dropped.faults
    assert fault.startswith(f"{path}, entry 1: 'gloss' has to be str, found posix.system")
    assert not marker.exists()


def test_a_file_of_another_name_is_offered(write_corpus):
    for layout, file, pattern in (
        ("phoenix", "phoenix14t.pami0.train", "phoenix14t.pami0.{split}"),
        ("csl", "csl-daily.train", "csl-daily.{split}"),
        ("how2sign", "train/re_aligned/labels.train", "{split}/re_aligned/labels.{split}"),
    ):
        corpus = write_corpus(layout)
        annotated(corpus, FORMS["a dict"](layout), file)
        with pytest.raises(MissingAssetError) as error:
            read_annotations(layout, corpus.root, "train", corpus="mine")
        name = Path(file).name
        assert f"Found {name}: set CORPORA.mine.annotation='{pattern}' to read it" in str(
            error.value
        )
        clips, _ = read_annotations(layout, corpus.root, "train", template=pattern)
        assert len(clips) == 2
    # Both spellings of the validation split are found.
    for folder, ending in (("dev", "dev"), ("val", "dev"), ("dev", "val")):
        path = corpus.root / folder / f"re_aligned/labels.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(compressed({}))
        clips, _ = read_annotations("how2sign", corpus.root, "val", template=pattern)
        assert not clips
        path.unlink()


def own(tmp_path, content, encoding="utf-8"):
    write_arrays(tmp_path / "poses/good.npy", motion(9))
    (tmp_path / "clips.csv").write_bytes(content.encode(encoding))
    return read_annotations("table", tmp_path, "train", language="it")


LINES = ["name{0}text{0}language{0}split", "good{0}sì{0}it{0}train"]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("before", ["", "\n\r\n"])
def test_tables_as_spreadsheets_write_them(tmp_path, mark, encoding, before):
    (clip,), dropped = own(tmp_path, before + "\r\n".join(LINES).format(mark), encoding)
    assert clip.text == "sì" and clip.fps is None and not dropped


@pytest.mark.parametrize("mark", [",", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_only_line_ends_end_a_line(tmp_path, mark, end):
    odd = "one\u2028two\x0bthree\x85four"
    content = end.join([*LINES, f"good2{{0}}{odd}{{0}}it{{0}}train"]).format(mark)
    write_arrays(tmp_path / "poses/good2.npy", motion(9))
    clips, dropped = own(tmp_path, content)
    assert [clip.text for clip in clips] == ["sì", "one two three four"] and not dropped


def test_faults_of_a_table_name_their_line(tmp_path):
    content = "\n\n" + "\n".join([*LINES, "bad{0}x{0}it{0}never"]).format(";")
    clips, dropped = own(tmp_path, content)
    assert len(clips) == 1 and "clips.csv, line 5: split has to be" in dropped.faults[0]
    with pytest.raises(ValueError, match=r"clips\.csv has the column 'text' twice"):
        own(tmp_path, "name,text,text,language,split\n")


def test_every_row_is_counted(tmp_path):
    lines = [*LINES, "good2{0}x{0}itt{0}train", "good3{0}y{0}en{0}val"]
    clips, dropped = own(tmp_path, "\n".join(lines).format(","))
    assert len(clips) == 1 and dropped == {"text in another language": 1}


@pytest.mark.parametrize("spelling", ["NFC", "NFD"])
def test_letters_with_marks_have_two_spellings_in_file_names(tmp_path, spelling):
    other = {"NFC": "NFD", "NFD": "NFC"}[spelling]
    name = unicodedata.normalize(spelling, "perché_città")
    write_arrays(tmp_path / f"poses/{unicodedata.normalize(other, name)}.npy", motion(9))
    table = f"name,text,language,split\n{name},x,it,train\n"
    (tmp_path / "clips.csv").write_text(table, encoding="utf-8")
    (clip,), _ = read_annotations("table", tmp_path, "train")
    assert clip.name == name and len(load_motion(clip)) == 9


def test_texts_that_were_read_as_latin_1(write_corpus):
    corpus = write_corpus("csl")
    wrong = "it doesn\u00e2\u0080\u0099t burn"
    content = [{"name": name, "text": wrong} for name, *_ in rows("csl")]
    annotated(corpus, compressed(content))
    clips, dropped = read_annotations("csl", corpus.root, "train")
    (note,) = dropped.notes
    assert clips[0].text == "it doesnât burn"
    assert "2 texts hold UTF-8 that was read as Latin-1" in note and "mend_text=true" in note
    clips, dropped = read_annotations("csl", corpus.root, "train", mend_text=True)
    assert clips[0].text == "it doesn’t burn" and not dropped.notes


def test_long_clips_are_left_out_by_every_layout(write_corpus):
    corpus = write_corpus("csl")
    content = [{"name": name, "text": "x"} for name, *_ in rows("csl")]
    path = annotated(corpus, compressed(content))
    corpus.write_clip(rows("csl")[1][0], motion(750))
    for limit, kept in ((30.0, 1), (31.0, 2), (None, 2)):
        clips, dropped = read_annotations("csl", path.parent, "train", fps=25, max_seconds=limit)
        assert len(survey(clips, dropped).clips) == kept
        assert dropped == ({"30 s or longer": 1} if limit == 30 else {})
