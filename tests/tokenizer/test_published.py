"""Published checkpoints give the codes and the motion of the network they were trained as."""

import logging

import pytest
import torch

from benchmarks.plain_tokenizer import (
    COLUMNS,
    NAMINGS,
    SIZES,
    published_networks,
    published_state,
)
from soke.parts import frames_to_features
from soke.tokenizer import load_tokenizer, save_published
from tests.tokenizer.models import tokenizer_of

MEAN, STD = torch.randn(179), torch.rand(179) + 0.5


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tokenizer.ckpt"


@torch.no_grad()
def expected_of(networks, motion):
    """Tokens [B, S, 3] and reconstruction [B, T, 133] of the plain networks."""
    tokens, motions = [], torch.zeros_like(motion)
    for name, network in networks.items():
        tokens.append(network.encode(motion[..., COLUMNS[name]]))
        motions[..., COLUMNS[name]] = network.decode(tokens[-1])
    return torch.stack(tokens, dim=-1), motions


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("shape", [(1, 40), (5, 64)])
@torch.no_grad()
def test_codes_and_motion_are_those_of_the_original_network(path, naming, shape):
    networks = published_networks()
    torch.save({"state_dict": published_state(networks, naming), "epoch": 3}, path)
    tokenizer = load_tokenizer(path, MEAN, STD)
    assert not tokenizer.training and tokenizer.parts.names == list(SIZES)
    assert [part.codebook_size for part in tokenizer.parts] == [24, 20, 28]
    motion = torch.randn(*shape, 133)
    tokens, motions = expected_of(networks, motion)
    assert min(len(column.unique()) for column in tokens.unbind(-1)) >= 5
    assert torch.equal(tokenizer.encode(motion), tokens)
    torch.testing.assert_close(tokenizer.decode(tokens), motions, atol=1e-6, rtol=1e-5)
    output = tokenizer(motion, torch.ones(shape, dtype=torch.bool))
    torch.testing.assert_close(output.reconstruction, motions, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_sizes_are_those_of_the_tensors(path):
    networks = published_networks(width=24, code_dim=12)
    torch.save({"state_dict": published_state(networks, NAMINGS[0])}, path)
    tokenizer = load_tokenizer(path, MEAN, STD)
    assert tokenizer.arguments["width"] == 24 and tokenizer.arguments["code_dim"] == 12
    motion = torch.randn(2, 16, 133)
    assert torch.equal(tokenizer.encode(motion), expected_of(networks, motion)[0])


@pytest.mark.parametrize("where", ["given", "beside", "in the state", "given cut"])
def test_statistics_of_whole_frames_are_cut(path, where):
    content = {"state_dict": published_state(published_networks(), NAMINGS[0])}
    std = STD.clone()
    std[40] = 0  # a feature that never moves
    given = {}
    if where == "beside":
        content |= {"mean": MEAN, "std": std}
    elif where == "in the state":
        content["state_dict"] |= {"mean": MEAN, "std": std}
    elif where == "given":
        given = {"mean": MEAN, "std": std}
    else:
        given = {"mean": frames_to_features(MEAN), "std": frames_to_features(std) + 1e-10}
    torch.save(content, path)
    tokenizer = load_tokenizer(path, **given)
    frames = torch.randn(3, 179) + MEAN
    frames[:, 40] = MEAN[40]
    expected = frames_to_features((frames - MEAN) / (std + 1e-10))
    torch.testing.assert_close(tokenizer.normalize(frames_to_features(frames)), expected)


def test_the_statistics_of_the_file_win_over_given_ones(path):
    state = published_state(published_networks(), NAMINGS[0])
    torch.save({"state_dict": state, "mean": MEAN, "std": STD}, path)
    tokenizer = load_tokenizer(path, torch.zeros(133), torch.ones(133))
    assert torch.equal(tokenizer.mean, frames_to_features(MEAN))


def test_without_statistics_there_is_a_warning(path, caplog):
    torch.save({"state_dict": published_state(published_networks(), NAMINGS[0])}, path)
    with caplog.at_level(logging.WARNING):
        tokenizer = load_tokenizer(path)
    assert "no statistics" in caplog.text
    motion = torch.randn(4, 133)
    assert torch.equal(tokenizer.normalize(motion), motion)


def test_keys_of_other_networks_are_named_and_left_out(path, caplog):
    state = published_state(published_networks(), NAMINGS[1])
    torch.save({"state_dict": {**state, "lm.weight": torch.zeros(1)}}, path)
    with caplog.at_level(logging.WARNING):
        load_tokenizer(path, MEAN, STD)
    assert "1 keys are not the tokenizer's" in caplog.text and "lm.weight" in caplog.text


def without(state, start):
    return {key: value for key, value in state.items() if not key.startswith(start)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s, "vae.encoder.model.4.bias"), r"'body' \(vae\.\*\) lacks"),
        (
            lambda s: {**s, "hand_vae.encoder.model.5.bias": torch.zeros(1)},
            r"'lhand' .* has the unknown \['encoder.model.5.bias'\]",
        ),
        (lambda s: without(s, "rhand_vae."), "'rhand' is there not at all"),
        (lambda s: {**s, "motion_vae.x": torch.zeros(1)}, "'body' is there twice"),
        (
            lambda s: {**s, "vae.encoder.model.0.weight": torch.zeros(16, 45, 3)},
            "'body' takes 45 features.* has 43 columns",
        ),
        (
            lambda s: {**s, "hand_vae.encoder.model.0.weight": torch.zeros(24, 45, 3)},
            "differ in width and code size",
        ),
        (lambda s: {**s, "vae.decoder.model.4.bias": torch.zeros(3)}, "size mismatch"),
        (
            lambda s: {**s, "mean": torch.zeros(100), "std": torch.ones(100)},
            r"mean must be 179 or 133 finite numbers, got shape \(100,\)",
        ),
        (lambda s: {**s, "mean": MEAN}, "come as a pair; std is missing"),
        (lambda s: {**s, "mean": MEAN, "std": torch.full((133,), 0.0)}, "std must be positive"),
    ],
)
def test_other_networks_are_one_clear_error(path, change, message):
    state = change(published_state(published_networks(), NAMINGS[0]))
    torch.save({"state_dict": state}, path)
    with pytest.raises(ValueError, match=message) as error:
        load_tokenizer(path)
    assert str(path) in str(error.value)


def test_a_loaded_codebook_can_be_trained_further(path):
    torch.save({"state_dict": published_state(published_networks(), NAMINGS[0])}, path)
    tokenizer = load_tokenizer(path, MEAN, STD).train()
    quantizer = tokenizer.networks[0].quantizer
    before = quantizer.codebook.clone()
    tokenizer(torch.randn(1, 8, 133), torch.ones(1, 8, dtype=torch.bool))
    moved = (quantizer.codebook != before).any(dim=1)
    assert 0 < moved.sum() < 24 and bool(quantizer.started)  # two tokens move; nothing is reset
    assert (quantizer.codebook - before).abs().max() < 0.1


def test_ours_is_written_with_the_published_names(path):
    networks = published_networks()
    torch.save({"state_dict": published_state(networks, NAMINGS[0])}, path)
    tokenizer = load_tokenizer(path, MEAN, STD)
    written = path.with_name("again.ckpt")
    save_published(tokenizer, written)
    content = torch.load(written, weights_only=True)
    original = published_state(networks, NAMINGS[0])
    assert content["state_dict"].keys() == original.keys()
    for key, value in original.items():
        assert torch.equal(content["state_dict"][key], value), key
    assert torch.equal(content["mean"], tokenizer.mean)


FOUR = [
    {"name": n, "columns": [c], "codebook_size": 8, "fusion_weight": 0.25, "token_prefix": n}
    for n, c in zip("abcd", ([0, 30], [30, 75], [75, 120], [120, 133]))
]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": FOUR}, r"cannot hold \['a', 'b', 'c', 'd'\]"),
        ({"quantizer": "fsq"}, "cannot hold the quantizer 'fsq'"),
        ({"quantizer": "rvq"}, "cannot hold the quantizer 'rvq'"),
    ],
)
def test_what_the_names_cannot_express_is_one_clear_error(path, arguments, message):
    with pytest.raises(ValueError, match=message):
        save_published(tokenizer_of(**arguments), path)
    assert not path.exists()
