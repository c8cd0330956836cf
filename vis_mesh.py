"""Render clips of a test run, texts of your own, tokens, motion, or the codes of a part."""

from __future__ import annotations

import argparse
from pathlib import Path

from soke import assemble as build
from soke.cli import show as pictures
from soke.cli.main import run_verb
from soke.cli.show import codebook as codebook_pictures
from soke.config import parse_command_line
from soke.data.motion.hands import CONVENTIONS
from soke.data.texts import read_texts


def add_options(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--demo_dataset", help="a data set of a test run: how2sign, csl, phoenix")
    what.add_argument("--text", help="a text to sign")
    what.add_argument(
        "--text_file", type=Path, metavar="FILE",
        help="texts to sign, one a line, in UTF-8; blank lines and lines with # are skipped",
    )  # fmt: skip
    what.add_argument("--tokens", type=Path, metavar="FILE", help="a token file (.npy)")
    what.add_argument(
        "--motion", type=Path, metavar="FILE", help="SMPL-X motion of any tool, or a folder of it"
    )
    what.add_argument(
        "--codebook", metavar="PART", help="what each code of a part looks like: body, lhand, rhand"
    )
    parser.add_argument("--lang", help="the texts' language: en, zh, de")
    parser.add_argument("--hands", choices=CONVENTIONS, default="auto", help="those of --motion")
    parser.add_argument("--clips", nargs="+", help="names of clips; without it, RENDER.CLIPS")
    parser.add_argument("--choose", choices=pictures.CHOICES, default="first", help="which clips")
    parser.add_argument(
        "--compare", nargs="+", default=[], metavar="NAME", help="other test runs shown as well"
    )
    pictures.add_options(parser)


def main() -> None:
    config, options = parse_command_line(__doc__, add_options)
    build.prepare_process(config)
    output, language = pictures.output_of(config, options), options.lang
    if options.codebook is not None:
        codebook_pictures.render_codebook(config, options.codebook, options.out)
    elif options.demo_dataset is not None:
        chosen = options.clips, options.choose, options.compare
        pictures.render_test_clips(config, options.demo_dataset, output, *chosen)
    elif options.tokens is not None:
        pictures.render_tokens(config, options.tokens, output, language)
    elif options.motion is not None:
        pictures.render_motion(config, options.motion, output, language, options.hands)
    else:
        texts = read_texts(options.text_file) if options.text_file else [options.text]
        pictures.render_texts(config, texts, language, output)


if __name__ == "__main__":
    run_verb(main)
