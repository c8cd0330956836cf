"""Bad input in every layout: named with clip and file, counted, left out; nothing is written."""

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from soke.assemble.data import read_clips
from soke.assemble.run import Run
from soke.assemble.training_data import report_data
from soke.config import load_config
from soke.data import load_motion, read_annotations, summary_table
from soke.data.listing.annotations import DropCounts
from soke.data.scan import read_all, survey
from tests.data.conftest import as_parameters, dump, motion, snapshot, write_arrays

ROOT = Path(__file__).parents[2]
BENCHMARKS = ("how2sign", "csl", "phoenix")
LAYOUTS = (*BENCHMARKS, "table")


def broken(key, change):
    """Frames as parameters of which one is changed in frame 7."""
    parameters = as_parameters(motion(60))
    parameters[key] = change(parameters[key].copy())
    return parameters


def put(value):
    def change(array):
        array[7, -1] = value
        return array

    return change


FAULTS = {
    "nan": broken("smplx_rhand_pose", put(np.nan)),
    "infinite": broken("smplx_expr", put(-np.inf)),
    "wide": broken("smplx_jaw_pose", lambda array: np.concatenate([array, array], axis=1)),
    "uneven": broken("smplx_lhand_pose", lambda array: array[:50]),
    "flat": broken("smplx_body_pose", lambda array: array.reshape(-1)),
    "empty": as_parameters(motion(0)),
    "keyless": {"smplx_jaw_pose": np.zeros((60, 3), np.float32)},
}
#: Which files are damaged as a whole.
CONTENTS = {"cut": lambda data: data[: len(data) // 2], "junk": lambda data: b"\0" * 99_999}


def write_damaged(corpus):
    """One good clip and one of every fault; their names."""
    names = ["good", *FAULTS, *CONTENTS]
    corpus.annotate([(name, f"text {name}") for name in names])
    corpus.write_clip("good", motion(50))
    ending = corpus.write_clip("x", motion(50)).suffix
    for name, content in FAULTS.items():
        path = corpus.write_clip(name, motion(50))
        (dump if ending == ".pkl" else write_arrays)(path, content)
    for name, damage in CONTENTS.items():
        path = corpus.write_clip(name, motion(50))
        path.write_bytes(damage(path.read_bytes()))
    return names


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_clip_files_are_named_and_counted(write_corpus, layout, workers, caplog):
    corpus = write_corpus(layout)
    names = write_damaged(corpus)
    before = snapshot(corpus.root)
    clips, dropped = read_annotations(layout, corpus.root, "train")
    found = survey(clips, dropped, workers)
    assert [clip.name for clip in found.clips] == ["good"] and found.lengths.tolist() == [50]
    assert dropped == {"damaged poses": len(names) - 1} and len(dropped.faults) == len(names) - 1
    for name in names[1:]:
        (fault,) = [fault for fault in dropped.faults if f"'{name}'" in fault]
        assert f"{name}.{'npz' if layout == 'table' else 'pkl'}" in fault and fault in caplog.text
    assert "'smplx_rhand_pose' holds nan in frame 7" in "".join(dropped.faults)
    assert "'smplx_expr' holds -inf in frame 7" in "".join(dropped.faults)
    assert snapshot(corpus.root) == before


@pytest.mark.parametrize("layout", BENCHMARKS)
def test_damaged_frames_are_named_and_counted(write_corpus, layout):
    corpus = write_corpus(layout)
    damages = {
        "nan": lambda path: dump(path, as_parameters(np.full(179, np.nan, np.float32))),
        "two": lambda path: dump(path, as_parameters(motion(2))),
        "cut": lambda path: path.write_bytes(path.read_bytes()[:200]),
        "nothing": lambda path: path.write_bytes(b""),
    }
    corpus.annotate([("good", "x"), ("short", "x"), ("hollow", "x"), *((n, "x") for n in damages)])
    corpus.write_frames("good", motion(9), numbers=[1, 2, 3, 7, 8, 9, 10, 12, 13])
    corpus.write_frames("short", motion(3))
    corpus.folder("hollow").mkdir()
    files = {}
    for name, damage in damages.items():
        files[name] = sorted(corpus.write_frames(name, motion(9)).iterdir())[5]
        damage(files[name])
    clips, dropped = read_annotations(layout, corpus.root, "train")
    found = survey(clips, dropped)
    assert [clip.name for clip in found.clips] == ["good"]
    assert (found.lengths.tolist(), found.gaps, found.missing) == ([9], 1, 4)
    assert dropped == {"damaged poses": 4, "under 4 frames": 1, "no pose files": 1}
    for name, path in files.items():
        assert any(f"'{name}'" in fault and str(path) in fault for fault in dropped.faults)
    for name in ("short", "hollow"):
        folder = str(corpus.folder(name))
        assert any(f"'{name}'" in fault and folder in fault for fault in dropped.faults)


def test_readings_come_in_order_with_their_frames(write_corpus):
    corpus = write_corpus("csl")
    names = [f"c{i}" for i in range(7)]
    corpus.annotate([(name, "x") for name in names])
    for i, name in enumerate(names):
        corpus.write_clip(name, motion(40 + i, i))
    clips, _ = read_annotations("csl", corpus.root, "train")
    corpus.write_clip("c3", motion(2))
    os.remove(corpus.root / "poses_video_level" / "c5.pkl")  # noqa: PTH107
    for workers in (0, 2):
        readings = list(read_all(clips, workers))
        for i in (0, 1, 2, 4, 6):
            np.testing.assert_array_equal(readings[i].frames, motion(40 + i, i))
        assert readings[3].reason == "under 4 frames" and "c3.pkl has 2 frames" in readings[3].fault
        assert "csl 'c5'" in readings[5].fault and "c5.pkl" in readings[5].fault
        lengths = [reading.length for reading in read_all(clips, workers, keep=False)]
        assert lengths == [40, 41, 42, 0, 44, 0, 46]
    assert not list(read_all([], 2))


def test_counts_of_drops_add_up():
    drops = DropCounts({"x": 2})
    drops.fault(ValueError("a"), "x")
    drops.fault(ValueError("b"), "y")
    assert drops == Counter(x=3, y=1) and drops.faults == ["a", "b"]


# Through the configuration


def configure(folder, corpus, **data):
    content = {
        "BASES": [str(ROOT / "configs" / "default.yaml")],
        "OUTPUT": {"EXPERIMENTS": str(folder / "experiments")},
        "DEBUG": False,
        "TRAIN": {"NUM_WORKERS": 0, "BATCH_SIZE": 4},
        "EVAL": {"NUM_WORKERS": 0},
        "DATASET": {"PACKED": None, "H2S": {"DATASET_NAME": "csl"}, **data},
        "CORPORA": {
            "csl": {
                "layout": corpus.layout,
                "root": str(corpus.root),
                "language": "it" if corpus.layout == "table" else "zh",
            },
        },
    }
    OmegaConf.save(OmegaConf.create(content), folder / "config.yaml")
    return load_config(folder / "config.yaml")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_was_left_out_is_reported_beside_the_run(write_corpus, tmp_path, layout):
    corpus = write_corpus(layout)
    names = write_damaged(corpus)
    config = configure(tmp_path, corpus)
    clips = read_clips(Run(config), "train")
    report_data(tmp_path / "run", clips)
    assert [clip.name for clip in clips] == ["good"] and clips.lengths.tolist() == [50]
    (told,) = json.loads((tmp_path / "run" / "data.json").read_text(encoding="utf-8"))
    assert (told["kept"], told["frames"]) == (1, 50)
    assert told["dropped"] == {"damaged poses": len(names) - 1}
    text = (tmp_path / "run" / "data.txt").read_text(encoding="utf-8")
    assert summary_table(clips.summaries) in text and "damaged poses" in text
    assert all(f"'{name}'" in text for name in names[1:])


def test_a_split_of_which_nothing_can_be_used_stops_with_the_reasons(write_corpus, tmp_path):
    corpus = write_corpus("table")
    write_damaged(corpus)
    (corpus.root / "poses" / "good.npz").unlink()
    config = configure(tmp_path, corpus)
    with pytest.raises(ValueError, match=r"no clip of the split 'train' can be used:\n") as error:
        read_clips(Run(config), "train")
    assert "damaged poses" in str(error.value) and "no pose files" in str(error.value)
    with pytest.raises(ValueError, match="no clip of the split 'val'"):
        read_clips(Run(config), "val")
    with pytest.raises(ValueError, match="the split 'dev' is unknown"):
        read_clips(Run(config), "dev")


def test_without_the_check_a_damaged_clip_stops_when_it_is_read(write_corpus, tmp_path):
    corpus = write_corpus("csl")
    write_damaged(corpus)
    clips = read_clips(Run(configure(tmp_path, corpus, CHECK_POSES=False)), "train")
    assert clips.lengths is None and clips.summaries[0].frames is None
    by_name = {clip.name: clip for clip in clips}
    assert len(load_motion(by_name["good"])) == 50
    with pytest.raises(ValueError, match=r"nan\.pkl: 'smplx_rhand_pose' holds nan"):
        load_motion(by_name["nan"])


def test_a_trial_run_takes_the_first_clips(write_corpus, tmp_path):
    corpus = write_corpus("csl")
    names = [f"c{i}" for i in range(20)]
    corpus.annotate([(name, "x") for name in names])
    for name in names:
        corpus.write_clip(name, motion(40))
    config = configure(tmp_path, corpus)
    config.DEBUG = True
    clips = read_clips(Run(config), "train")
    assert [clip.name for clip in clips] == names[:8]
    assert (clips.summaries[0].kept, clips.summaries[0].frames) == (8, 320)
