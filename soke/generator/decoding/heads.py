"""The heads in decoding: what may be said, and how it is read again."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from soke.generator.network import Generator


class Heads(Protocol):
    """What decoding asks of heads; tokens are numbered as the heads' rows are.

    ``end`` is where the first head has ``</s>``.
    """

    end: int

    def logits(self, states: Tensor, turn: int) -> Tensor: ...

    def embed(self, tokens: Tensor, turn: int) -> Tensor: ...


class CodeHeads:
    """What the heads may say, as one table of equal rows a part, in float32.

    A part's codes stand first and ``</s>`` last, at ``end``, for the first part only; nothing else
    can be said.
    """

    def __init__(self, model: Generator) -> None:
        parts = model.vocabulary.parts
        heads = model.heads(codes_only=True)
        self.fused = model.fused
        self.passes = model.passes
        self.streams = model.streams
        self.end = max(part.codebook_size for part in parts)
        shape = (len(parts), self.end + 1)
        self.weight = model.table.new_zeros(*shape, model.table.shape[1], dtype=torch.float32)
        self.bias = self.weight.new_full(shape, float("-inf"))
        self.inputs = torch.zeros_like(self.weight)
        offsets = model.vocabulary.part_offsets
        for p, (part, (weight, bias)) in enumerate(zip(parts, heads)):
            size = part.codebook_size
            self.weight[p, :size], self.bias[p, :size] = weight[:-1], bias[:-1]
            if p == 0:
                self.weight[p, -1], self.bias[p, -1] = weight[-1], bias[-1]
            rows = torch.arange(offsets[p], offsets[p] + size, device=self.weight.device)
            share = model.fusion_weights[p] if self.fused else 1.0
            self.inputs[p, :size] = model.embed_target(rows).float() * share
        self.flat = self.weight.flatten(0, 1), self.bias.flatten()
        self.inputs = self.inputs.flatten(0, 1)
        self.first = torch.arange(len(parts), device=self.weight.device) * shape[1]

    def logits(self, states: Tensor, turn: int) -> Tensor:
        """[n, heads whose turn it is, V] from states [n, streams, D]."""
        if self.streams > 1:
            scores = states.transpose(0, 1) @ self.weight.transpose(1, 2)  # [P, n, V]
            return (scores + self.bias[:, None]).transpose(0, 1)
        if self.passes > 1:
            return F.linear(states, self.weight[turn], self.bias[turn])
        return F.linear(states[:, 0], *self.flat).view(len(states), *self.bias.shape)

    def embed(self, tokens: Tensor, turn: int) -> Tensor:
        """What the decoder reads next [n, streams, D], after tokens [n, heads of that turn]."""
        first = self.first[turn : turn + 1] if self.passes > 1 else self.first
        embedded = F.embedding(tokens + first, self.inputs)
        return embedded.sum(dim=1, keepdim=True) if self.fused else embedded
