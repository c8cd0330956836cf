"""Write a trained generator as a folder that transformers reads.

    python -m prepare.export_generator --cfg configs/soke.yaml --nodebug --out exports/soke

The folder has model.safetensors and config.json of an MBartForConditionalGeneration, with all
embedding rows: text, languages and motion tokens. Beside them lie the text pieces and map_ids.pkl,
rows.json, which says what every row is, and fusion.safetensors, the weights with which the parts'
embeddings are summed, which an mBART does not have. transformers scales the embeddings of both
sides or of neither: of a generator that scales the encoder's alone, the decoder gets a table of its
own, which makes up for it. The checkpoint is ``TEST.CHECKPOINTS``, else the best of the run.

``model.generator.folder=exports/soke model.generator.pretrained=true`` trains on from it.
"""

from __future__ import annotations

import argparse
import copy
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from soke import assemble as build
from soke.cli.main import run_verb
from soke.config import parse_command_line
from soke.generator import MultiHeadGenerator
from soke.generator.mbart import folder as folders
from soke.generator.mbart.weights import Weights
from soke.training.checkpoints import choose_checkpoint

log = logging.getLogger("export_generator")


def export(generator: MultiHeadGenerator, pieces: str | Path, out: str | Path) -> None:
    """Write ``generator`` to the new folder ``out``, with the text pieces of the folder ``pieces``.

    Raises ``ValueError`` when ``out`` exists; it is left alone.
    """
    pieces = Path(pieces)
    state = {key: value.detach().cpu() for key, value in generator.state_dict().items()}
    weights = Weights.from_network(state)
    rest = {key: value for key, value in state.items() if key not in weights.to_network()}
    config = copy.deepcopy(generator.backbone.config)
    config.scale_embedding = generator.encoder_scale != 1
    if generator.decoder_scale != generator.encoder_scale:
        table = weights.table if weights.decoder_table is None else weights.decoder_table
        factor = generator.decoder_scale / generator.encoder_scale
        weights = replace(weights, decoder_table=table * factor)
    with folders.new_folder(out) as folder:
        folders.write_weights(folder, weights, config)
        folders.write_map_ids(folder, folders.read_map_ids(pieces))
        folders.copy_pieces(pieces, folder)
        folders.write_rows(folder, generator.vocabulary, rest)
    log.info("%s: %d embedding rows (%s)", out, len(weights.table),
             generator.vocabulary.describe_rows())  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, help="the folder to be written")


def main(arguments: Sequence[str] | None = None) -> None:
    config, options = parse_command_line(__doc__, add_options, arguments)
    build.prepare_process(config)
    folders.check_new(options.out)
    checkpoint = choose_checkpoint(config.TEST.CHECKPOINTS, build.run_directory(config))
    module = build.generator_module(config, build.prompt_builder(config), checkpoint)
    export(module.generator, config.model.generator.folder, options.out)


if __name__ == "__main__":
    run_verb(main)
