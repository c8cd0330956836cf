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

    from soke.assemble.data import claim_code_folder, pose_dataset, pose_loader, read_clips
    from soke.assemble.dictionaries import check_dictionaries, write_dictionaries
    from soke.assemble.models import load_trained_tokenizer
    from soke.assemble.process import launch_processes, open_run
    from soke.assemble.training_data import report_data
    from soke.data.token_files import token_path, write_tokens
    from soke.tokenizer import encode_batches

    run = open_run(config)
    fabric = launch_processes(run)
    tokenizer = load_trained_tokenizer(run)
    folder = run.token_folder
    with fabric.rank_zero_first():
        check_dictionaries(run, options.replace_dictionary)
        claim_code_folder(run, tokenizer, clear=run.DEBUG and fabric.is_global_zero)

    splits = dict.fromkeys((run.TRAIN.SPLIT, run.EVAL.SPLIT, run.TEST.SPLIT))
    found = [read_clips(run, split) for split in splits]
    report_data(folder, *found)
    clips = [clip for some in found for clip in some.by_length()]
    left = [c for c in clips if not token_path(folder, c.corpus, c.name).exists()]
    log.info("%d of %d clips have their tokens in %s", len(clips) - len(left), len(clips), folder)
    fabric.barrier()  # every rank has listed what is left before any of them writes
    mine = pose_dataset(run, left[fabric.global_rank :: fabric.world_size], tokenizer)
    loader = pose_loader(mine, run.TEST.BATCH_SIZE, run.TEST.NUM_WORKERS)
    quiet = not len(mine) or not fabric.is_global_zero
    batches = track(loader, "clips to tokens", disable=quiet)
    for corpus, name, tokens in encode_batches(tokenizer, batches, fabric.device):
        write_tokens(token_path(folder, corpus, name), tokens)

    if fabric.is_global_zero:
        write_dictionaries(run, tokenizer, fabric.device, options.replace_dictionary)
