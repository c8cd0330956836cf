"""Beam search over one head, on the decoder that `soke.generator.decoding.loop` steps through."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from soke.generator.decoding.heads import Heads
from soke.generator.decoding.loop import Decoding
from soke.generator.decoding.sampling import Sampling
from soke.generator.network import Generator
from soke.structures import TokenBatch


class BeamSearch(Decoding):
    """The best of the sequences that ``beams`` unfinished ones a clip lead to.

    A sequence's score is its log-probability, ``</s>`` included, / steps ** ``length_penalty``. A
    clip ends, and leaves the batch, when no unfinished sequence scores better than the best
    finished one; after ``max_steps`` unfinished ones count as they are.

    Raises ``ValueError`` for fewer than one beam, for more beams than the head has tokens, and as
    `Decoding` does.
    """

    def __init__(
        self,
        model: Generator,
        batch: TokenBatch,
        max_steps: int,
        beams: int,
        length_penalty: float,
        heads: Callable[[Generator], Heads],
    ) -> None:
        if beams < 1:
            raise ValueError(f"beams must be 1 or more, got {beams}")
        super().__init__(model, batch, max_steps, 1, Sampling(), False, heads=heads)
        if beams > self.heads.end:
            raise ValueError(f"{beams} beams, but there are only {self.heads.end} tokens to say")
        self.beams = beams
        self.length_penalty = length_penalty
        self.copies = beams

    @torch.inference_mode()
    def collect(self) -> list[Tensor]:
        """Tokens [S, 1] of the best sequence of every clip."""
        if self.count == 0:
            return []
        decoder, inputs = self._begin()
        device = inputs.device
        end = self.heads.end
        beams = self.beams
        best: list[Tensor] = [torch.zeros(0, 1, dtype=torch.int64)] * self.count
        best_score = torch.full((self.count,), -torch.inf, dtype=torch.float64, device=device)
        clips = torch.arange(self.count, device=device)
        # All beams are equal at first, so only one of them may be gone on with.
        scores = best_score.new_full((self.count, beams), -torch.inf)
        scores[:, 0] = 0
        said = torch.zeros(self.count, beams, 0, dtype=torch.int64, device=device)
        for step in range(1, self.max_steps + 1):
            with torch.autocast(device.type, enabled=False):
                logits = self.heads.logits(decoder(inputs), 0)[:, 0]  # [n * beams, V]
            if step == 1:
                logits[:, end] = -torch.inf
            gained = logits.double().log_softmax(dim=-1).view(len(clips), beams, -1)
            totals = scores[..., None] + gained  # [n, beams, V]
            # Ends compete as they are, and take no place from what goes on.
            ended, ended_beam = totals[..., end].max(dim=1)
            ended = ended / step**self.length_penalty
            better = ended > best_score[clips]
            for i in better.nonzero()[:, 0].tolist():
                best[clips[i]] = said[i, ended_beam[i], :, None].cpu()
            best_score[clips] = torch.where(better, ended, best_score[clips])
            totals[..., end] = -torch.inf
            scores, places = totals.flatten(1).topk(beams, dim=1)
            parents = places // totals.shape[2]
            tokens = places % totals.shape[2]
            said = said.gather(1, parents[..., None].expand(-1, -1, said.shape[2]))
            said = torch.cat([said, tokens[..., None]], dim=2)
            ahead = scores[:, 0] / step**self.length_penalty > best_score[clips]
            if step == self.max_steps:
                for i in ahead.nonzero()[:, 0].tolist():
                    best[clips[i]] = said[i, 0, :, None].cpu()
                break
            running = ahead.nonzero()[:, 0]
            if not len(running):
                break
            rows = parents + torch.arange(len(clips), device=device)[:, None] * beams
            decoder.keep(rows[running].flatten())
            clips = clips[running]
            scores = scores[running]
            said = said[running]
            inputs = self.heads.embed(tokens[running].view(-1, 1), 0)
        return best
