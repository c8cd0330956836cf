"""The neutral layout for data of one's own: a table of clips and a file a clip.

One long file: first the table, then the pose files, each with all that can be wrong with them.
"""

import zipfile

import numpy as np
import pytest

from soke.data import load_motion, read_annotations, read_isolated_signs
from soke.data.motion.reader import read_motion_file
from soke.data.scan import survey
from soke.files import MissingAssetError
from soke.parts import PARAMETERS
from tests.data.conftest import (
    LIBRARY,
    TABLE_COLUMNS,
    as_library,
    as_parameters,
    motion,
    write_arrays,
    write_table,
)


def row(name, text="ciao", language="it", split="train", fps=""):
    return name, text, language, split, fps


def read(root, split="train", **more):
    return read_annotations("table", root, split, **more)


@pytest.fixture
def one_clip(tmp_path):
    """A folder with one good clip called ``good``."""
    write_arrays(tmp_path / "poses" / "good.npy", motion(9))
    return tmp_path


def fault_of(root, rows, **more):
    """What is said about the one row that is left out beside a good one."""
    path = write_table(root / "clips.csv", [row("good"), *rows], **more)
    clips, dropped = read(root)
    assert [clip.name for clip in clips] == ["good"]
    assert sum(dropped.values()) == len(dropped.faults) == 1
    assert dropped.faults[0].startswith(f"{path}, line")
    return f"{next(iter(dropped))}: {dropped.faults[0]}"


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_rows_are_clips_of_their_split_and_language(tmp_path, delimiter):
    rows = [
        row("a", "  Buongiorno, mondo  "),
        row("b/c", 'disse "ciao"', split="val"),
        row("d", "hello", "en"),
        row("e", "sì", split="test"),
        row("f", "perché", fps="50"),
    ]
    write_table(tmp_path / "clips.csv", rows, delimiter=delimiter)
    write_arrays(tmp_path / "poses/a.npz", as_parameters(motion(6, 1)))
    write_arrays(tmp_path / "poses/b/c.npz", as_library(motion(7, 2)))
    for name, seed in (("d", 3), ("e", 4), ("f", 5)):
        write_arrays(tmp_path / f"poses/{name}.npy", motion(10, seed))
    (a, f), dropped = read(tmp_path, corpus="italian", language="it", fps=25)
    assert (a.name, a.corpus, a.text, a.split) == ("a", "italian", "Buongiorno, mondo", "train")
    assert (a.fps, f.fps, f.text) == (None, 50.0, "perché")
    assert dropped == {"text in another language": 1} and not dropped.faults
    np.testing.assert_array_equal(load_motion(a), motion(6, 1))
    np.testing.assert_array_equal(load_motion(f), motion(10, 5)[::2])
    (c,), _ = read(tmp_path, "val", language="it")
    assert c.text == 'disse "ciao"'
    np.testing.assert_array_equal(load_motion(c), motion(7, 2))
    assert [clip.name for clip in read(tmp_path)[0]] == ["a", "d", "f"]
    assert [clip.name for clip in read(tmp_path, language="en")[0]] == ["d"]
    with pytest.raises(ValueError, match=r"clips\.csv has no text in 'fr'; it has \['en', 'it'\]"):
        read(tmp_path, language="fr")


def test_columns_come_in_any_order_beside_others(one_clip):
    columns = ("fps", "signer", *TABLE_COLUMNS[:4])
    path = write_table(one_clip / "clips.csv", [("25", "Ada", *row("good")[:4])], columns)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\r\n\r\n")  # as spreadsheets write it
    (clip,), dropped = read(one_clip)
    assert (clip.name, clip.text, clip.fps) == ("good", "ciao", 25.0) and not dropped


@pytest.mark.parametrize("column", TABLE_COLUMNS[:4])
def test_a_missing_column_stops(tmp_path, column):
    columns = [name for name in TABLE_COLUMNS if name != column]
    path = write_table(tmp_path / "clips.csv", [], columns)
    with pytest.raises(ValueError, match=f"has no column {column}; it has") as error:
        read(tmp_path)
    assert str(path) in str(error.value)


def test_a_table_that_is_no_text_stops(tmp_path):
    path = tmp_path / "clips.csv"
    for content in (b"", b"\x89PNG\r\n\x1a\n\x00\x00", "name,text".encode("utf-16-le")):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"clips\.csv has no column"):
            read(tmp_path)
    write_table(path, [row("a", '"' + "x" * 200_000)])
    with pytest.raises(ValueError, match=r"clips\.csv, line 2: it cannot be read .*quotation mark"):
        read(tmp_path)


def test_broken_rows_are_named_and_the_others_are_read(one_clip):
    broken = "broken annotation entry"
    assert broken in fault_of(one_clip, [("b", "testo")])
    message = fault_of(one_clip, [row("b", split="training")])
    assert "line 3: split has to be one of ['train', 'val', 'test'], found 'training'" in message
    assert "fps has to be a number, found 'fast'" in fault_of(one_clip, [row("b", fps="fast")])
    assert "fps has to be above 0" in fault_of(one_clip, [row("b", fps="-25")])
    assert "'../b' is an invalid clip name" in fault_of(one_clip, [row("../b")])
    assert "'' is an invalid clip name" in fault_of(one_clip, [row("")])
    for text in ("", "   ", "\t \u00a0"):
        assert fault_of(one_clip, [row("b", text)]).startswith("no text: ")
    message = fault_of(one_clip, [("b", "uno", " due", "it", "train", "")])
    assert "found 'it'" in message  # a comma in the text that is in no quotation marks


def test_a_text_in_the_last_column_is_not_cut_at_a_comma(one_clip):
    columns = ("name", "language", "split", "fps", "text")
    rows = [("b", "it", "train", "25", "uno", " due"), ("good", "it", "train", "25", "tre", "")]
    write_table(one_clip / "clips.csv", rows, columns)
    (clip,), dropped = read(one_clip)
    assert clip.text == "tre" and dropped == {"broken annotation entry": 1}
    assert "line 2: the line has more fields than there are columns" in dropped.faults[0]


def test_bytes_that_are_no_text_spoil_their_own_line(one_clip):
    path = write_table(one_clip / "clips.csv", [row("bad", "x"), row("good", "perché")])
    path.write_bytes(path.read_bytes().replace(b"bad,x", b"bad,\xff\xfe"))
    (clip,), dropped = read(one_clip)
    assert clip.text == "perché" and len(dropped.faults) == 1
    assert "line 2: the name or the text is invalid UTF-8" in dropped.faults[0]


@pytest.mark.parametrize("closed", ["", 'c,"Che bello", disse,it,train,\n', 'c,Ciao",it,train,\n'])
def test_a_quotation_mark_that_is_not_closed_swallows_nothing_in_silence(one_clip, closed):
    header = ",".join(TABLE_COLUMNS)
    content = f'{header}\n\ngood,ciao,it,train,\na,"Ciao,it,train,\nb,Sera,it,train,\n{closed}'
    (one_clip / "clips.csv").write_text(content, encoding="utf-8")
    (clip,), dropped = read(one_clip)
    assert clip.text == "ciao"
    (fault,) = dropped.faults
    last = 6 if closed else 5
    assert f"clips.csv, lines 4 to {last}: a field goes over several lines" in fault


def test_faults_count_in_the_split_and_language_that_they_are_in(one_clip):
    rows = [row("good"), row("a", " "), row("b", "", "en"), row("c", "", split="val")]
    write_table(one_clip / "clips.csv", [*rows, row("d", split="nowhere")])
    counted = {"no text": 1, "broken annotation entry": 1, "text in another language": 1}
    assert read(one_clip, language="it")[1] == counted
    assert read(one_clip, "val")[1] == {"no text": 1, "broken annotation entry": 1}
    assert read(one_clip, "test")[1] == {"broken annotation entry": 1}


def test_a_name_counts_once_and_in_one_split_and_is_named(tmp_path):
    splits = {"a": ["train", "train"], "b": ["train", "val"], "c": ["val", "test", "train"]}
    rows = [row(name, split=split) for name, found in splits.items() for split in found]
    path = write_table(tmp_path / "clips.csv", rows)
    for name in splits:
        write_arrays(tmp_path / f"poses/{name}.npy", motion(9))
    kept = {split: read(tmp_path, split) for split in ("train", "val", "test")}
    names = {split: [clip.name for clip in clips] for split, (clips, _) in kept.items()}
    assert names == {"train": ["a"], "val": ["b"], "test": ["c"]}
    faults = kept["train"][1].faults
    assert faults[0] == f"{path}: table 'a': name occurs before"
    assert faults[1] == f"{path}: table 'b': also in the test or validation split"
    assert kept["train"][1] == {"name occurs before": 1, "also in the test or validation split": 2}


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(MissingAssetError, match=r"clips\.csv.*docs/own-data\.md"):
        read(tmp_path)
    write_table(tmp_path / "clips.csv", [row("a"), row("b")])
    with pytest.raises(MissingAssetError, match=r"Every pose file .*poses/<name>\.npz"):
        read(tmp_path)
    for split in ("dev", "signs", ""):
        with pytest.raises(ValueError, match="is unknown; choose one of"):
            read(tmp_path, split)


def test_isolated_signs_of_a_table(tmp_path):
    write_arrays(tmp_path / "poses/rec.npz", as_library(motion(20)))
    (tmp_path / "signs.json").write_text(
        '[{"name": "casa", "label": "casa", "start": 3, "end": 8, "video_file": "rec"},'
        '{"name": "x", "label": "  ", "start": 3, "end": 8, "video_file": "rec"},'
        '{"name": "y", "label": "\\ud800", "start": 3, "end": 8, "video_file": "rec"}]'
    )
    (sign,), dropped = read_isolated_signs("table", tmp_path, "signs.json")
    np.testing.assert_array_equal(load_motion(sign), motion(20)[3:9])
    assert dropped == {"no text": 1, "broken annotation entry": 1}
    assert "entry 1: 'x' has no label" in dropped.faults[0] and "UTF-8" in dropped.faults[1]


# Pose files


KINDS = {
    "keys.npz": as_parameters,
    "library.npz": as_library,
    "frames.npy": lambda frames: frames,
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_every_kind_of_file_holds_the_same_numbers(tmp_path, name, kind):
    path = write_arrays(tmp_path / name, KINDS[name](motion(8).astype(kind)))
    frames = read_motion_file(path).frames
    assert frames.dtype == np.float32
    np.testing.assert_array_equal(frames, motion(8))


def test_compressed_files_and_other_arrays_beside_the_poses(tmp_path):
    content = as_library(motion(8)) | {
        "transl": np.zeros((8, 3)),
        "v_template": np.zeros((10475, 3)),
        "gender": np.array("f"),
        "mocap_frame_rate": np.array(25.0),
    }
    np.savez_compressed(tmp_path / "a.npz", **content)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as file:
        file.writestr("licence.txt", "ours")
    np.testing.assert_array_equal(read_motion_file(tmp_path / "a.npz").frames, motion(8))


def test_single_values_hold_for_the_clip_and_what_is_not_modelled_may_lack(tmp_path):
    content = as_library(motion(8))
    content["betas"], content["jaw_pose"] = content["betas"][0], np.zeros(3)
    expected = motion(8)
    expected[:, 159:169], expected[:, 156:159] = expected[0, 159:169], 0
    path = write_arrays(tmp_path / "a.npz", content)
    np.testing.assert_array_equal(read_motion_file(path).frames, expected)
    del content["betas"], content["global_orient"]
    expected[:, 159:169] = expected[:, :3] = 0
    path = write_arrays(tmp_path / "b.npz", content)
    np.testing.assert_array_equal(read_motion_file(path).frames, expected)


def changed(key, value):
    def change(content):
        content[key] = value
        return content

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {k: v for k, v in c.items() if k != "smplx_lhand_pose"}, "_lhand_pose' is miss"),
        (changed("smplx_lhand_pose", np.zeros((8, 12))), r"has shape \[8, 12\], not .* PCA"),
        (changed("smplx_body_pose", np.zeros((8, 20, 3))), "'smplx_body_pose' has shape"),
        (changed("smplx_body_pose", np.zeros((4, 2, 63))), "'smplx_body_pose' has shape"),
        (changed("smplx_rhand_pose", np.zeros((7, 45))), "'smplx_rhand_pose': 7"),
        (changed("smplx_jaw_pose", np.array({})), "_jaw_pose' holds an array of objects, which is"),
        (changed("smplx_jaw_pose", np.array(["a"] * 3)), "'smplx_jaw_pose' has to be an array"),
        (changed("smplx_lhand_pose", np.full((8, 45), np.nan)), "'smplx_lhand_pose' holds nan"),
        (changed("smplx_root_pose", np.full((8, 3), np.inf)), "'smplx_root_pose' holds inf"),
        (lambda c: {key: value[:0] for key, value in c.items()}, "frames above 0"),
        (lambda c: {}, r"is of no known form; there are \[\]"),
        (lambda c: {"x": np.array([{}])}, r"no known form; there are \['x'\]. Known are: SOKE mo"),
        (lambda c: {"hand_pose": np.zeros((8, 45))}, "hands alone"),
    ],
)
def test_faults_of_an_npz_are_named(tmp_path, change, message):
    path = write_arrays(tmp_path / "clip.npz", change(as_parameters(motion(8))))
    with pytest.raises(ValueError, match=message) as error:
        read_motion_file(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((8, 134)), r"has shape \[8, 134\], not \[T, 179\]"),
        (np.zeros((2, 4, 179)), "has shape"),
        (np.zeros((0, 179)), "frames above 0"),
        (np.full((8, 179), "a"), "has to be an array of numbers, found <U1"),
        (np.full((8, 179), np.nan), "'smplx_root_pose' holds nan in frame 0"),
        (np.full((8, 179), 1e39), "holds inf"),
        (np.array([{}] * 179, dtype=object), "has to be an array of numbers, found object"),
    ],
)
def test_faults_of_an_npy_are_named(tmp_path, array, message):
    path = write_arrays(tmp_path / "clip.npy", array)
    with pytest.raises(ValueError, match=message) as error:
        read_motion_file(path)
    assert str(path) in str(error.value)


def test_a_value_that_is_not_finite_is_named_with_its_key_and_frame(tmp_path):
    frames, ends = motion(8), np.cumsum([size for _, size in PARAMETERS])
    for (key, _), end in zip(PARAMETERS, ends):
        broken = frames.copy()
        broken[5, end - 1] = np.nan
        path = write_arrays(tmp_path / f"{key}.npy", broken)
        with pytest.raises(ValueError, match=f"'{key}' holds nan in frame 5"):
            read_motion_file(path)
        path = write_arrays(tmp_path / f"{key}.npz", as_library(broken))
        if key == "smplx_shape":  # by itself it is not needed
            assert not read_motion_file(path).frames[:, 159:169].any()
            continue
        with pytest.raises(ValueError, match=f"'{LIBRARY[key]}' holds nan in frame 5"):
            read_motion_file(path)
    assert set(LIBRARY) == {key for key, _ in PARAMETERS}


@pytest.mark.parametrize("ending", [".npz", ".npy"])
def test_damaged_bytes_are_one_kind_of_error(tmp_path, ending):
    whole = {
        name: write_arrays(tmp_path / name, kind(motion(4))).read_bytes()
        for name, kind in KINDS.items()
    }
    draw, path = np.random.default_rng(0), tmp_path / f"bad{ending}"
    other = next(content for name, content in whole.items() if not name.endswith(ending))
    damaged = [b"", b"\0" * 999, other]
    for content in (content for name, content in whole.items() if name.endswith(ending)):
        damaged += [content[:size] for size in (5, 60, len(content) // 2, len(content) - 1)]
        for _ in range(200):  # mostly in the headers, at the beginning and at the end
            broken, at = bytearray(content), draw.choice([0, 60, len(content) - 700])
            broken[at + draw.integers(0, 100)] = draw.integers(256)
            damaged.append(bytes(broken))
    errors = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            assert read_motion_file(path).frames.shape[1] == 179
        except ValueError as error:  # anything else fails the test
            errors += 1
            assert str(path) in str(error)
    assert errors > 100


def test_damaged_clips_are_left_out_and_named(one_clip):
    names = ["good", "nan", "wrong", "zero", "short", "damaged", "nowhere"]
    write_table(one_clip / "clips.csv", [row(name) for name in names])
    folder, broken = one_clip / "poses", motion(60)
    broken[7, 40] = np.nan
    write_arrays(folder / "nan.npy", broken)
    write_arrays(folder / "wrong.npy", motion(60)[:, :134])
    write_arrays(folder / "zero.npy", motion(0))
    write_arrays(folder / "short.npy", motion(3))
    path = write_arrays(folder / "damaged.npz", as_library(motion(60)))
    path.write_bytes(path.read_bytes()[:-40])
    clips, dropped = read(one_clip)
    found = survey(clips, dropped)
    assert [clip.name for clip in found.clips] == ["good"] and found.lengths.tolist() == [9]
    assert dropped == {"damaged poses": 4, "under 4 frames": 1, "no pose files": 1}
    for name in ("nan", "wrong", "zero", "short", "damaged"):
        (fault,) = [fault for fault in dropped.faults if f"'{name}'" in fault]
        assert f"poses/{name}.np" in fault
