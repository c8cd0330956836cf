"""Write the motion tokens of every clip, and of the isolated signs as the sign dictionary."""

from __future__ import annotations

import argparse
import logging

from rich.progress import track

from soke import assemble as build
from soke.assemble.dictionaries import check_dictionaries, write_dictionaries
from soke.cli.main import run_verb
from soke.config import parse_command_line
from soke.data.tokens import token_path, write_tokens
from soke.tokenizer import encode_batches

log = logging.getLogger("get_motion_code")


def _options(parser: argparse.ArgumentParser) -> None:
    text = "write over dictionaries that this tokenizer did not make"
    parser.add_argument("--replace_dictionary", action="store_true", help=text)


def main() -> None:
    config, options = parse_command_line(__doc__, _options)
    build.prepare_process(config)
    fabric = build.processes(config)
    tokenizer, folder = build.trained_tokenizer(config), build.code_folder(config)
    size, workers = config.TEST.BATCH_SIZE, config.TEST.NUM_WORKERS
    with fabric.rank_zero_first():
        check_dictionaries(config, options.replace_dictionary)
        build.claim_code_folder(config, tokenizer, clear=config.DEBUG and fabric.is_global_zero)

    splits = dict.fromkeys((config.TRAIN.SPLIT, config.EVAL.SPLIT, config.TEST.SPLIT))
    found = [build.read_clips(config, split) for split in splits]
    build.report_data(folder, *found)
    clips = [clip for some in found for clip in some.by_length()]
    left = [c for c in clips if not token_path(folder, c.corpus, c.name).exists()]
    log.info("%d of %d clips have their tokens in %s", len(clips) - len(left), len(clips), folder)
    fabric.barrier()  # every rank has listed what is left before any of them writes
    mine = build.pose_dataset(config, left[fabric.global_rank :: fabric.world_size], tokenizer)
    batches = track(
        build.pose_loader(mine, size, workers), "clips to tokens",
        disable=not len(mine) or not fabric.is_global_zero,
    )  # fmt: skip
    for corpus, name, tokens in encode_batches(tokenizer, batches, fabric.device):
        write_tokens(token_path(folder, corpus, name), tokens)

    if fabric.is_global_zero:
        write_dictionaries(config, tokenizer, fabric.device, options.replace_dictionary)


if __name__ == "__main__":
    run_verb(main)
