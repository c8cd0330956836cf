"""A codebook of vectors, learned by moving averages or by gradients.

Four of the quantizers are this class: ``ema_reset`` (the method's own), ``ema``, ``reset`` and
``orig``. Its state is named as in our checkpoints and in published ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from soke.tokenizer.quantizers.base import Quantizer, mean_squared_distance, straight_through
from soke.tokenizer.ranks import BatchShare, own_rows, sum_over_ranks

#: Below this averaged count sum / count has lost its digits.
_NEVER_USED = 1e-8


class CodebookQuantizer(Quantizer):
    """Nearest code by squared Euclidean distance.

    All state lies in buffers (and, where codes are learned by gradients, in the parameter
    ``codebook``), so a checkpoint continues exactly: the codes ``codebook`` [K, D], the moving
    averages ``code_sum`` [K, D] and ``code_count`` [K], whether the codebook has ``started`` and
    how many ``updates`` were made, which also seeds the random draws.

    The codebook starts as the first K encoder outputs of the first batch; where there are fewer,
    they are repeated with noise of deviation 0.01 / sqrt(D). With ``learning="ema"`` a code then
    becomes, after every training batch, the moving average of the outputs that chose it; with
    ``"gradient"`` it is a parameter, pulled towards them by a loss of its own that is added to the
    commitment. With ``reset`` a code whose averaged count is below 1 becomes a random output of the
    batch instead; a code that is learned by gradients only while no output chooses it, so that no
    gradient is meant for another code.
    """

    codebook: Tensor
    code_sum: Tensor
    code_count: Tensor
    started: Tensor
    updates: Tensor

    def __init__(
        self, codebook_size: int, code_dim: int, decay: float, learning: str, reset: bool
    ) -> None:
        super().__init__(codebook_size, code_dim)
        assert learning in ("ema", "gradient")
        self.decay = decay
        self.averaged = learning == "ema"
        self.reset = reset
        codebook = torch.zeros(codebook_size, code_dim)
        if self.averaged:
            self.register_buffer("codebook", codebook)
            self.register_buffer("code_sum", codebook.clone())
        else:
            self.codebook = nn.Parameter(codebook)
        self.register_buffer("code_count", torch.ones(codebook_size))
        self.register_buffer("started", torch.tensor(False))
        self.register_buffer("updates", torch.tensor(0))

    def nearest(self, vectors: Tensor) -> Tensor:
        rows = vectors.detach().reshape(-1, self.code_dim).float()
        codes = self.codebook.detach()
        with torch.autocast(vectors.device.type, enabled=False):
            # |x - c|^2 = |x|^2 - 2 x.c + |c|^2, and |x|^2 is the same for every code.
            distances = torch.addmm(codes.square().sum(dim=1), rows, codes.T, alpha=-2)
        return distances.argmin(dim=1).view(vectors.shape[:-1])

    def lookup(self, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, self.codebook)

    def assign(self, rows: Tensor, share: BatchShare) -> tuple[Tensor, Tensor, Tensor]:
        tokens = self.nearest(rows)
        codes = self.lookup(tokens)
        loss = mean_squared_distance(rows, codes.detach(), share)
        if not self.averaged:
            loss = loss + mean_squared_distance(codes, rows.detach(), share)
        return straight_through(rows, codes), tokens, loss

    @torch.no_grad()
    def start(self, rows: Tensor, share: BatchShare) -> None:
        if self.started:
            return
        numbers = torch.arange(self.codebook_size, device=rows.device) % max(share.total, 1)
        first = sum_over_ranks(own_rows(rows, numbers, share))
        self.codebook.copy_(first + self._noise(self._generator(), share).to(first))
        if self.averaged:
            self.code_sum.copy_(self.codebook)
        self.code_count.fill_(1)
        self.started.fill_(True)

    @torch.no_grad()
    def learn(self, rows: Tensor, tokens: Tensor, counts: Tensor, share: BatchShare) -> None:
        self.code_count.lerp_(counts, 1 - self.decay)
        sums = (
            torch.zeros_like(self.codebook).index_add_(0, tokens, rows) if self.averaged else None
        )
        fresh, noise = self._draw(rows, share) if self.reset else (None, None)
        exchanged = [value for value in (sums, fresh) if value is not None]
        if share.ranks > 1 and exchanged:  # one message for both
            reduced = sum_over_ranks(torch.cat(exchanged)).split(self.codebook_size)
            sums, *rest = reduced if self.averaged else (None, *reduced)
            fresh = rest[0] if self.reset else None
        if self.averaged:
            self.code_sum.lerp_(sums, 1 - self.decay)
            self._average()
        if self.reset:
            unused = self.code_count < 1
            if not self.averaged:
                unused &= counts == 0
            self.codebook.copy_(torch.where(unused[:, None], fresh + noise, self.codebook))
        self.updates += 1

    def _average(self) -> None:
        """Move every code that has been chosen to the average of what chose it."""
        known = (self.code_count >= (1 if self.reset else _NEVER_USED))[:, None]
        mean = self.code_sum / self.code_count.clamp(min=_NEVER_USED)[:, None]
        self.codebook.copy_(torch.where(known, mean, self.codebook))

    def _generator(self) -> torch.Generator:
        """Random numbers that depend on the number of updates alone: the same on every rank, and
        after a resume the same as without the interruption."""
        return torch.Generator().manual_seed(int(self.updates))

    def _draw(self, rows: Tensor, share: BatchShare) -> tuple[Tensor, Tensor]:
        """One row of the whole batch for every code, each row once as long as there are enough,
        as far as this rank holds them; and the noise to be added."""
        generator = self._generator()
        order = torch.randperm(max(share.total, 1), generator=generator)
        order = order.repeat(-(-self.codebook_size // len(order)))[: self.codebook_size]
        drawn = own_rows(rows, order.to(rows.device), share)
        return drawn, self._noise(generator, share).to(drawn)

    def _noise(self, generator: torch.Generator, share: BatchShare) -> Tensor:
        """Tells repeated rows apart; zero where there are as many rows as codes."""
        if share.total >= self.codebook_size:
            return torch.zeros(())
        noise = torch.randn(self.codebook_size, self.code_dim, generator=generator)
        return noise * (0.01 / self.code_dim**0.5)
