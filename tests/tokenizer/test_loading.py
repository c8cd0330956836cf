"""Our own checkpoints, in torch's format and as safetensors."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import soke
from soke.tokenizer import QUANTIZERS, load_tokenizer, save_safetensors
from tests.tokenizer.models import THREE_PARTS, clips_of, padded, tokenizer_of, train_step


def trained(kind="ema_reset", **arguments):
    arguments = {"mean": torch.randn(133), "std": torch.rand(133) + 0.5, **arguments}
    tokenizer = tokenizer_of(kind, **arguments)
    train_step(tokenizer, torch.optim.SGD(tokenizer.parameters(), 0.1), clips_of([32, 16]))
    return tokenizer.eval()


def content_of(tokenizer):
    state = {f"tokenizer.{key}": value for key, value in tokenizer.state_dict().items()}
    return {"state_dict": state, "soke": {"tokenizer": tokenizer.description()}, "epoch": 1}


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize("kind", QUANTIZERS)
@torch.no_grad()
def test_round_trip(tmp_path, kind, suffix):
    levels = {"levels": {"body": [4, 2, 2]}} if kind in ("fsq", "rvq") else {}
    with torch.enable_grad():
        tokenizer = trained(kind, **levels)
    path = tmp_path / f"tokenizer{suffix}"
    if suffix == ".ckpt":
        torch.save(content_of(tokenizer), path)
    else:
        save_safetensors(tokenizer, path)
    loaded = soke.load_tokenizer(path)
    assert not loaded.training and loaded.description() == tokenizer.description()
    assert loaded.state_dict().keys() == tokenizer.state_dict().keys()
    for key, value in tokenizer.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key
    motion, _ = padded(clips_of([16, 24]))
    assert torch.equal(loaded.encode(motion), tokenizer.encode(motion))


def test_the_description_is_in_the_metadata(tmp_path):
    tokenizer = trained("fsq")
    save_safetensors(tokenizer, tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["soke.tokenizer"]) == tokenizer.description()


def test_checkpoints_from_before_there_were_quantizers_load(tmp_path):
    tokenizer = trained()
    content = content_of(tokenizer)
    content["soke"]["tokenizer"] = {
        "parts": tokenizer.parts.to_rows(),
        "width": 16,
        "code_dim": 8,
        "decay": 0.99,
    }
    torch.save(content, tmp_path / "a.ckpt")
    motion = torch.randn(1, 16, 133)
    loaded = load_tokenizer(tmp_path / "a.ckpt")
    assert torch.equal(loaded.encode(motion), tokenizer.encode(motion))


def test_sizes_are_those_of_the_tensors(tmp_path):
    tokenizer = trained(width=24, code_dim=12)
    content = content_of(tokenizer)
    content["soke"]["tokenizer"] |= {"width": 512, "code_dim": 512}
    torch.save(content, tmp_path / "a.ckpt")
    loaded = load_tokenizer(tmp_path / "a.ckpt")
    assert loaded.arguments["width"] == 24 and loaded.arguments["code_dim"] == 12


def test_given_statistics_do_not_replace_those_of_the_checkpoint(tmp_path):
    tokenizer = trained()
    torch.save(content_of(tokenizer), tmp_path / "a.ckpt")
    loaded = load_tokenizer(tmp_path / "a.ckpt", torch.zeros(133), torch.ones(133))
    assert torch.equal(loaded.mean, tokenizer.mean)


def test_statistics_of_whole_frames_are_cut(tmp_path):
    content, frame = content_of(trained()), torch.arange(179.0)
    content["state_dict"] |= {"tokenizer.mean": frame, "tokenizer.std": frame + 1}
    torch.save(content, tmp_path / "a.ckpt")
    loaded = load_tokenizer(tmp_path / "a.ckpt")
    expected = torch.tensor([*range(36, 159), *range(169, 179)]).float()
    assert torch.equal(loaded.mean, expected)
    torch.testing.assert_close(loaded.std, expected + 1)


def other_parts(content):
    content["soke"]["tokenizer"]["parts"] = [
        {**THREE_PARTS[0], "columns": [[0, 45]]},
        {**THREE_PARTS[1], "columns": [[45, 90]]},
        {**THREE_PARTS[2], "columns": [[90, 133]]},
    ]


def other_codes(content):
    content["soke"]["tokenizer"]["parts"][1]["codebook_size"] = 9


def fewer_features(content):
    content["soke"]["tokenizer"]["parts"][0]["columns"] = [[0, 30]]


def one_part_less(content):
    content["soke"]["tokenizer"]["parts"] = [
        {**THREE_PARTS[0], "columns": [[0, 133]], "fusion_weight": 1.0}
    ]


def other_quantizer(content):
    content["soke"]["tokenizer"]["quantizer"] = "fsq"


def newer(content):
    content["soke"]["tokenizer"]["attention"] = True


def missing(content):
    del content["state_dict"]["tokenizer.networks.2.decoder.middle.bias"]


def malformed(content):
    content["soke"]["tokenizer"]["parts"] = [{"name": "body"}]


def wrong_statistics(content):
    content["state_dict"]["tokenizer.mean"] = torch.zeros(132)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_parts, "part 'body' takes 43 features.* has 45 columns"),
        (other_codes, "part 'lhand' has 8 codes, .* says 9"),
        (fewer_features, "no part covers the feature columns"),
        (one_part_less, "part 'body' takes 43 features.* has 133 columns"),
        (other_quantizer, "quantizer"),
        (newer, r"has \['attention'\]: it was written by another version"),
        (missing, "networks.2.decoder.middle.bias"),
        (malformed, "cannot be loaded as a tokenizer"),
        (wrong_statistics, "mean must be 179 or 133 finite numbers"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_one_clear_error(tmp_path, change, message):
    content, path = content_of(trained()), tmp_path / "a.ckpt"
    change(content)
    torch.save(content, path)
    with pytest.raises(ValueError, match=message) as error:
        load_tokenizer(path)
    assert str(path) in str(error.value)


def test_what_is_no_tokenizer_is_named(tmp_path):
    path = tmp_path / "a.ckpt"
    for content in (
        {"state_dict": content_of(trained())["state_dict"]},
        {},
        [1, 2],
        {"state_dict": {"generator.x": torch.zeros(1)}, "soke": {}},
    ):
        torch.save(content, path)
        with pytest.raises(ValueError, match=r"not a (tokenizer )?checkpoint"):
            load_tokenizer(path)
    for name in ("a.ckpt", "a.safetensors"):
        (tmp_path / name).write_bytes(b"neither of the two" * 9)
        with pytest.raises(ValueError, match="cannot be read as"):
            load_tokenizer(tmp_path / name)
    torch.save(content_of(trained()), path)
    path.write_bytes(path.read_bytes()[:-5000])  # truncated
    with pytest.raises(ValueError, match="cannot be read as"):
        load_tokenizer(path)
    save_file({"x": torch.zeros(1)}, tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="not a tokenizer checkpoint"):
        load_tokenizer(tmp_path / "b.safetensors")
    with pytest.raises(FileNotFoundError, match="python -m train"):
        load_tokenizer(tmp_path / "none.ckpt")
