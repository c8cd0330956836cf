"""`soke statistics` and the sums behind it, against numpy over everything."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from soke.cli import pack, statistics
from soke.data.pose_statistics import Moments, load_statistics, save_statistics
from tests.data.conftest import CorpusWriter, motion, snapshot

ROOT = Path(__file__).parents[2]


def reference(clips):
    frames = np.concatenate(clips).astype(np.float64)
    return frames.mean(0), frames.std(0)


@settings(deadline=None, max_examples=50)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=12),
    offset=st.sampled_from([0.0, 1.0, -1e4, 1e6]),
    scale=st.sampled_from([1e-3, 1.0, 100.0]),
    seed=st.integers(0, 999),
)
def test_moments_of_clips_add_up_to_those_of_all_frames(lengths, offset, scale, seed):
    draw = np.random.default_rng(seed)
    clips = [offset + scale * draw.normal(size=(length, 5)) for length in lengths]
    total = sum(map(Moments.of, clips[1:]), Moments.of(clips[0]))
    mean, deviation = reference(clips)
    assert total.count == sum(lengths)
    np.testing.assert_allclose(total.mean, mean, rtol=1e-13, atol=1e-12)
    np.testing.assert_allclose(
        np.sqrt(total.squares / total.count), deviation, rtol=1e-6, atol=1e-9 * scale
    )


def test_a_large_offset_costs_no_precision(tmp_path):
    draw = np.random.default_rng(0)
    clips = [
        (1e4 + 1e-2 * draw.normal(size=(int(n), 179))).astype(np.float32)
        for n in draw.integers(4, 200, 150)
    ]
    paths = tmp_path / "mean.pt", tmp_path / "std.pt"
    assert save_statistics(map(Moments.of, clips), *paths) == sum(map(len, clips))
    mean, deviation = (torch.load(path, weights_only=True).numpy() for path in paths)
    expected = reference(clips)
    np.testing.assert_array_equal(mean, expected[0].astype(np.float32))
    np.testing.assert_allclose(deviation, expected[1], rtol=1e-6)
    # The plain way, in the numbers that the files hold, is far off here.
    frames = np.concatenate(clips)
    naive = np.sqrt(np.maximum((frames**2).mean(0) - frames.mean(0) ** 2, 0))
    assert np.abs(naive / expected[1] - 1).max() > 0.1


@pytest.mark.parametrize("value", [0.1, -1 / 3, 1e-30, 12345.678])
def test_a_constant_column_has_no_deviation_at_all(tmp_path, value):
    clips = [motion(n, n) for n in range(4, 90)]
    for clip in clips:
        clip[:, [7, 100]] = np.float32(value)
    paths = tmp_path / "mean.pt", tmp_path / "std.pt"
    save_statistics(map(Moments.of, clips), *paths)
    mean, deviation = (torch.load(path, weights_only=True) for path in paths)
    assert deviation[[7, 100]].tolist() == [0, 0] and (deviation == 0).sum() == 2
    assert torch.equal(mean[[7, 100]], torch.full((2,), value))
    _, used = load_statistics(*paths, floor=0.2)
    assert used[100 - 36] == 1


def test_no_clip_is_an_error_and_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match=r"mean\.pt and .*std\.pt need at least one clip"):
        save_statistics(iter([]), tmp_path / "mean.pt", tmp_path / "std.pt")
    assert not list(tmp_path.iterdir())


# The script


@pytest.fixture
def work(tmp_path):
    """Two corpora with damaged clips and other splits, and a configuration."""
    seed = 0
    for layout in ("how2sign", "table"):
        corpus = CorpusWriter(layout, tmp_path / layout)
        for split, names in {"train": "abcd", "val": "ef"}.items():
            rows = [(name, "text") for name in names]
            fast = [(*row, 0, 1, 48.0) for row in rows]
            corpus.annotate(fast if layout == "how2sign" else rows, split)
            for name in names:
                seed += 1
                corpus.write_clip(name, motion(30 + seed, seed), split)
        path = corpus.write_clip("d", motion(50))
        path.write_bytes(path.read_bytes()[:9000])
    content = {
        "BASES": [str(ROOT / "configs" / "default.yaml")],
        "TRAIN": {"NUM_WORKERS": 0},
        "DATASET": {
            "PACKED": str(tmp_path / "packed"),
            "H2S": {
                "DATASET_NAME": "how2sign_csl",
                "ROOT": str(tmp_path / "how2sign"),
                "MEAN_PATH": str(tmp_path / "out" / "mean.pt"),
                "STD_PATH": str(tmp_path / "out" / "std.pt"),
            },
        },
        "CORPORA": {"csl": {"layout": "table", "root": str(tmp_path / "table"), "language": "it"}},
    }
    OmegaConf.save(OmegaConf.create(content), tmp_path / "config.yaml")
    return tmp_path


def run(work, monkeypatch, *words, script=statistics):
    monkeypatch.setattr(sys, "argv", ["x", "--cfg", str(work / "config.yaml"), *words])
    script.main()


def written(work):
    return [
        torch.load(work / "out" / name, weights_only=True).numpy() for name in ("mean.pt", "std.pt")
    ]


def test_the_script_takes_every_usable_frame_of_training_once(work, monkeypatch, caplog):
    before = snapshot(work / "how2sign", work / "table")
    with caplog.at_level("INFO"):
        run(work, monkeypatch)
    clips = [motion(30 + seed, seed) for seed in (1, 2, 3)]
    thinned = [frames[::2][: len(frames) // 2] for frames in clips]  # 48 frames a second to 24
    own = [motion(30 + seed, seed) for seed in (7, 8, 9)]
    mean, deviation = reference([*thinned, *own])
    found = written(work)
    assert all(array.shape == (179,) and array.dtype == np.float32 for array in found)
    np.testing.assert_allclose(found[0], mean, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found[1], deviation, rtol=1e-6)
    assert f"of {sum(map(len, [*thinned, *own]))} frames" in caplog.text
    assert caplog.text.count("left out: {'damaged poses': 1}") == 2 and "d.npz" in caplog.text
    assert snapshot(work / "how2sign", work / "table") == before


def test_packed_poses_and_workers_give_the_same_bytes(work, monkeypatch):
    def content():
        return [(work / "out" / name).read_bytes() for name in ("mean.pt", "std.pt")]

    run(work, monkeypatch)
    first = content()
    run(work, monkeypatch, "--force", "TRAIN.NUM_WORKERS=2")
    assert content() == first
    run(work, monkeypatch, "TEST.SPLIT=val", script=pack)
    for name in ("how2sign", "table"):
        (work / name).rename(work / f"{name}-gone")
    run(work, monkeypatch, "--force")
    assert content() == first


def test_statistics_that_are_there_are_kept(work, monkeypatch):
    run(work, monkeypatch)
    before = snapshot(work / "out")
    with pytest.raises(ValueError, match=r"mean\.pt and .*std\.pt exist already; --force writes"):
        run(work, monkeypatch)
    (work / "out" / "std.pt").unlink()
    with pytest.raises(ValueError, match=r"out/mean\.pt exist"):
        run(work, monkeypatch)
    assert not (work / "out" / "std.pt").exists()
    run(work, monkeypatch, "--force")
    assert set(snapshot(work / "out")) == set(before)
    other = [f"DATASET.H2S.{key}_PATH={work / key}.pt" for key in ("MEAN", "STD")]
    run(work, monkeypatch, *other)
    assert (work / "MEAN.pt").read_bytes() == (work / "out" / "mean.pt").read_bytes()
