"""How many of its codes each part uses, over a whole data set."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torchmetrics
from torch import Tensor

from soke.tokenizer.quantizers import usage


class CodebookUse(torchmetrics.Metric):
    """Counts the tokens of P parts; the counts of several ranks are added when it is computed."""

    counts: Tensor
    full_state_update = False

    def __init__(self, codebook_sizes: Sequence[int]) -> None:
        super().__init__()
        self.codebook_sizes = list(codebook_sizes)
        counts = torch.zeros(len(self.codebook_sizes), max(self.codebook_sizes), dtype=torch.int64)
        self.add_state("counts", counts, dist_reduce_fx="sum")  # [P, Kmax]

    def update(self, tokens: Tensor, mask: Tensor) -> None:
        """Count tokens ``[B, S, P]`` where ``mask`` [B, S] is True."""
        parts, most = self.counts.shape
        rows = tokens[mask] + torch.arange(parts, device=tokens.device) * most  # [N, P]
        self.counts += torch.bincount(rows.flatten(), minlength=parts * most).view(parts, most)

    def compute(self) -> dict[str, list[Tensor]]:
        """``perplexity`` and ``codes_used`` (the share of the codebook, 0 to 1), P numbers each.

        Lists, since torchmetrics would make a number of the tensor of a single part.
        """
        rows = [
            usage(counts[:size].double()) for counts, size in zip(self.counts, self.codebook_sizes)
        ]
        perplexity, used = zip(*rows)
        return {"perplexity": list(perplexity), "codes_used": list(used)}
