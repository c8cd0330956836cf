"""Compute mean and deviation of the poses over the training split of the configured data sets."""

from __future__ import annotations

import argparse
import sys

from soke.config import parse_command_line


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="overwrite existing statistics")


def main() -> None:
    # A trial run would read every clip too, only with fewer processes.
    arguments = [*sys.argv[1:], "--nodebug"]
    config, options = parse_command_line(__doc__, add_options, arguments)
    from soke.assemble.measure_poses import write
    from soke.assemble.process import open_run

    run = open_run(config)
    write(run, options.force)
