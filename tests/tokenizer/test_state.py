"""Everything that is learned is in the state: a resumed run is the uninterrupted one."""

import io

import pytest
import torch

from soke.tokenizer import QUANTIZERS, PartTokenizer
from tests.tokenizer.models import THREE_PARTS, clips_of, tokenizer_of, train_step

#: Codebooks that are larger than some batches have steps, so that the random draws matter.
ROWS = [{**row, "codebook_size": 24} for row in THREE_PARTS]


def adam(tokenizer):
    return torch.optim.AdamW(tokenizer.parameters(), 1e-3, fused=True)


def steps(tokenizer, optimizer, seeds):
    for seed in seeds:
        train_step(tokenizer, optimizer, clips_of([32, 8, 40] if seed % 2 else [12, 8], seed))


@pytest.mark.parametrize("kind", QUANTIZERS)
@pytest.mark.parametrize("before", [0, 3])
def test_a_resumed_run_equals_an_uninterrupted_one(kind, before):
    one = tokenizer_of(kind, rows=ROWS, decay=0.8)
    optimizer = adam(one)
    steps(one, optimizer, range(before))
    file = io.BytesIO()
    torch.save(
        {
            "model": one.state_dict(),
            "optimizer": optimizer.state_dict(),
            "description": one.description(),
        },
        file,
    )
    steps(one, optimizer, range(before, before + 3))

    file.seek(0)
    saved = torch.load(file, weights_only=True)
    torch.manual_seed(99)  # whatever random numbers the new process has
    other = PartTokenizer.from_description(saved["description"]).train()
    other.load_state_dict(saved["model"])
    optimizer = adam(other)
    optimizer.load_state_dict(saved["optimizer"])
    steps(other, optimizer, range(before, before + 3))
    assert one.state_dict().keys() == other.state_dict().keys()
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_a_step_draws_no_global_random_numbers(kind):
    tokenizer = tokenizer_of(kind, rows=ROWS)
    before = torch.get_rng_state()
    steps(tokenizer, adam(tokenizer), range(2))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_evaluation_changes_nothing(kind):
    tokenizer = tokenizer_of(kind)
    steps(tokenizer, adam(tokenizer), range(2))
    before = {key: value.clone() for key, value in tokenizer.state_dict().items()}
    tokenizer.eval()(torch.randn(2, 16, 133), torch.ones(2, 16, dtype=torch.bool))
    for key, value in tokenizer.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_the_names_of_the_state_are_those_of_earlier_checkpoints():
    names = {
        key.removeprefix("networks.0.")
        for key in tokenizer_of().state_dict()
        if key.startswith("networks.0.")
    }
    layers = [
        "encoder.input",
        "encoder.output",
        "decoder.input",
        "decoder.middle",
        "decoder.output",
    ]
    for i in "01":
        layers += [f"encoder.down.{i}", f"decoder.up.{i}"]
        layers += [
            f"{side}.stacks.{i}.blocks.{j}.{name}"
            for side in ("encoder", "decoder")
            for j in "012"
            for name in ("dilated", "pointwise")
        ]
    expected = {f"{layer}.{tensor}" for layer in layers for tensor in ("weight", "bias")}
    expected |= {
        f"quantizer.{name}" for name in ("codebook", "code_sum", "code_count", "started", "updates")
    }
    assert names == expected
