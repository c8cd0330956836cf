"""Reconstruction: the tokenizer's error, in millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from soke.data.datasets import PoseDataset, collate_poses
from soke.evaluation.journal import Record
from soke.metrics.position_errors import ReconstructionMetrics
from soke.tokenizer import FRAMES_PER_TOKEN, PADDING, PartTokenizer
from soke.tokenizer.codebook_usage import CodebookUse

RECONSTRUCTION = "reconstruction (mm)"


@dataclass(frozen=True)
class Reconstruction:
    """Sends clips through the tokenizer and compares them with themselves."""

    tokenizer: PartTokenizer
    dataset: PoseDataset
    metrics: ReconstructionMetrics

    def measure(self, portion: int, places: Sequence[int]) -> Record:
        device = next(self.tokenizer.parameters()).device
        batch = collate_poses([self.dataset[place] for place in places]).to(device)
        tokens = self.tokenizer.encode(batch.motion, batch.lengths)  # [B, S, P]
        use = self._use().to(device)
        use.update(tokens, tokens[..., 0] != PADDING)
        steps = (batch.lengths // FRAMES_PER_TOKEN).tolist()
        motions = self.tokenizer.decode_to_motion([row[:n] for row, n in zip(tokens, steps)])
        rows = []
        for i, generated in enumerate(motions):
            reference = self.tokenizer.denormalize(batch.motion[i, : len(generated)])
            clip = {"corpus": batch.corpora[i], "name": batch.names[i], "text": batch.texts[i]}
            errors = self.metrics(generated, reference, batch.corpora[i])
            rows.append(clip | errors | {"frames": len(generated)})
        return Record(RECONSTRUCTION, 0, portion, rows, counts=use.counts.tolist())

    def codebooks(self, records: Sequence[Record]) -> dict[str, object]:
        """Per part the size of its codebook, the share of it in use and the perplexity."""
        use = self._use()
        use.counts += torch.tensor(np.sum([record.counts for record in records], axis=0))
        found = use.compute()
        parts = {
            part.name: {
                "codes": part.codebook_size,
                "in_use": float(found["codes_used"][p]),
                "perplexity": float(found["perplexity"][p]),
            }
            for p, part in enumerate(self.tokenizer.parts)
        }
        return {"codebooks": parts}

    def _use(self) -> CodebookUse:
        return CodebookUse([part.codebook_size for part in self.tokenizer.parts])
