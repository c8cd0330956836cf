"""Compiled networks compute what the plain ones compute, under the same names."""

from types import SimpleNamespace

import pytest
import torch

from soke.assemble.run import Run
from soke.assemble.trainer import build_trainer
from soke.body import BodyModel
from soke.config import SCHEMA, load_config
from soke.training.generator_module import GeneratorModule
from soke.training.tokenizer_module import TokenizerModule
from tests.helpers import CORPORA, small_generator, small_tokenizer, token_samples
from tests.tokenizer.models import clips_of, tokenizer_of, train_step

#: One part: compiling takes far longer than the steps that are compared.
ROWS = [
    {
        "name": "all",
        "columns": [[0, 133]],
        "codebook_size": 16,
        "fusion_weight": 1.0,
        "token_prefix": "motion_id",
    }
]


def compile_by_switch(module):
    """As a training does whose configuration says so."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    config = load_config(SCHEMA, ["TRAIN.COMPILE=true", "ACCELERATOR=cpu", "DEVICE=1"])
    build_trainer(Run(config), module, SimpleNamespace(train_dataloader=lambda: range(4)))


def compiled_graphs():
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


@pytest.mark.slow
def test_a_compiled_tokenizer_equals_the_plain_one():
    plain, other = tokenizer_of(rows=ROWS), tokenizer_of(rows=ROWS)
    compile_by_switch(TokenizerModule(other, BodyModel(), [], None, None))
    optimizers = [torch.optim.SGD(model.parameters(), 0.1) for model in (plain, other)]
    for seed in range(2):
        clips = clips_of([32, 8], seed)
        expected, output = train_step(plain, optimizers[0], clips)
        loss, found = train_step(other, optimizers[1], clips)
        torch.testing.assert_close(loss, expected)
        assert torch.equal(found.tokens, output.tokens)
    assert compiled_graphs() > 1
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], value, atol=1e-5, rtol=1e-4, msg=key)
    assert list(plain.state_dict()) == list(other.state_dict())


@pytest.mark.slow
def test_a_compiled_generator_equals_the_plain_one(tmp_path):
    plain, prompts = small_generator(tmp_path / "plain")
    other, _ = small_generator(tmp_path / "compiled")
    compile_by_switch(
        GeneratorModule(other, small_tokenizer(), "", BodyModel(), list(CORPORA), None, None, None)
    )
    optimizers = [torch.optim.SGD(model.parameters(), 0.01) for model in (plain, other)]
    samples = token_samples(6)
    for batch in (prompts(samples[:4]), prompts(samples[2:6]), prompts(samples[:2])):
        losses = []
        for model, optimizer in zip((plain, other), optimizers):
            loss = model.train().loss(batch)[0].sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        torch.testing.assert_close(*losses)
    assert compiled_graphs() > 1
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], value, atol=1e-5, rtol=1e-4, msg=key)
    assert list(plain.state_dict()) == list(other.state_dict())
