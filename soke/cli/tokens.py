"""Write the motion tokens of every clip, and of the isolated signs as the sign dictionary."""

from __future__ import annotations

import argparse
import logging

from soke.config import parse_command_line

log = logging.getLogger(__name__)


def _options(parser: argparse.ArgumentParser) -> None:
    text = "write over dictionaries that this tokenizer did not make"
    parser.add_argument("--replace_dictionary", action="store_true", help=text)


def main() -> None:
    config, options = parse_command_line(__doc__, _options)
    from rich.progress import track

    from soke import assemble
    from soke.assemble.dictionaries import check_dictionaries, write_dictionaries
    from soke.data.token_files import token_path, write_tokens
    from soke.tokenizer import encode_batches

    assemble.prepare_process(config)
    fabric = assemble.processes(config)
    tokenizer = assemble.trained_tokenizer(config)
    folder = assemble.code_folder(config)
    with fabric.rank_zero_first():
        check_dictionaries(config, options.replace_dictionary)
        assemble.claim_code_folder(config, tokenizer, clear=config.DEBUG and fabric.is_global_zero)

    splits = dict.fromkeys((config.TRAIN.SPLIT, config.EVAL.SPLIT, config.TEST.SPLIT))
    found = [assemble.read_clips(config, split) for split in splits]
    assemble.report_data(folder, *found)
    clips = [clip for some in found for clip in some.by_length()]
    left = [c for c in clips if not token_path(folder, c.corpus, c.name).exists()]
    log.info("%d of %d clips have their tokens in %s", len(clips) - len(left), len(clips), folder)
    fabric.barrier()  # every rank has listed what is left before any of them writes
    mine = assemble.pose_dataset(config, left[fabric.global_rank :: fabric.world_size], tokenizer)
    loader = assemble.pose_loader(mine, config.TEST.BATCH_SIZE, config.TEST.NUM_WORKERS)
    quiet = not len(mine) or not fabric.is_global_zero
    batches = track(loader, "clips to tokens", disable=quiet)
    for corpus, name, tokens in encode_batches(tokenizer, batches, fabric.device):
        write_tokens(token_path(folder, corpus, name), tokens)

    if fabric.is_global_zero:
        write_dictionaries(config, tokenizer, fabric.device, options.replace_dictionary)
