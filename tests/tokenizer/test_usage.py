"""Codebook use over a data set, batch by batch."""

import pytest
import torch
from scipy.stats import entropy

from soke.tokenizer.codebook_usage import CodebookUse


@pytest.mark.parametrize("sizes", [[6, 3], [5], [4, 6, 3]])
def test_counts_of_all_batches_count_together(sizes):
    use = CodebookUse(sizes)
    generator = torch.Generator().manual_seed(0)
    seen = [[] for _ in sizes]
    for length in (5, 9):
        tokens = torch.stack(
            [torch.randint(n - 1, (2, length), generator=generator) for n in sizes], dim=-1
        )
        mask = torch.arange(length) < torch.tensor([[length], [3]])
        use.update(tokens.masked_fill(~mask[..., None], -1), mask)
        for p in range(len(sizes)):
            seen[p] += tokens[..., p][mask].tolist()
    result = use.compute()
    assert "counts" not in use.state_dict()  # nothing of it is in a checkpoint
    for p, size in enumerate(sizes):
        counts = [seen[p].count(k) for k in range(size)]
        assert use.counts[p, :size].tolist() == counts
        perplexity = torch.tensor(entropy(counts)).exp()
        assert float(result["perplexity"][p]) == pytest.approx(float(perplexity))
        used = sum(count > 0 for count in counts) / size
        assert float(result["codes_used"][p]) == pytest.approx(used) and used < 1
    use.reset()
    assert not use.counts.any()
