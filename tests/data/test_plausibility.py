"""Odd poses and statistics are named, and signing is not."""

import time

import numpy as np
import pytest
import torch

from soke.data.listing.sources import Source
from soke.data.motion.plausibility import (
    JOINTS,
    Oddities,
    check,
    check_statistics,
    compare_statistics,
)
from soke.data.packing import pack
from soke.data.pose_statistics import Moments, load_statistics, read_statistics, save_statistics
from soke.data.scan import read_all
from tests.data.conftest import demo_corpora

ANGLES, LEFT, RIGHT, EXPRESSION = slice(0, 159), slice(66, 111), slice(111, 156), slice(169, 179)
LAYOUTS = {"how2sign": "How2Sign", "csl": "CSL-Daily", "phoenix": "Phoenix_2014T"}


def waving(length=60, seed=1, size=0.2):
    """Frames [T, 179] in which every joint moves smoothly."""
    rng, time_ = np.random.default_rng(seed), np.linspace(0, length / 20, length)[:, None]
    frames = np.zeros((length, 179), np.float32)
    frames[:, 3:159] = size * np.sin(2 * np.pi * time_ + rng.uniform(0, 6, (1, 156)))
    frames[:, EXPRESSION] = 0.1 * np.sin(time_ + rng.uniform(0, 6, (1, 10)))
    return frames


def changed(columns, change):
    frames = waving()
    frames[:, columns] = change(frames[:, columns])
    return frames


def signing(demo, split):
    """Name and frames of every clip of the small demo."""
    for corpus, folder in LAYOUTS.items():
        signs = "isolated_signs.json" if split == "signs" else None
        source = Source(corpus, corpus, str(demo / folder), split, 25, signs=signs)
        clips, _ = source.list_clips()
        yield from zip(clips, (reading.frames for reading in read_all(clips)))


def noise(frames):
    return frames + np.random.default_rng(0).normal(0, 0.5, frames.shape).astype(np.float32)


def add_turn(joint):
    def change(columns):
        columns = columns.copy()
        columns.reshape(len(columns), -1, 3)[:, joint, 0] += 3 * np.pi
        return columns

    return change


ODD = {
    "degrees": (changed(ANGLES, np.degrees), "angles look like degrees", "rad"),
    "one turned twice": (changed(RIGHT, add_turn(3)), "angles beyond a full turn", "right_middle1"),
    "huge": (waving() * 1e6, "huge values", "rad"),
    "huge face": (changed(EXPRESSION, lambda x: x * 1e4), "huge values", "expression"),
    "hand + pi": (changed(LEFT, lambda x: x + np.pi), "fingers turned further", "left hand"),
    "hand about x": (
        changed(RIGHT, lambda x: x + np.tile([np.pi, 0, 0], 15)),
        "fingers turned",
        "right hand",
    ),
    "noise": (changed(ANGLES, noise), "rotation too fast", "rad a frame"),
    "noisy wrist": (changed(slice(60, 63), noise), "rotation too fast", "left_wrist"),
    "frozen": (np.repeat(waving()[:1], 60, 0), "nothing moves", "60 frames"),
    "no hands": (changed(slice(66, 156), np.zeros_like), "no finger moves", "60 frames"),
    "no jaw": (changed(slice(156, 159), np.zeros_like), "the jaw never opens", "60 frames"),
    "a hand scaled": (
        changed(LEFT, lambda x: x[:, :1] * np.linspace(-2, 2, 45)),
        "all fingers move as one",
        "left",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_poses_are_named_once(name):
    frames, kind, detail = ODD[name]
    (message,) = check(frames, 25)
    assert message.startswith(kind) and detail in message.partition(": ")[2]


def test_every_modelled_joint_is_named_as_smplx_does():
    frames = np.zeros((1, 179), np.float32)
    for column, name in ((36, "neck"), (66, "left_index1"), (153, "right_thumb3"), (156, "jaw")):
        frames[:] = 0
        frames[0, column] = 1e5
        assert f": {name} " in check(frames, 25)[0]
    assert len(JOINTS) == 41
    frames[:] = 0
    frames[0, [0, 35, 160]] = 1e5  # root, lower body and shape reach no network
    assert check(frames, 25) == ()


@pytest.mark.parametrize("fps", [12, 25, 60])
def test_moving_and_resting_are_not_odd(fps):
    assert check(waving(), fps) == ()
    assert check(changed(LEFT, np.zeros_like), fps) == ()  # a resting hand
    assert check(waving(3), fps) == check(waving(1), fps) == ()
    wrapped = waving()
    wrapped[:, 51:54] = np.linspace(3, 3.5, 60)[:, None] * [1, 0, 0]
    turns = np.linalg.norm(wrapped[:, 51:54], axis=1, keepdims=True) > np.pi
    wrapped[:, 51:54] -= turns * np.array([2 * np.pi, 0, 0], np.float32)  # jumps, yet is smooth
    assert np.abs(np.diff(wrapped[:, 51])).max() > 6 and check(wrapped, fps) == ()
    slip = waving()
    slip[30, 51:54] = [0, 3, 0]  # one frame of a fit
    assert check(slip, fps) == ()


@pytest.mark.parametrize("split", ["train", "val", "signs"])
def test_recorded_signing_is_not_odd(tmp_path_factory, split):
    found, count = Oddities(), 0
    for clip, frames in signing(demo_corpora(tmp_path_factory), split):
        found.add(clip.name, check(frames, clip.target_fps))
        count += 1
    assert count > 5 and found.findings() == []


def test_a_clip_takes_little_time():
    frames, start = waving(200), time.perf_counter()
    for _ in range(20):
        check(frames, 25)
    assert (time.perf_counter() - start) / 20 < 0.02  # 1 ms where nothing else runs


def test_findings_are_counted_by_kind(caplog):
    found = Oddities()
    found.add("calm", ())
    found.add("one", ["nothing moves: 60 frames"])
    found.add("two", ["nothing moves: 7 frames", "no finger moves: 7 frames"])
    found.warn("mine train")
    assert [text for text, _ in found.findings()] == [
        "nothing moves: 2 clips, first 'one', 60 frames",
        "no finger moves: 1 clip, first 'two', 7 frames",
    ]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "mine train: nothing moves: 2 clips" in caplog.text


def test_packing_warns_of_odd_poses(write_corpus, tmp_path, caplog):
    corpus = write_corpus("csl")
    corpus.annotate([(name, "text") for name in ("a", "b", "c")])
    for name, what in (("a", waving()), ("b", ODD["degrees"][0]), ("c", ODD["degrees"][0])):
        corpus.write_clip(name, what)
    assert len(pack(tmp_path / "packed", corpus.source(), *corpus.source().list_clips())) == 3
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "csl train: angles look like degrees: 2 clips, first 'b'" in warning


def saved(clips, folder, suffix=".pt"):
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{name}{suffix}" for name in ("mean", "std")]
    save_statistics([Moments.of(frames) for frames in clips], *paths)
    return paths


def test_statistics_of_other_poses_are_named(tmp_path, tmp_path_factory):
    clips = {
        "demo": [frames for _, frames in signing(demo_corpora(tmp_path_factory), "train")],
        "made up": [waving(seed=seed) for seed in range(12)],
        "degrees": [ODD["degrees"][0]],
    }
    for of, own in clips.items():
        statistics = [t.numpy() for t in read_statistics(*saved(own, tmp_path / of))]
        for name, some in clips.items():
            assert bool(compare_statistics(some, *statistics)) == (name != of), (of, name)
        assert bool(check_statistics(*statistics)) == (of == "degrees")
        if of != "degrees":
            (message,) = check_statistics(*statistics[::-1])
            assert "swapped" in message and "negative" in message
    (message,) = check_statistics(np.zeros(133), np.zeros(133))
    assert "no feature deviates" in message
    assert compare_statistics([], np.zeros(133), np.ones(133)) == ()


def test_odd_statistics_are_logged_where_they_are_loaded(tmp_path, caplog):
    mean, std = saved([waving(seed=seed) for seed in range(3)], tmp_path / "own")
    load_statistics(mean, std, 0.05)
    assert not caplog.records
    load_statistics(std, mean, 0.05)
    assert "swapped" in caplog.text and str(mean) in caplog.text


def test_statistics_may_be_numpy_arrays(tmp_path):
    clips = [waving(seed=seed) for seed in range(3)]
    tensors = load_statistics(*saved(clips, tmp_path / "torch"), 0.05)
    arrays = load_statistics(*saved(clips, tmp_path / "numpy", ".npy"), 0.05)
    assert all(torch.equal(one, two) for one, two in zip(tensors, arrays))
    path = tmp_path / "numpy" / "mean.npy"
    np.testing.assert_allclose(np.load(path), np.concatenate(clips).mean(0), atol=1e-6)
    np.save(path, np.zeros(179))  # float64, as others write it
    assert load_statistics(path, tmp_path / "numpy" / "std.npy", None)[0].dtype == torch.float32


@pytest.mark.parametrize("name", ["mean.pt", "mean.npy", "mean.txt"])
def test_files_that_hold_no_statistics_are_one_clear_error(tmp_path, name):
    _, std = saved([waving()], tmp_path / "own")
    path = tmp_path / name
    path.write_bytes(b"\x93NUMPY nothing of the kind")
    with pytest.raises(
        ValueError, match=r"cannot be read as statistics.*torch.save.*\.npy"
    ) as error:
        load_statistics(path, std, None)
    assert str(path) in str(error.value)
