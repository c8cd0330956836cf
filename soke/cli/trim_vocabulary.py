"""Cut a full mBART to the text pieces that a configuration's data sets use."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from soke.config import parse_command_line


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", required=True, help="the folder of a full mBART")
    parser.add_argument("--texts", nargs="+", default=[], help="more text files, one text per line")
    parser.add_argument(
        "--minimum_count", type=int, default=1, help="leave out pieces that are rarer than this"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    config, options = parse_command_line(__doc__, add_options, arguments)
    from soke.assemble.cut_vocabulary import trim_for
    from soke.assemble.process import open_run

    run = open_run(config)
    trim_for(run, options.source, options.texts, options.minimum_count)
