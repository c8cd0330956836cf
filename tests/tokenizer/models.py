"""Small tokenizers and batches for the tests of this folder."""

from __future__ import annotations

import torch

from soke.parts import PartTable
from soke.tokenizer import PartTokenizer, reconstruction_loss
from tests.helpers import THREE_PARTS


def tokenizer_of(quantizer="ema_reset", rows=THREE_PARTS, width=16, code_dim=8, seed=0, **rest):
    """A new tokenizer in training mode; the same seed gives the same weights."""
    torch.manual_seed(seed)
    parts = PartTable.from_rows(rows)
    return PartTokenizer(parts, width, code_dim, quantizer=quantizer, **rest).train()


def clips_of(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, 133, generator=generator) for n in lengths]


def padded(clips, size=None, value=0.0):
    """Clips as one batch [B, T, 133] and its mask [B, T]."""
    size = size or max(map(len, clips))
    motion = torch.full((len(clips), size, 133), value)
    mask = torch.zeros(len(clips), size, dtype=torch.bool)
    for i, clip in enumerate(clips):
        motion[i, : len(clip)], mask[i, : len(clip)] = clip, True
    return motion, mask


def train_step(model, optimizer, clips, across_ranks=False):
    """One optimization step with the losses of training; returns the loss and the output."""
    motion, mask = padded(clips)
    output = model(motion, mask)
    loss = reconstruction_loss("l1_smooth", output.reconstruction, motion, mask, across_ranks)
    loss = loss + 0.02 * output.commitment.sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach(), output
