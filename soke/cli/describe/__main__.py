"""Print and plot clip lengths, texts per language, dropped clips, vocabulary and token usage.

    soke describe --cfg configs/soke.yaml

`visualize/<NAME>/data`, or the folder named by --out, gets three figures (clip_lengths.png,
texts.png, token_usage.png) and data_description.json with all numbers. All data are described,
even without --nodebug.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from soke.cli.main import run_verb
from soke.config import parse_command_line

log = logging.getLogger(__name__)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, help="folder; default: visualize/<NAME>/data")


def main() -> None:
    # The few clips of a short trial would mislead.
    arguments = [*sys.argv[1:], "--nodebug"]
    config, options = parse_command_line(__doc__.splitlines()[0], add_options, arguments)
    from soke.assemble.process import open_run
    from soke.cli.describe.corpus_tables import all_tables
    from soke.cli.describe.description import describe, write_json
    from soke.cli.describe.figures import draw_all
    from soke.cli.tables import show

    run = open_run(config)
    folder = options.out or Path(run.OUTPUT.VISUALIZE) / run.NAME / "data"
    description = describe(run)
    show([*all_tables(description), *description.notes.values()])
    for path in [*draw_all(description, folder), write_json(description, folder)]:
        log.info("wrote %s", path)


if __name__ == "__main__":
    run_verb(main)
