"""The ``ema_reset`` quantizer: a codebook that follows the encoder by moving averages."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn


def _all_reduce(value: Tensor) -> Tensor:
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(value)
    return value


def _from_first_rank(value: Tensor) -> Tensor:
    if dist.is_available() and dist.is_initialized():
        dist.broadcast(value, src=0)
    return value


class EMAResetQuantizer(nn.Module):
    """Nearest code by squared Euclidean distance; unused codes are reset to current outputs.

    All state lies in buffers, so a checkpoint continues exactly: the codes ``codebook`` [K, D], the
    moving averages ``code_sum`` [K, D] and ``code_count`` [K], whether the codebook has started
    (``started``) and how many updates were made (``updates``, which also seeds the random draws).

    The codebook starts as the first batch's encoder outputs (repeated with a little noise where
    there are fewer than K). After every training batch, a code whose averaged count is at least 1
    becomes sum / count, any other becomes a random row of the batch's outputs.
    """

    def __init__(self, codebook_size: int, code_dim: int, decay: float = 0.99) -> None:
        super().__init__()
        self.codebook_size, self.code_dim, self.decay = codebook_size, code_dim, decay
        self.register_buffer("codebook", torch.zeros(codebook_size, code_dim))
        self.register_buffer("code_sum", torch.zeros(codebook_size, code_dim))
        self.register_buffer("code_count", torch.ones(codebook_size))
        self.register_buffer("started", torch.tensor(False))
        self.register_buffer("updates", torch.tensor(0))

    def nearest(self, vectors: Tensor) -> Tensor:
        """Code indices ``[...]`` of vectors ``[..., D]``."""
        flat = vectors.reshape(-1, self.code_dim).float()
        # |x - c|^2 = |x|^2 - 2 x.c + |c|^2, and |x|^2 is the same for every code. In full
        # precision even under autocast: the choice among near codes is a matter of small digits.
        with torch.autocast(vectors.device.type, enabled=False):
            distances = self.codebook.square().sum(dim=1) - 2 * flat @ self.codebook.T
        return distances.argmin(dim=1).view(vectors.shape[:-1])

    def lookup(self, tokens: Tensor) -> Tensor:
        """Code vectors ``[..., D]`` of indices ``[...]``."""
        return F.embedding(tokens, self.codebook)

    def forward(self, vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantize vectors ``[B, S, D]`` with a boolean mask ``[B, S]``.

        Returns the codes with a straight-through gradient ``[B, S, D]``, the tokens ``[B, S]``,
        the commitment error (mean square over real steps) and the perplexity of the batch.
        """
        vectors = vectors.float()
        real = vectors[mask]  # [N, D]
        if self.training and not self.started:
            self._start(real.detach())
        tokens = self.nearest(vectors)
        codes = self.lookup(tokens)
        commitment = F.mse_loss(real, codes[mask])
        counts = _all_reduce(torch.bincount(tokens[mask], minlength=self.codebook_size).to(real))
        share = counts / counts.sum()
        perplexity = torch.exp(-(share * (share + 1e-7).log()).sum())
        if self.training:
            self._update(real.detach(), tokens[mask], counts)
        return vectors + (codes - vectors).detach(), tokens, commitment, perplexity

    def _draw(self, rows: Tensor, count: int) -> Tensor:
        """``count`` rows at random, with repeated rows only where there are too few; [count, D]."""
        generator = torch.Generator().manual_seed(int(self.updates))
        order = torch.randperm(len(rows), generator=generator)
        order = order.repeat(-(-count // len(rows)))[:count].to(rows.device)
        drawn = rows[order]
        if len(rows) < count:
            noise = torch.randn(count, self.code_dim, generator=generator).to(drawn)
            drawn = drawn + noise * (0.01 / self.code_dim**0.5)
        return drawn

    @torch.no_grad()
    def _start(self, rows: Tensor) -> None:
        if len(rows) >= self.codebook_size:
            first = rows[: self.codebook_size]
        else:
            first = self._draw(rows, self.codebook_size)
        self.codebook.copy_(_from_first_rank(first.clone()))
        self.code_sum.copy_(self.codebook)
        self.code_count.fill_(1)
        self.started.fill_(True)

    @torch.no_grad()
    def _update(self, rows: Tensor, tokens: Tensor, counts: Tensor) -> None:
        sums = torch.zeros_like(self.code_sum).index_add_(0, tokens, rows)
        self.code_sum.lerp_(_all_reduce(sums), 1 - self.decay)
        self.code_count.lerp_(counts, 1 - self.decay)
        alive = (self.code_count >= 1)[:, None]
        moved = self.code_sum / self.code_count.clamp(min=1)[:, None]
        fresh = _from_first_rank(self._draw(rows, self.codebook_size))
        self.codebook.copy_(torch.where(alive, moved, fresh))
        self.updates += 1
