"""Make a small mBART folder, to be trained from scratch, from the texts of a configuration."""

from __future__ import annotations

import argparse

from soke.config import parse_command_line


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--d_model", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2, help="of the encoder and the decoder")
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--ffn", type=int, default=512, help="width of the feed-forward layers")
    parser.add_argument("--dropout", type=float, default=0.1)


def main() -> None:
    config, options = parse_command_line(__doc__, add_options)
    from soke.assemble.new_mbart import make
    from soke.assemble.process import open_run

    run = open_run(config)
    make(run, options)
