"""Encoding whole data sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from soke.structures import PoseBatch
from soke.tokenizer.conv_network import FRAMES_PER_TOKEN
from soke.tokenizer.tokenizer import PartTokenizer


@torch.inference_mode()
def encode_batches(
    tokenizer: PartTokenizer, batches: Iterable[PoseBatch], device: torch.device | str = "cpu"
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Corpus, name and tokens [S, P] of every clip of the batches."""
    tokenizer = tokenizer.to(device).eval()
    for batch in batches:
        tokens = tokenizer.encode(batch.motion.to(device), batch.lengths.to(device)).cpu().numpy()
        steps = (batch.lengths // FRAMES_PER_TOKEN).tolist()
        for corpus, name, row, length in zip(batch.corpora, batch.names, tokens, steps):
            yield corpus, name, row[:length]
