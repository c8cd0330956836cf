"""`soke pack`: shards of every split, made once and used by the loaders."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from soke.assemble import pack_poses
from soke.assemble.data import read_clips, read_signs
from soke.assemble.run import Run
from soke.cli import pack as command
from soke.cli.main import run_verb
from soke.config import load_config
from soke.data import load_motion
from tests.data.conftest import CorpusWriter, as_parameters, dump, motion, snapshot

ROOT = Path(__file__).parents[2]
NAMES = {"train": ["a", "b", "damaged"], "val": ["c"], "test": ["d"]}


@pytest.fixture
def work(tmp_path):
    """Two corpora, and a configuration that names both."""
    for layout in ("csl", "table"):
        corpus = CorpusWriter(layout, tmp_path / layout)
        for split, names in NAMES.items():
            corpus.annotate([(name, f"text {name}") for name in names], split)
            for i, name in enumerate(names):
                corpus.write_clip(name, motion(40 + 5 * i + len(layout), i), split)
        path = corpus.write_clip("damaged", motion(50))
        path.write_bytes(path.read_bytes()[:9000])
    corpus = CorpusWriter("csl", tmp_path / "csl")
    corpus.write_frames("rec", motion(20))
    signs = [{"name": "s", "label": "A", "start": 3, "end": 9, "video_file": "rec"}]
    (corpus.root / "signs.json").write_text(json.dumps(signs))
    configure(tmp_path)
    return tmp_path


def configure(work, **italian):
    content = {
        "BASES": [str(ROOT / "configs" / "default.yaml")],
        "TRAIN": {"NUM_WORKERS": 0},
        "OUTPUT": {"EXPERIMENTS": str(work / "experiments")},
        "DATASET": {
            "PACKED": str(work / "packed"),
            "H2S": {"DATASET_NAME": "csl_italian"},
        },
        "CORPORA": {
            "csl": {"root": str(work / "csl"), "signs": "signs.json", "dictionary": "own.json"},
            "italian": {
                "layout": "table",
                "root": str(work / "table"),
                "text_language": "it_IT",
                "sign_language": "it_LIS",
                "keyword_prompt": " Parola {i}, ",
                "language": "it",
                **italian,
            },
        },
    }
    OmegaConf.save(OmegaConf.create(content), work / "config.yaml")


def run(work, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["pack_poses", "--cfg", str(work / "config.yaml"), *words])
    command.main()


def shards(work):
    return {
        str(path.parent.relative_to(work / "packed")): path.stat().st_mtime_ns
        for path in (work / "packed").rglob("manifest.json")
    }


def test_every_split_and_the_isolated_signs_are_packed_once(work, monkeypatch, caplog):
    before = {name: snapshot(work / name) for name in ("csl", "table")}
    with caplog.at_level("INFO"):
        run(work, monkeypatch)
    made = shards(work)
    splits = ("train", "val", "test")
    assert set(made) == {f"{c}/{s}" for c in ("csl", "italian") for s in splits} | {"csl/signs"}
    assert "'damaged'" in caplog.text and "damaged poses" in caplog.text
    table = (work / "packed" / "data.txt").read_text(encoding="utf-8")
    assert "packed store" in table and "'damaged'" in table
    frames = 2 * (40 + 45 + 40 + 40) + 4 * len("csl") + 4 * len("table") + 7
    assert f"{frames} frames, {frames * 179 * 4 / 1e6:.1f} MB" in caplog.text
    run(work, monkeypatch)
    assert shards(work) == made
    assert {name: snapshot(work / name) for name in before} == before


def test_only_what_changed_is_packed_again(work, monkeypatch):
    run(work, monkeypatch)
    made = shards(work)
    dump(work / "csl" / "poses_video_level" / "c.pkl", as_parameters(motion(60, 5)))
    run(work, monkeypatch)
    again = shards(work)
    assert [name for name in made if made[name] != again[name]] == ["csl/val"]
    configure(work, fps=20)
    run(work, monkeypatch)
    assert {name for name, age in shards(work).items() if age != again[name]} == {
        "italian/train",
        "italian/val",
        "italian/test",
    }


def test_what_only_has_another_date_is_not_packed_again(work, monkeypatch, caplog):
    run(work, monkeypatch)
    made = shards(work)
    for path in (work / "csl").rglob("*.pkl"):
        os.utime(path, (1e9, 1e9))
    with caplog.at_level("INFO"):
        run(work, monkeypatch)
    assert shards(work) == made and "csl train is packed already" in caplog.text


def test_the_loaders_use_shards_where_they_are(work, monkeypatch):
    def read():
        config = load_config(work / "config.yaml")
        clips = read_clips(Run(config), "train")
        signs = read_signs(Run(config), Run(config).corpora["csl"])
        motions = [load_motion(clip) for clip in (*clips, *signs)]
        return {summary.source for summary in clips.summaries}, list(clips), motions

    sources, clips, motions = read()
    assert sources == {"one pickle per clip", ".npz files"}
    run(work, monkeypatch)
    packed_sources, packed, packed_motions = read()
    assert packed_sources == {"packed store"}
    for one, two in zip(clips, packed, strict=True):
        assert (one.name, one.corpus, one.text) == (two.name, two.corpus, two.text)
    for one, two in zip(motions, packed_motions, strict=True):
        np.testing.assert_array_equal(one, two, strict=True)

    dump(work / "csl" / "poses_video_level" / "a.pkl", as_parameters(motion(60, 5)))
    with pytest.raises(ValueError, match=r"older than its source.*a\.pkl has changed"):
        read()
    run(work, monkeypatch)
    assert len(read()[2][0]) == 60


def test_a_split_without_clips_is_left_out_and_said(work, monkeypatch, caplog):
    table = work / "table" / "clips.csv"
    table.write_text(table.read_text().replace("d,text d,it,test,\n", ""))
    run(work, monkeypatch)
    assert "italian test has no usable clip" in caplog.text
    assert "italian/test" not in shards(work) and "italian/val" in shards(work)


def test_errors_are_one_message(work, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        run_verb(lambda: run(work, monkeypatch, "DATASET.PACKED=null"))
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith("\nerror: DATASET.PACKED is null: name the folder")


def test_a_trial_configuration_keeps_its_workers(work, monkeypatch):
    workers, pack = [], pack_poses.pack
    monkeypatch.setattr(pack_poses, "pack", lambda *a: workers.append(a[-1]) or pack(*a[:-1]))
    run(work, monkeypatch, "TRAIN.NUM_WORKERS=3", "DEBUG=true")
    assert set(workers) == {3}


@pytest.mark.parametrize(
    ("signs", "message"),
    [
        ("{'signs': 's.json', 'dictionary': None}", "name the dictionary"),
        ("{'signs': 's.json', 'dictionary': 'own.json'}", "must not be shared"),
    ],
)
def test_isolated_signs_need_a_dictionary_of_their_own(work, monkeypatch, signs, message):
    configure(work, **json.loads(signs.replace("'", '"').replace("None", "null")))
    with pytest.raises(ValueError, match=message):
        run(work, monkeypatch)
