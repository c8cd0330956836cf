"""Make the sign dictionaries (word2code.json) from the isolated signs of the data sets.

    soke dictionary --cfg configs/soke.yaml

Each corpus of DATASET_NAME with CORPORA.<name>.signs gets the dictionary that
CORPORA.<name>.dictionary names, through the tokenizer of TRAIN.PRETRAINED_VAE. Of several
recordings of a word the one that is most like the others (the medoid) is taken. A file beside it,
word2code.manifest.json, says which tokenizer it comes from; a dictionary without one, such as a
published one, or of another tokenizer is not written over unless --replace_dictionary is given.
--merge adds the entries of other dictionaries of the same tokenizer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from soke.config import parse_command_line


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--replace_dictionary", action="store_true", help="overwrite files of another origin"
    )
    parser.add_argument("--merge", nargs="+", default=[], metavar="FILE", help="more dictionaries")


def main(arguments: Sequence[str] | None = None) -> None:
    # A trial run would leave most signs out.
    arguments = [*(sys.argv[1:] if arguments is None else arguments), "--nodebug"]
    config, options = parse_command_line(__doc__.splitlines()[0], _options, arguments)
    from soke.assemble.dictionaries import write_dictionaries
    from soke.assemble.models import load_trained_tokenizer
    from soke.assemble.process import open_run, pick_device

    run = open_run(config)
    with_signs = [c.name for c in run.corpora.values() if c.signs is not None]
    if not with_signs:
        raise ValueError(
            f"none of {list(run.corpora)} has isolated signs: name their list in "
            "CORPORA.<name>.signs"
        )
    tokenizer = load_trained_tokenizer(run)
    device = pick_device(run)
    write_dictionaries(run, tokenizer, device, options.replace_dictionary, options.merge)
