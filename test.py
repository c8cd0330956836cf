"""Evaluate a trained run: `--task t2m` for the generator, reconstruction for the tokenizer."""

from __future__ import annotations

import argparse
import logging

from soke import build, tasks
from soke.config import parse_command_line
from soke.run import run_verb

log = logging.getLogger("test")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--task",
        choices=sorted(tasks.TASKS),
        help="t2m: text to motion; reconstruction: poses through the tokenizer. Without it, the "
        "one that belongs to TRAIN.STAGE",
    )


def main() -> None:
    config, options = parse_command_line(__doc__, add_options)
    build.prepare_process(config)
    default = "reconstruction" if config.TRAIN.STAGE == "vae" else "t2m"
    tasks.TASKS[options.task or default](config)


if __name__ == "__main__":
    run_verb(main)
