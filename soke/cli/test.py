"""Evaluate a trained run, or saved predictions: results/<NAME> gets scores, clips and a table."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from soke.config import parse_command_line

# Spelled out here, so that --help imports nothing heavy. Tests compare them with their owners.
HANDS = ("auto", "flat", "relative")
NAMES = ("m2t", "reconstruction", "t2m")
#: Stages of training and the task that belongs to each; t2m belongs to the others.
_TASKS = {"vae": "reconstruction", "m2t": "m2t"}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--task",
        choices=NAMES,
        help="t2m: text to motion; m2t: signing to text; reconstruction: poses through the "
        "tokenizer. Without it, the one that belongs to TRAIN.STAGE",
    )
    parser.add_argument(
        "--predictions",
        type=Path,
        metavar="DIR",
        help="score the predictions saved there (results/<NAME>, or test_rank_N folders of the "
        "method's release) instead of generating",
    )
    parser.add_argument(
        "--partial", action="store_true", help="with --predictions: some clips may have none"
    )
    parser.add_argument(
        "--hands", choices=HANDS, default="auto", help="those of motion files in DIR"
    )


def main() -> None:
    """The command `python -m test`. Raises ``ValueError`` for options that exclude each other."""
    config, options = parse_command_line(__doc__, add_options)
    if (options.partial or options.hands != "auto") and not options.predictions:
        raise ValueError("--partial and --hands require --predictions DIR")
    if options.predictions and options.task not in (None, "t2m"):
        raise ValueError(f"--predictions are scored by the task t2m, not by {options.task}")
    from soke.assemble.evaluation import TASKS, run_task, saved_predictions
    from soke.assemble.process import open_run

    run = open_run(config)
    task = TASKS[options.task or _TASKS.get(run.TRAIN.STAGE, "t2m")]
    if options.predictions:
        task = partial(
            saved_predictions,
            folder=options.predictions,
            incomplete=options.partial,
            hands=options.hands,
        )
    run_task(run, task)
