"""Find out whether published generator weights were trained with scaled embeddings.

    python -m prepare.embedding_scale --cfg configs/soke.yaml --nodebug TRAIN.PRETRAINED=soke.ckpt

Weights do not say whether their embeddings are multiplied by sqrt(width), on both sides, on neither
or in the encoder alone: that depends on the release of transformers that trained them. This prints
the validation loss of each choice on some clips of ``EVAL.SPLIT``, whose tokens have to be there.
The right one is the lowest. The weights are ``TEST.CHECKPOINTS`` or ``TRAIN.PRETRAINED``.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Sequence

import torch
from omegaconf import DictConfig
from torch.utils.data import DataLoader, Subset

from soke import assemble as build
from soke.cli.main import run_verb
from soke.config import parse_command_line
from soke.data.datasets import TokenDataset
from soke.data.tokens import check_folder
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


def clip_batches(config: DictConfig, prompts: PromptBuilder, count: int) -> DataLoader[TokenBatch]:
    """At most ``count`` validation clips, spread evenly over the split, and so over corpora."""
    folder, parts = build.code_folder(config), build.part_table(config)
    check_folder(folder, checksum(config.TRAIN.PRETRAINED_VAE), parts)
    clips = TokenDataset(build.read_clips(config, config.EVAL.SPLIT), folder, parts)
    count = min(count, len(clips))
    chosen = [i * len(clips) // count for i in range(count)]
    return DataLoader(Subset(clips, chosen), config.EVAL.BATCH_SIZE, collate_fn=prompts)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clips", type=int, default=64, help="how many clips, at most")


def main(arguments: Sequence[str] | None = None) -> None:
    config, options = parse_command_line(__doc__, _options, arguments)
    if not (config.TEST.CHECKPOINTS or config.TRAIN.PRETRAINED):
        raise ValueError("name the generator's weights with TRAIN.PRETRAINED=FILE")
    if options.clips < 1:
        raise ValueError(f"--clips must be 1 or more, got {options.clips}")
    build.prepare_process(config)
    prompts = build.prompt_builder(config)
    batches = clip_batches(config, prompts, options.clips)
    module = build.generator_module(config, prompts, config.TEST.CHECKPOINTS or None)
    module = module.eval().to(build.device(config))
    sys.stdout.write(report(losses(module, batches), module.generator) + "\n")


if __name__ == "__main__":
    run_verb(main)
