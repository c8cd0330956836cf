"""Greedy decoding with a cache; a clip that has ended leaves the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from soke.generator.model import MultiHeadGenerator
from soke.structures import TokenBatch


@torch.inference_mode()
def generate(
    model: MultiHeadGenerator, batch: TokenBatch, max_steps: int = 100, min_steps: int = 1
) -> list[Tensor]:
    """Tokens [S_b, P] for every text of the batch, each as if it were alone.

    The text is encoded once. At each step every head chooses among its own codes; a clip ends, for
    all parts at once, when the first part of the table says ``</s>`` (not before ``min_steps``) or
    after ``max_steps``.
    """
    if not 1 <= min_steps <= max_steps:
        raise ValueError(f"need 1 <= min_steps <= max_steps, got {min_steps} and {max_steps}")
    states, mask = model.encode(batch.source, batch.source_mask), batch.source_mask
    heads = model.heads(codes_only=True)
    config = model.backbone.config
    cache = EncoderDecoderCache(DynamicCache(config=config), DynamicCache(config=config))
    parts = len(heads)
    results: list[list[Tensor]] = [[] for _ in batch.names]
    active = torch.arange(len(results), device=states.device)
    rows = batch.sign_language[:, None].expand(-1, parts)  # [n, P]
    for step in range(max_steps):
        hidden = model.backbone.decoder(
            inputs_embeds=model.fuse(rows)[:, None],
            encoder_hidden_states=states,
            encoder_attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[:, -1]  # [n, D]
        logits = [F.linear(hidden, weight, bias) for weight, bias in heads]
        tokens = torch.stack([scores[:, :-1].argmax(dim=1) for scores in logits], dim=1)  # [n, P]
        leading = logits[0]
        ended = leading.argmax(dim=1) == leading.shape[1] - 1
        if step >= min_steps and ended.any():
            keep = (~ended).nonzero()[:, 0]
            if not len(keep):
                break
            cache.batch_select_indices(keep)
            states, mask = states[keep], mask[keep]
            active, tokens = active[keep], tokens[keep]
        for clip, row in zip(active.tolist(), tokens):
            results[clip].append(row)
        rows = model.vocabulary.motion_rows(tokens)
    return [torch.stack(result) for result in results]
