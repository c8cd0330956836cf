"""Write a trained generator or tokenizer in another format.

soke export generator --cfg configs/soke.yaml --nodebug --out exports/soke
soke export tokenizer --checkpoint experiments/deto/checkpoints/best.ckpt --out tokenizer.ckpt
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from soke.config import parse_command_line

KINDS = ("generator", "tokenizer")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=KINDS, help="`soke export KIND --help` lists its options")
    options = parser.parse_args(sys.argv[1:2])
    arguments = sys.argv[2:]
    sys.argv = [f"{sys.argv[0]} {options.kind}", *arguments]
    if options.kind == "generator":
        generator(arguments)
    else:
        tokenizer(arguments)


def generator(arguments: Sequence[str] | None = None) -> None:
    """Write a trained generator as a folder that transformers reads."""

    def add_options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--out", required=True, help="the folder to write")

    config, options = parse_command_line(generator.__doc__ or "", add_options, arguments)
    from soke.assemble.process import open_run
    from soke.cli.export_generator import export_run

    run = open_run(config)
    export_run(run, options.out)


def tokenizer(arguments: Sequence[str] | None = None) -> None:
    """Write a trained tokenizer with the published keys (.ckpt) or as .safetensors."""
    parser = argparse.ArgumentParser(description=tokenizer.__doc__)
    add = parser.add_argument
    add("--checkpoint", required=True, help="a trained or published tokenizer")
    add("--out", required=True, help="a .ckpt or .safetensors file to write")
    add("--mean", help="mean.pt, for a published checkpoint")
    add("--std", help="std.pt, for a published checkpoint")
    options = parser.parse_args(arguments)
    import logging

    from soke.cli.export_tokenizer import export, statistic

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    export(options.checkpoint, options.out, statistic(options.mean), statistic(options.std))
