"""Find out whether published generator weights were trained with scaled embeddings.

    soke embedding-scale --cfg configs/soke.yaml --nodebug TRAIN.PRETRAINED=soke.ckpt

Weights do not say whether their embeddings are multiplied by sqrt(width), on both sides, on neither
or in the encoder alone: that depends on the release of transformers that trained them. This prints
the validation loss of each choice on some clips of ``EVAL.SPLIT``, whose tokens have to be there.
The right one is the lowest. The weights are ``TEST.CHECKPOINTS`` or ``TRAIN.PRETRAINED``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from soke.config import parse_command_line


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clips", type=int, default=64, help="how many clips, at most")


def main(arguments: Sequence[str] | None = None) -> None:
    config, options = parse_command_line(__doc__, add_options, arguments)
    if not (config.TEST.CHECKPOINTS or config.TRAIN.PRETRAINED):
        raise ValueError("name the generator's weights with TRAIN.PRETRAINED=FILE")
    if options.clips < 1:
        raise ValueError(f"--clips must be 1 or more, got {options.clips}")
    from soke.assemble.modules import generator_module
    from soke.assemble.process import open_run, pick_device
    from soke.assemble.prompting import prompt_builder
    from soke.assemble.scale_trial import clip_batches, losses, report

    run = open_run(config)
    prompts = prompt_builder(run)
    batches = clip_batches(run, prompts, options.clips)
    module = generator_module(run, prompts, run.TEST.CHECKPOINTS or None)
    module = module.eval().to(pick_device(run))
    sys.stdout.write(report(losses(module, batches), module.generator) + "\n")
