"""Render signing: clips of a test run (`--demo_dataset`) or a text of your own (`--text`)."""

from __future__ import annotations

import argparse

from soke import build, pictures
from soke.config import parse_command_line
from soke.run import run_verb


def add_options(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--demo_dataset", help="a data set of a test run: how2sign, csl, phoenix")
    what.add_argument("--text", help="a text to sign")
    parser.add_argument("--lang", help="the text's language: en, zh, de")
    parser.add_argument("--clips", nargs="+", help="names of clips; without it, RENDER.CLIPS")
    parser.add_argument("--out", help="folder; without it visualize/<NAME>")


def main() -> None:
    config, options = parse_command_line(__doc__, add_options)
    build.prepare_process(config)
    if options.out:
        config.OUTPUT.VISUALIZE = options.out
    if options.text is not None:
        pictures.render_text(config, options.text, options.lang)
    else:
        pictures.render_test_clips(config, options.demo_dataset, options.clips)


if __name__ == "__main__":
    run_verb(main)
