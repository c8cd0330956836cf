"""The validation loss of each choice of ``scale_embedding``, for published generator weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch.utils.data import DataLoader, Subset

from soke.assemble.data import read_clips
from soke.assemble.run import Run
from soke.data.datasets import TokenDataset
from soke.data.token_files import check_folder
from soke.files import checksum
from soke.generator import Generator, PromptBuilder
from soke.generator.network import SCALE_EMBEDDING, ScaleEmbedding
from soke.structures import TokenBatch
from soke.training.generator_module import GeneratorModule


def losses(module: GeneratorModule, batches: Iterable[TokenBatch]) -> dict[ScaleEmbedding, float]:
    """The validation loss of each choice, as training logs it (``val/loss``)."""
    totals = dict.fromkeys(SCALE_EMBEDDING, 0.0)
    clips = 0
    with torch.inference_mode():
        for batch in batches:
            batch = batch.to(module.device)
            clips += len(batch.names)
            for which in SCALE_EMBEDDING:
                module.generator.scale_embeddings(which)
                totals[which] += len(batch.names) * float(module.trial_loss(batch))
    return {which: total / clips for which, total in totals.items()}


def report(found: dict[ScaleEmbedding, float], generator: Generator) -> str:
    """A table of losses, and what follows from it."""
    best = min(found, key=found.__getitem__)
    guessing = sum(math.log(len(rows)) for rows in generator.vocabulary.head_rows())
    lines = ["scale_embedding  val/loss"]
    for which, loss in found.items():
        mark = "  <- lowest" if which == best else ""
        lines.append(f"{_yaml(which):15}  {loss:8.3f}{mark}")
    lines.append(f"{'(guessing)':15}  {guessing:8.3f}")
    if found[best] < guessing:
        lines.append(f"Use model.generator.scale_embedding={_yaml(best)}")
    else:
        lines.append(
            "None is better than guessing, so something else does not fit: tokenizer, tokens, "
            "mBART folder, CORPORA and PARTS have to be those of these weights"
        )
    return "\n".join(lines)


def _yaml(which: ScaleEmbedding) -> str:
    return str(which).lower()


def clip_batches(run: Run, prompts: PromptBuilder, count: int) -> DataLoader[Any]:
    """At most ``count`` validation clips, spread evenly over the split, and so over corpora."""
    folder = run.token_folder
    parts = run.parts
    check_folder(folder, checksum(run.TRAIN.PRETRAINED_VAE), parts)
    clips = TokenDataset(read_clips(run, run.EVAL.SPLIT), folder, parts)
    count = min(count, len(clips))
    chosen = [i * len(clips) // count for i in range(count)]
    return DataLoader(Subset(clips, chosen), run.EVAL.BATCH_SIZE, collate_fn=prompts)
