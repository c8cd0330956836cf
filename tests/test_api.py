"""Signing from Python: load, generate, stream, save, render."""

import inspect
import logging

import numpy as np
import pytest
import torch

import soke
from soke.data.motion_files import read_motion
from soke.files import MissingAssetError
from soke.tokenizer import load_tokenizer
from tests.runs import small_run

TEXTS = ["the quick fox", "jumps", "the brown fox jumps over 7 apples", "a", "köln 今天 🙂"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def signer(small):
    return soke.load(small)


def same(one, other):
    assert one.text == other.text and one.keywords == other.keywords
    np.testing.assert_array_equal(one.tokens, other.tokens)
    np.testing.assert_allclose(one.motion, other.motion, atol=1e-5)


def test_a_text_becomes_motion(signer, small):
    signed = signer.generate(" the\tquick fox", "en")
    steps = len(signed.tokens)
    assert signed.text == "the quick fox" and signed.language == "en" and signed.fps == 24
    assert 8 <= steps <= 12 and signed.tokens.shape == (steps, 3)
    assert signed.motion.shape == (4 * steps, 133) and signed.motion.dtype == np.float32
    assert signed.keywords == ("fox",)
    tokenizer = load_tokenizer(small.parent / "tokenizer.safetensors")
    (motion,) = tokenizer.decode_to_motion([torch.from_numpy(signed.tokens)])
    np.testing.assert_allclose(signed.motion, motion.numpy(), atol=1e-5)


def test_a_text_is_the_same_alone_and_in_a_list(signer):
    together = signer.generate(TEXTS, "en")  # three batches of at most two
    assert [signed.text for signed in together] == TEXTS
    assert len({signed.tokens.tobytes() for signed in together}) > 1
    for text, signed in zip(TEXTS, together):
        same(signer.generate(text, "en"), signed)
    assert signer.generate([], "en") == []


def test_a_language_has_its_own_prompt_and_rate(signer):
    assert signer.languages == ["en", "zh", "de"]
    english, german = signer.generate("fox", "en"), signer.generate("fox", "de")
    assert german.fps == 25 and german.keywords == () and english.keywords == ("fox",)
    assert not np.array_equal(english.tokens[:8], german.tokens[:8])


def test_decoding_options_take_the_place_of_the_configured_ones(signer):
    assert len(signer.generate("fox", "en", max_steps=5, min_steps=5).tokens) == 5
    assert 8 <= len(signer.generate("fox", "en").tokens) <= 12  # only for that one call
    with pytest.raises(ValueError, match="did you mean 'max_steps'"):
        signer.generate("fox", "en", maxsteps=5)
    with pytest.raises(ValueError, match="no 'model'"):
        signer.generate("fox", "en", model=None)
    with pytest.raises(ValueError, match="max_steps"):
        signer.generate("fox", "en", max_steps=0)


def test_drawn_texts_follow_their_seed(signer):
    options = {"temperature": 1.0, "min_steps": 12}
    once = signer.generate(TEXTS, "en", seed=1, **options)
    for text, signed in zip(TEXTS, once):
        same(signer.generate(text, "en", seed=1, **options), signed)
    other = signer.generate(TEXTS, "en", seed=2, **options)
    assert not np.array_equal(once[0].tokens, other[0].tokens)
    pieces = list(signer.stream(TEXTS[0], "en", seed=1, **options))
    np.testing.assert_allclose(np.concatenate(pieces), once[0].motion, atol=1e-5)


@pytest.mark.parametrize("block", [1, 4, 100])
def test_streamed_pieces_are_the_motion(signer, block):
    whole = signer.generate("the quick fox", "en", max_steps=40, min_steps=30)
    pieces = list(signer.stream("the quick fox", "en", block=block, max_steps=40, min_steps=30))
    np.testing.assert_allclose(np.concatenate(pieces), whole.motion, atol=1e-5)
    assert len(pieces) > 2 or block == 100


def test_a_stream_is_ahead_of_the_end(signer, monkeypatch):
    taken, iterate = [], soke.signer.iterate

    def counted(*args, **options):
        for step in iterate(*args, **options):
            taken.append(step)
            yield step

    counted.__signature__ = inspect.signature(iterate)
    monkeypatch.setattr("soke.signer.iterate", counted)
    pieces = signer.stream("the fox", "en", look_ahead=3, block=1, max_steps=30, min_steps=30)
    assert taken == []
    first = next(pieces)
    assert first.shape == (4, 133) and len(taken) == 4  # its own token and three ahead
    assert sum(len(piece) for piece in pieces) == 4 * 29


def test_wrong_requests_are_refused_at_once(signer):
    for call in (signer.generate, signer.each, signer.stream):
        with pytest.raises(ValueError, match=r"choose one of \['en', 'zh', 'de'\]"):
            call("fox" if call == signer.stream else ["fox"], "fr")
        with pytest.raises(ValueError, match="the text is empty"):
            call(" " if call == signer.stream else ["fox", " "], "en")
        with pytest.raises(ValueError, match="no letter"):
            call("🙂" if call == signer.stream else ["🙂"], "en")
        with pytest.raises(ValueError, match="did you mean"):
            call("fox" if call == signer.stream else ["fox"], "en", max_step=4)
    with pytest.raises(ValueError, match="block is 0"):
        signer.stream("fox", "en", block=0)
    with pytest.raises(ValueError, match="max_steps=0"):
        signer.stream("fox", "en", max_steps=0)
    with pytest.raises(ValueError, match="look_ahead is -1"):
        signer.stream("fox", "en", look_ahead=-1)


def test_a_text_of_ten_thousand_characters_is_cut_by_the_prompt(signer):
    text = "the quick brown fox " * 500
    signed = signer.generate(text, "en")
    assert signed.text == text.strip() and len(signed.tokens) >= 8


def test_what_is_saved_is_read_back(signer, tmp_path, caplog):
    signed = signer.generate("the quick fox", "en")
    assert signer.save(signed, tmp_path / "fox.npz") == tmp_path / "fox.npz"
    same(read_motion(tmp_path / "fox.npz"), signed)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        signer.save(signed, tmp_path / "fox.npz")
    assert "is written over" in caplog.text


def test_a_video_is_rendered(signer, tmp_path):
    import av

    signed = signer.generate("fox", "en", max_steps=2, min_steps=2)
    path = signer.render(signed, tmp_path / "fox.mp4")
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 8
        assert container.streams.video[0].average_rate == 24
    assert path.with_suffix(".png").exists()
    with pytest.raises(ValueError, match=r"\.mp4"):
        signer.render(signed, tmp_path / "fox.avi")


def test_a_run_directory_is_as_good_as_its_yaml_file(signer, small):
    run = small.parent / "experiments" / "small"
    same(soke.load(run).generate("the fox", "en"), signer.generate("the fox", "en"))
    moved = run.rename(run.with_name("moved"))
    try:
        same(soke.load(str(moved)).generate("the fox", "en"), signer.generate("the fox", "en"))
        with pytest.raises(MissingAssetError, match="trained checkpoint"):
            soke.load(small)
    finally:
        moved.rename(run)


def test_overrides_are_values_of_the_configuration(small):
    bare = soke.load(
        small, RETRIEVAL={"MAX_KEYWORDS": 0}, DATASET={"H2S": {"DATASET_NAME": "how2sign"}}
    )
    assert bare.languages == ["en"]
    assert bare.generate("the fox", "en").keywords == ()
    checkpoint = small.parent / "experiments" / "small" / "checkpoints" / "best.ckpt"
    assert soke.load(small, NAME="other: {x}", TEST={"CHECKPOINTS": checkpoint})
    with pytest.raises(ValueError, match=r"did you mean 'RETRIEVAL\.MAX_KEYWORDS'"):
        soke.load(small, RETRIEVAL={"MAX_KEYWORD": 0})
    with pytest.raises(ValueError, match="did you mean 'NAME'"):
        soke.load(small, NAMES="x")


def test_what_cannot_be_loaded_says_why(small, tmp_path):
    with pytest.raises(MissingAssetError, match="configuration of a run"):
        soke.load(tmp_path)
    with pytest.raises(MissingAssetError, match="configuration"):
        soke.load(tmp_path / "no.yaml")
    with pytest.raises(ValueError, match="configuration of a tokenizer"):
        soke.load(small, TRAIN={"STAGE": "vae"})
