"""Write a trained generator as a folder that transformers reads.

    soke export generator --cfg configs/soke.yaml --nodebug --out exports/soke

The folder has model.safetensors and config.json of an MBartForConditionalGeneration, with all
embedding rows: text, languages and motion tokens. Beside them lie the text pieces and map_ids.pkl,
rows.json, which says what every row is, and fusion.safetensors, the weights with which the parts'
embeddings are summed, which an mBART does not have. transformers scales the embeddings of both
sides or of neither: of a generator that scales the encoder's alone, the decoder gets a table of its
own, which makes up for it. The checkpoint is ``TEST.CHECKPOINTS``, else the best of the run.

``model.generator.folder=exports/soke model.generator.pretrained=true`` trains on from it.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import replace
from pathlib import Path

from soke.assemble.modules import generator_module
from soke.assemble.prompting import prompt_builder
from soke.assemble.run import Run
from soke.generator import Generator
from soke.generator.mbart import folder as folders
from soke.generator.mbart.weights import Weights
from soke.training.run_checkpoints import choose_checkpoint

log = logging.getLogger(__name__)


def export(generator: Generator, pieces: str | Path, out: str | Path) -> None:
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
    rows = generator.vocabulary.describe_rows()
    log.info("%s: %d embedding rows (%s)", out, len(weights.table), rows)


def export_run(run: Run, out: str | Path) -> None:
    """Export the generator of a run. Raises ``ValueError`` when ``out`` exists."""
    folders.check_new(out)
    checkpoint = choose_checkpoint(run.TEST.CHECKPOINTS, run.folder)
    module = generator_module(run, prompt_builder(run), checkpoint)
    export(module.generator, run.model.generator.folder, out)
