"""Print and plot clip lengths, texts per language, frames dropped, vocabulary and token usage.

    python -m prepare.describe_data --cfg configs/soke.yaml

`visualize/<NAME>/data`, or the folder that --out names, gets a PNG for each and
``data_description.json`` with all numbers. Everything is described, with --nodebug or without it.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from rich.console import Console

from soke import assemble as build
from soke.cli.describe.description import describe, write_json
from soke.cli.describe.figures import draw_all
from soke.cli.describe.tables import WIDTH, all_tables
from soke.cli.main import run_verb
from soke.config import parse_command_line

log = logging.getLogger("describe_data")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, help="folder; without it visualize/<NAME>/data")


def main() -> None:
    # The description of a short trial's few clips would mislead.
    arguments = [*sys.argv[1:], "--nodebug"]
    config, options = parse_command_line(__doc__.splitlines()[0], add_options, arguments)
    build.prepare_process(config)
    folder = options.out or Path(config.OUTPUT.VISUALIZE) / config.NAME / "data"
    description = describe(config)
    console = Console(width=WIDTH, markup=False, highlight=False, emoji=False)
    for table in all_tables(description):
        console.print(table)
    for note in description.notes.values():
        console.print(note)
    for path in [*draw_all(description, folder), write_json(description, folder)]:
        log.info("wrote %s", path)


if __name__ == "__main__":
    run_verb(main)
