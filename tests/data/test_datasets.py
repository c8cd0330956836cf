import json

import numpy as np
import pytest
import torch

from soke.data.corpora import corpus_of_language, select_corpora
from soke.data.datasets import LengthLimits, PoseDataset, TokenDataset, collate_poses
from soke.data.pose_statistics import load_statistics
from soke.data.predictions import Prediction, prediction_path, read_predictions, write_prediction
from soke.data.samplers import SeededIndex
from soke.data.token_files import check_folder, claim_folder, read_tokens, token_path, write_tokens
from soke.parts import FEATURE_COLUMNS, PartTable
from tests.helpers import CORPORA, THREE_PARTS

PARTS = PartTable.from_rows(THREE_PARTS)


class FakeClip:
    corpus, text, gloss = "how2sign", "hello", "HELLO"

    def __init__(self, name, frames):
        self.name, self.frames = name, frames


@pytest.fixture
def clips(monkeypatch):
    draw = np.random.default_rng(0)
    made = [FakeClip(f"c{n}", draw.normal(size=(n, 179)).astype(np.float32)) for n in (5, 90, 500)]
    monkeypatch.setattr("soke.data.datasets.load_motion", lambda clip: clip.frames)
    return made


def test_clips_become_normalised_features(clips):
    mean, std = torch.randn(133), torch.rand(133) + 0.1
    dataset = PoseDataset(clips, LengthLimits(40, 400, 4), mean, std)
    assert [len(dataset[i].motion) for i in range(3)] == [40, 88, 400]
    expected = (clips[1].frames[1:89][:, list(FEATURE_COLUMNS)] - mean.numpy()) / std.numpy()
    np.testing.assert_allclose(dataset[1].motion, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        dataset.parameters(1), clips[1].frames[1:89][:, list(FEATURE_COLUMNS)], atol=1e-5
    )
    batch = collate_poses([dataset[0], dataset[1]])
    assert batch.motion.shape == (2, 88, 133) and batch.lengths.tolist() == [40, 88]
    assert not batch.motion[0, 40:].any()


def test_crops_are_windows_and_the_cache_keeps_whole_clips(clips):
    dataset = PoseDataset(clips, LengthLimits(), torch.zeros(133), torch.ones(133), 64, cache=True)
    whole = dataset.motion(2)
    starts = set()
    for seed in range(20):
        window = dataset[SeededIndex(2, seed)].motion
        assert window.shape == (64, 133)
        starts.add(next(s for s in range(337) if torch.equal(whole[s : s + 64], window)))
    assert torch.equal(dataset[2].motion, whole[168:232])
    assert len(starts) > 5 and len(dataset[0].motion) == 40
    assert dataset.motion(2) is whole
    with pytest.raises(ValueError, match="CROP_FRAMES is 30"):
        PoseDataset(clips, LengthLimits(), torch.zeros(133), torch.ones(133), crop=30)


def test_statistics_are_safe_for_constant_features(tmp_path):
    mean, std = torch.randn(179), torch.ones(179)
    std[40], std[41] = 1e-9, 0.05
    torch.save(mean, tmp_path / "mean.pt")
    torch.save(std, tmp_path / "std.pt")
    paths = tmp_path / "mean.pt", tmp_path / "std.pt"
    ours_mean, ours = load_statistics(*paths, floor=0.2)
    assert ours[4] == 1 and ours[5] == pytest.approx(0.2) and ours[6] == 1
    assert torch.equal(ours_mean, mean[list(FEATURE_COLUMNS)])
    _, published = load_statistics(*paths, floor=None)
    assert published[4] == pytest.approx(1.1e-9) and published[5] == pytest.approx(0.05)
    torch.save(std[:100], tmp_path / "std.pt")
    with pytest.raises(ValueError, match="179 finite numbers"):
        load_statistics(*paths, floor=None)
    with pytest.raises(FileNotFoundError, match="fingerspelling"):
        load_statistics(tmp_path / "none.pt", paths[1], None)


def test_token_files(tmp_path):
    tokens = np.array([[1, 2, 3], [15, 7, 11]])
    path = token_path(tmp_path, "phoenix", "test/word-1")
    write_tokens(path, tokens)
    assert np.load(path).shape == (1, 2, 3)
    assert np.array_equal(read_tokens(path, PARTS), tokens)
    write_tokens(path, tokens + 5)
    with pytest.raises(ValueError, match=r"codes of part 'body' run from 6 to 20"):
        read_tokens(path, PARTS)
    write_tokens(path, tokens[:, :2])
    with pytest.raises(ValueError, match="another part table"):
        read_tokens(path, PARTS)
    with pytest.raises(FileNotFoundError, match="get_motion_code"):
        read_tokens(tmp_path / "none.npy", PARTS)


def test_tokens_of_two_tokenizers_do_not_mix(tmp_path):
    claim_folder(tmp_path, "a" * 64, PARTS, {"mean": [0.5]})
    claim_folder(tmp_path, "a" * 64, PARTS)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["mean"] == [0.5] and PartTable.from_rows(manifest["parts"]) == PARTS
    with pytest.raises(ValueError, match=r"another tokenizer.*DATASET\.CODE_PATH"):
        claim_folder(tmp_path, "b" * 64, PARTS)
    rows = [dict(row) for row in THREE_PARTS]
    rows[0]["codebook_size"] = 17
    with pytest.raises(ValueError, match="another part table"):
        check_folder(tmp_path, "a" * 64, PartTable.from_rows(rows))
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(ValueError, match=r"manifest\.json cannot be understood"):
        check_folder(tmp_path, "a" * 64, PARTS)
    published = tmp_path / "published"
    write_tokens(token_path(published, "csl", "x"), np.zeros((2, 3)))
    assert not check_folder(published, "a" * 64, PARTS)
    with pytest.raises(ValueError, match="unknown tokenizer"):
        claim_folder(published, "a" * 64, PARTS)


def test_augmentation_drops_one_step_a_third_of_the_time(tmp_path):
    tokens = np.arange(12).reshape(4, 3) % 8
    write_tokens(token_path(tmp_path, "how2sign", "a"), tokens)
    dataset = TokenDataset([FakeClip("a", None)], tmp_path, PARTS, augment=True, cache=True)
    seen = [dataset[SeededIndex(0, seed)].tokens for seed in range(900)]
    assert np.array_equal(dataset[0].tokens, tokens) and dataset[0].gloss == "HELLO"
    heads = sum(np.array_equal(t, tokens[1:]) for t in seen)
    tails = sum(np.array_equal(t, tokens[:-1]) for t in seen)
    assert 110 < heads < 190 and 110 < tails < 190
    assert heads + tails + sum(np.array_equal(t, tokens) for t in seen) == 900


def test_predictions_round_trip(tmp_path):
    draw = np.random.default_rng(0)
    saved = Prediction(
        "test/x",
        "phoenix",
        "grüße",
        ("a", "ß"),
        np.ones((3, 3), np.int64),
        draw.normal(size=(12, 133)),
        draw.normal(size=(9, 133)),
    )
    write_prediction(prediction_path(tmp_path, "phoenix", saved.name), saved)
    (loaded,) = read_predictions(tmp_path, "phoenix")
    assert (loaded.text, loaded.keywords, loaded.name) == ("grüße", ("a", "ß"), "test/x")
    np.testing.assert_allclose(loaded.generated, saved.generated, atol=1e-6)
    with pytest.raises(FileNotFoundError, match="SAVE_PREDICTIONS"):
        read_predictions(tmp_path, "csl")


def test_corpora_are_selected_by_name():
    assert [c.name for c in select_corpora("phoenix_how2sign", CORPORA)] == ["how2sign", "phoenix"]
    for wrong in ("", "how2sign_asl"):
        with pytest.raises(ValueError, match="join any of"):
            select_corpora(wrong, CORPORA)
    assert corpus_of_language("de", list(CORPORA.values())).name == "phoenix"
    with pytest.raises(ValueError, match="choose one of"):
        corpus_of_language("fr", list(CORPORA.values()))
