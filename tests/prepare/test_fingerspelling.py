"""The demo data: real recordings spelled to words, in the layouts that the loaders read.

One file of over 300 lines, since its tests share one small data set that takes seconds to build.
"""

import csv
import importlib.util
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from prepare.fingerspelling import clip_writing, letters
from prepare.fingerspelling.__main__ import WORDS, main, word_counts
from prepare.fingerspelling.languages import LANGUAGES, spell_letters, spell_pinyin
from prepare.fingerspelling.making import Settings, build
from prepare.fingerspelling.recordings import read_alphabet
from prepare.fingerspelling.release_layouts import safe_name, write_clip
from prepare.fingerspelling.rotations import (
    align_signs,
    angle_between,
    shortest_arc,
    slerp,
    to_quaternions,
)
from prepare.fingerspelling.skeleton import rest_skeleton
from prepare.fingerspelling.word_lists import Word, seeded, split_words, suitable_words
from soke.data import load_motion, read_annotations, read_isolated_signs
from soke.data.pose_statistics import Moments
from soke.files import MissingAssetError
from soke.parts import PARAMETERS
from soke.unpickling import safe_load_pickle

SMALL = Settings(words=dict.fromkeys(LANGUAGES, 12), held_out=2, timings=2, lengths=(3, 4))
SMALLER = Settings(corpora=("phoenix",), words={"phoenix": 5}, held_out=1, lengths=(3, 3))


@pytest.fixture(scope="module")
def skeleton():
    return rest_skeleton()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("fingerspelling")
    manifest = build(SMALL, out, processes=1)
    return out, manifest


@pytest.fixture(scope="module")
def smaller(tmp_path_factory):
    """The bytes of an undisturbed build, by relative path."""
    out = tmp_path_factory.mktemp("smaller")
    build(SMALLER, out, processes=1)
    return file_bytes(out)


def annotations(out: Path, corpus: str) -> dict[str, list[tuple[str, str]]]:
    """(folder, text) of every annotated clip by split."""
    layout, rows = LANGUAGES[corpus].layout, {}
    for split in ("train", "val", "test"):
        path = out / layout.annotation_path(split)
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                pairs = [(row["SENTENCE_NAME"], row["SENTENCE"]) for row in csv.DictReader(file)]
        else:
            pairs = [(row["name"], row["text"]) for row in safe_load_pickle(path)]
        # Phoenix names carry their split, as in the benchmark.
        assert all(name == layout.clip_name(split, name.split("/")[-1]) for name, _ in pairs)
        rows[split] = [
            (out / layout.clip_folder(split, name.split("/")[-1]), text) for name, text in pairs
        ]
    return rows


def read_clip(folder: Path) -> np.ndarray:
    """Frames [T, 179] in the order of the frame numbers."""
    files = sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name))
    frames = [safe_load_pickle(path) for path in files]
    return np.stack([np.concatenate([frame[key] for key, _ in PARAMETERS]) for frame in frames])


def file_bytes(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def test_files_are_those_of_the_benchmarks(made):
    out, _ = made
    table = out / "How2Sign/val/re_aligned/how2sign_realigned_val_preprocessed_fps.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["SENTENCE_NAME", "SENTENCE", "START_REALIGNED", "END_REALIGNED", "fps"]
    for row in rows:
        name = row["SENTENCE_NAME"]
        files = {path.name for path in (out / "How2Sign/val/poses" / name).iterdir()}
        assert files == {f"{name}_{i}_3D.pkl" for i in range(len(files))}
        seconds = float(row["END_REALIGNED"]) - float(row["START_REALIGNED"])
        assert seconds * float(row["fps"]) == pytest.approx(len(files))

    for row in safe_load_pickle(out / "Phoenix_2014T/phoenix14t.dev"):
        assert row["name"].startswith("dev/") and row["text"]
        names = [path.name for path in (out / "Phoenix_2014T" / row["name"]).iterdir()]
        assert sorted(names) == [f"images{i:04d}.pkl" for i in range(len(names))]
    for row in safe_load_pickle(out / "CSL-Daily/csl_clean.test"):
        assert (out / "CSL-Daily/poses" / row["name"] / "images0000.pkl").exists()


def test_a_frame_holds_seven_float_arrays_and_nothing_more(made):
    out, _ = made
    folder, _ = annotations(out, "csl")["test"][0]
    path = folder / "images0007.pkl"
    frame = safe_load_pickle(path)
    assert {key: value.shape for key, value in frame.items()} == {k: (n,) for k, n in PARAMETERS}
    assert all(value.dtype == np.float32 for value in frame.values())
    assert path.stat().st_size < 2000  # a view would drag the whole clip along


@pytest.mark.parametrize("corpus", LANGUAGES)
def test_the_loaders_read_everything(made, corpus):
    out, manifest = made
    root = out / LANGUAGES[corpus].layout.root
    for split, counts in manifest["counts"][corpus].items():
        clips, dropped = read_annotations(corpus, root, split)
        assert len(clips) == counts["clips"] and not dropped
        frames = sum(len(load_motion(clip)) for clip in clips)
        thinned = 0.96 if corpus == "how2sign" else 1  # from 25 to 24 frames a second
        assert frames == pytest.approx(thinned * counts["frames"], rel=0.01)
    signs, dropped = read_isolated_signs(corpus, root, "isolated_signs.json")
    assert [sign.text for sign in signs] == list(LANGUAGES[corpus].alphabet) and not dropped
    assert all(len(load_motion(sign)) == 1 + sign.numbers[1] - sign.numbers[0] for sign in signs)


@pytest.mark.parametrize("corpus", LANGUAGES)
def test_splits_share_no_word_and_every_letter_is_trained(made, corpus):
    out, manifest = made
    language, splits = LANGUAGES[corpus], annotations(out, corpus)
    texts = {split: {text.casefold() for _, text in rows} for split, rows in splits.items()}
    spelled = {split: {language.spell(t) for _, t in rows} for split, rows in splits.items()}
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not texts[first] & texts[second]
        assert not spelled[first] & spelled[second]
    assert {unit for units in spelled["train"] for unit in units} == set(language.alphabet)
    assert len(splits["val"]) == len(splits["test"]) == 2
    assert set(Counter(text for _, text in splits["train"]).values()) == {2}  # two timings
    for split, rows in splits.items():
        assert manifest["counts"][corpus][split]["clips"] == len(rows)
        assert all(folder.is_dir() for folder, _ in rows)


@pytest.mark.parametrize("corpus", LANGUAGES)
def test_motion_is_continuous_and_bounded(made, skeleton, corpus):
    for folder, _ in [row for rows in annotations(made[0], corpus).values() for row in rows]:
        clip = read_clip(folder)
        assert 40 <= len(clip) <= 400
        hands = clip[:, 66:156].reshape(len(clip), 30, 3) + skeleton.hand_mean
        angles = np.concatenate([clip[:, :66].reshape(len(clip), 22, 3), hands], axis=1)
        assert np.degrees(np.linalg.norm(angles, axis=-1)).max() < 180
        turns = Rotation.from_rotvec(angles.reshape(-1, 3)).as_quat().reshape(len(clip), -1, 4)
        cosines = np.abs((turns[1:] * turns[:-1]).sum(-1)).min()
        assert np.degrees(2 * np.arccos(cosines)) < 45
        # Rest at both ends, the other hand at rest throughout, root and lower body untouched.
        np.testing.assert_allclose(clip[0], clip[-1], atol=0.05)
        assert np.abs(clip[:, :36]).max() == 0 and np.abs(clip[:, 66:111]).max() < 1e-5
        assert np.ptp(clip[:, 159:169], axis=0).max() == 0


@pytest.mark.parametrize("corpus", LANGUAGES)
def test_letters_are_isolated_signs(made, corpus):
    out, language = made[0], LANGUAGES[corpus]
    layout = language.layout
    signs = json.loads((out / layout.root / "isolated_signs.json").read_text(encoding="utf-8"))
    assert [sign["label"] for sign in signs] == list(language.alphabet)
    assert len({sign["name"].casefold() for sign in signs}) == len(signs)
    for sign in signs:
        assert sign["name"].isascii()
        assert sign["video_file"] == layout.clip_name("train", sign["name"])
        frames = len(list((out / layout.clip_folder("train", sign["name"])).iterdir()))
        assert 0 <= sign["start"] < sign["end"] < frames
        assert sign["end"] - sign["start"] >= 7


def test_statistics_are_those_of_the_training_clips(made):
    out, _ = made
    mean, std = (torch.load(out / f"{name}.pt", weights_only=True) for name in ("mean", "std"))
    assert mean.shape == std.shape == (179,) and mean.dtype == std.dtype == torch.float32
    frames = np.concatenate(
        [read_clip(f) for c in LANGUAGES for f, _ in annotations(out, c)["train"]]
    ).astype(np.float64)
    np.testing.assert_allclose(mean, frames.mean(0), atol=1e-6)
    np.testing.assert_allclose(std, frames.std(0), atol=1e-6)
    assert std[:36].max() == 0  # no noise in constant columns


def test_moments_add_up():
    frames = seeded("moments").normal(5, 2, (50, 3))
    total = Moments.of(frames[:7]) + Moments.of(frames[7:30]) + Moments.of(frames[30:])
    np.testing.assert_allclose(total.mean, frames.mean(0))
    np.testing.assert_allclose(np.sqrt(total.squares / total.count), frames.std(0))


def test_a_second_run_does_nothing(made, caplog):
    out, manifest = made
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    with caplog.at_level("INFO"):
        assert build(SMALL, out) == manifest
    assert "everything is there already" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_other_settings_are_refused_and_forced(tmp_path):
    build(SMALLER, tmp_path, processes=1)
    other = Settings(**{**vars(SMALLER), "seed": 7})
    with pytest.raises(ValueError, match=r"seed is 1234 there and 7 here.*--out.*--force"):
        build(other, tmp_path)
    assert build(other, tmp_path, force=True, processes=1)["seed"] == 7
    assert not list(tmp_path.glob(".*"))


def test_foreign_data_is_left_alone(tmp_path):
    (tmp_path / "How2Sign").mkdir()
    with pytest.raises(ValueError, match=r"\['How2Sign'\], which this program did not make"):
        build(SMALLER, tmp_path, force=True)


def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path, monkeypatch, smaller):
    clips = 0

    def stop_in_the_middle(folder: Path, names: list[str], frames: np.ndarray) -> None:
        nonlocal clips
        clips += 1
        if clips > 40:  # past the letters, inside a clip
            partial = folder.with_name(f".{folder.name}.partial")
            partial.mkdir()
            (partial / names[0]).write_bytes(b"half a")
            raise KeyboardInterrupt
        write_clip(folder, names, frames)

    with monkeypatch.context() as patch:
        patch.setattr(clip_writing, "write_clip", stop_in_the_middle)
        with pytest.raises(KeyboardInterrupt):
            build(SMALLER, tmp_path, processes=1)
    assert not (tmp_path / "manifest.json").exists()
    with pytest.raises(ValueError, match="timings is 1 there and 2 here"):
        build(Settings(**{**vars(SMALLER), "timings": 2}), tmp_path)
    build(SMALLER, tmp_path, processes=1)
    assert file_bytes(tmp_path) == smaller

    # The same for clips that were lost afterwards.
    folder, _ = annotations(tmp_path, "phoenix")["test"][0]
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    build(SMALLER, tmp_path, processes=1)
    assert file_bytes(tmp_path) == smaller


def test_processes_do_not_change_the_result(tmp_path, monkeypatch, smaller):
    monkeypatch.setattr(clip_writing, "_WORTH_PROCESSES", 2)
    build(SMALLER, tmp_path, processes=2)
    assert file_bytes(tmp_path) == smaller


@pytest.mark.parametrize(
    ("signer", "letters_", "fingers", "palm"),
    [("ase", 26, 6.0, 5.0), ("gsg", 30, 5.5, 4.8), ("svk", 44, 7.5, 7.2)],
)
def test_posed_bones_point_where_the_tracked_ones_do(skeleton, signer, letters_, fingers, palm):
    quality = letters.report(signer, skeleton)
    assert quality["letters"] == letters_
    assert quality["fingers"] < fingers and quality["palm"] < palm


def test_every_letter_has_a_recording():
    for language in LANGUAGES.values():
        alphabet = read_alphabet(language.signers[0])
        assert {language.sign(unit) for unit in language.alphabet} <= set(alphabet)
        assert len({safe_name(unit) for unit in language.alphabet}) == len(language.alphabet)
        for further in language.signers[1:]:
            lacking = set(language.alphabet) - set(read_alphabet(further))
            assert lacking == set(language.lacks.get(further, ""))
    assert {"ä", "ö", "ü", "ß"} < set(read_alphabet("gsg"))
    with pytest.raises(ValueError, match=r"'xyz'.*'ase'"):
        read_alphabet("xyz")


def test_words_fall_into_units():
    assert spell_letters("größe") == ("g", "r", "ö", "ß", "e")
    assert spell_pinyin("中国") == ("zh", "o", "ng", "g", "u", "o")
    assert spell_pinyin("女生") == ("n", "ü", "sh", "e", "ng")
    assert spell_pinyin("南国") == ("n", "a", "n", "g", "u", "o")  # nan guo, no ng
    assert LANGUAGES["csl"].sign("zh") == "ž" and LANGUAGES["csl"].sign("a") == "a"


def test_the_word_list_gets_its_eszett_back():
    words = suitable_words(LANGUAGES["phoenix"], (3, 7))
    texts = {next(words).text for _ in range(800)}
    assert {"große", "straße", "weiß", "dass", "für", "müssen"} <= texts
    assert not {"grosse", "strasse", "weiss"} & texts
    assert not any(text.endswith("SS") or text != text.lower() for text in texts)


def test_impossible_word_counts_are_explained():
    language = LANGUAGES["how2sign"]
    with pytest.raises(ValueError, match=r"--words or fewer --held-out"):
        split_words(suitable_words(language, (3, 7)), language, 80, 40, 0)
    with pytest.raises(ValueError, match=r"only \d+ words of how2sign suit"):
        split_words(suitable_words(language, (20, 20)), language, 80, 10, 0)
    with pytest.raises(ValueError, match=r"has the letters .*--lengths"):
        words = (Word(f"ab{i}", ("a", "b"), i) for i in range(50))
        split_words(words, language, 30, 10, 0)
    with pytest.raises(ValueError, match="unknown corpora"):
        Settings(corpora=("dgs",))


def test_slerp_stays_below_half_a_turn():
    bends = [shortest_arc(np.array([0, 1.0, 0]), np.array([0, -0.4, z])) for z in (1.0, -1.0)]
    start, end = (align_signs(to_quaternions(bend[None, None]))[0, 0] for bend in bends)
    assert angle_between(start, end) > 180  # by way of straight
    way = slerp(start, end, np.linspace(0, 1, 21)[:, None])
    assert (way[:, 3] > 0).all()
    np.testing.assert_allclose(way[10], [0, 0, 0, 1], atol=1e-9)


def test_the_command_line(tmp_path, caplog):
    assert {name: language.words for name, language in LANGUAGES.items()} == WORDS
    assert word_counts(["800", "csl=300"], ["phoenix", "csl"]) == {"phoenix": 800, "csl": 300}
    with pytest.raises(ValueError, match="how2sign=400 phoenix=400 csl=400"):
        word_counts(["asl=3"], ["csl"])
    with caplog.at_level("INFO"):
        main(["--report", "--corpora", "how2sign"])
    assert "ase (how2sign): 26 letters" in caplog.text
    with pytest.raises(ValueError, match="leave none for training"):
        main(["--out", str(tmp_path), "--words", "5"])


def test_a_missing_wheel_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingAssetError, match=r"pip install --no-deps spoken-to-signed==0\.4\.0"):
        build(SMALLER, tmp_path)
