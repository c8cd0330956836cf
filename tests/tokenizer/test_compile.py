"""A compiled tokenizer computes what the plain one computes."""

import pytest
import torch

from tests.tokenizer.models import clips_of, tokenizer_of, train_step

#: One part: compiling takes far longer than the steps that are compared.
ROWS = [{"name": "all", "columns": [[0, 133]], "codebook_size": 16, "fusion_weight": 1.0,
         "token_prefix": "motion_id"}]  # fmt: skip


@pytest.mark.slow
def test_compiled_equals_plain():
    torch._dynamo.reset()
    plain, other = tokenizer_of(rows=ROWS), tokenizer_of(rows=ROWS)
    compiled = torch.compile(other)
    optimizers = [torch.optim.SGD(model.parameters(), 0.1) for model in (plain, other)]
    for seed in range(2):
        clips = clips_of([32, 8], seed)
        expected, output = train_step(plain, optimizers[0], clips)
        loss, found = train_step(compiled, optimizers[1], clips)
        torch.testing.assert_close(loss, expected)
        assert torch.equal(found.tokens, output.tokens)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 1  # something was compiled
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], value, atol=1e-5, rtol=1e-4, msg=key)
