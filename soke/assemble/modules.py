"""Generators and text decoders, and the Lightning modules that train and use networks."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TypedDict

import torch

from soke.assemble.models import load_body, load_trained_tokenizer, new_tokenizer
from soke.assemble.process import pick_device
from soke.assemble.prompting import build_vocabulary
from soke.assemble.run import Run
from soke.config import check_params, plain
from soke.files import checksum, require
from soke.generator import (
    GENERATORS,
    Generator,
    PromptBuilder,
    SignToText,
    Vocabulary,
    read_config,
    translate,
)
from soke.training.generator_module import GeneratorModule
from soke.training.optimization import OptimizerFactory, SchedulerFactory
from soke.training.run_checkpoints import check_tokenizer, load_weights
from soke.training.text_module import TextModule
from soke.training.tokenizer_module import TokenizerModule

log = logging.getLogger(__name__)


class Optimization(TypedDict):
    """What makes the optimizer of some parameters, and the schedule of that optimizer."""

    optimizer: OptimizerFactory
    scheduler: SchedulerFactory


def optimization(run: Run) -> Optimization:
    """Optimizer and schedule, with their parameters bound."""
    node = run.TRAIN.OPTIM
    params = plain(node.params)
    optimizer = check_params(node.target, params)
    # One kernel for all parameters. Lightning cannot scale and clip gradients inside it.
    if optimizer in (torch.optim.Adam, torch.optim.AdamW) and run.PRECISION != "16-mixed":
        params.setdefault("fused", True)
    node = run.TRAIN.LR_SCHEDULER
    schedule = plain(node.params)
    scheduler = check_params(node.target, schedule)
    return {
        "optimizer": partial(optimizer, **params),
        "scheduler": partial(scheduler, **schedule),
    }


def tokenizer_module(run: Run) -> TokenizerModule:
    """A new tokenizer, ready to train."""
    tokenizer = new_tokenizer(run)
    if run.TRAIN.PRETRAINED:
        load_weights(tokenizer, run.TRAIN.PRETRAINED, "tokenizer")
    return TokenizerModule(
        tokenizer,
        load_body(run),
        list(run.corpora),
        **optimization(run),
        loss_kind=run.LOSS.ABLATION.RECONS_LOSS,
        feature_weight=run.LOSS.LAMBDA_FEATURE,
        velocity_weight=run.LOSS.LAMBDA_VELOCITY,
        commitment_weight=run.LOSS.LAMBDA_COMMIT,
    )


def new_generator(run: Run, words: Vocabulary) -> Generator:
    """The configured generator with random weights."""
    node = run.model.generator
    if node.decoder not in GENERATORS:
        raise ValueError(
            f"model.generator.decoder={node.decoder!r}: choose from {list(GENERATORS)}"
        )
    generator = GENERATORS[node.decoder](
        words,
        read_config(node.folder),
        fusion=node.fusion,
        label_smoothing=node.label_smoothing,
    )
    generator.scale_embeddings(node.scale_embedding)
    return generator


def new_text_decoder(run: Run, words: Vocabulary) -> SignToText:
    """The configured text decoder with random weights.

    Raises ``ValueError`` for int8 together with several beams.
    """
    folder = run.model.generator
    node = run.model.text_decoder
    if node.int8 and node.beams > 1:
        raise ValueError(
            "model.text_decoder.int8 follows one text at a time, not "
            f"model.text_decoder.beams={node.beams}: leave one of them off"
        )
    network = SignToText(
        words,
        read_config(folder.folder),
        fusion=node.fusion,
        label_smoothing=node.label_smoothing,
    )
    network.scale_embeddings(folder.scale_embedding)
    return network


def generator_module(
    run: Run, prompts: PromptBuilder, checkpoint: str | Path | None = None
) -> GeneratorModule:
    """The generator; from ``checkpoint`` if given, else as the configuration says."""
    node = run.model.generator
    generator = new_generator(run, prompts.vocabulary)
    tokenizer = load_trained_tokenizer(run)
    code = checksum(run.TRAIN.PRETRAINED_VAE)
    if checkpoint is not None:
        check_tokenizer(checkpoint, code)
        load_weights(generator, checkpoint, "generator")
    elif run.TRAIN.PRETRAINED:
        load_weights(generator, run.TRAIN.PRETRAINED, "generator")
    elif node.pretrained:
        generator.load_backbone(node.folder)
    params = plain(node.decoding.params)
    return GeneratorModule(
        generator,
        tokenizer,
        code,
        load_body(run),
        list(run.corpora),
        **optimization(run),
        decode=partial(check_params(node.decoding.target, params), **params),
        loss_weight=run.LOSS.LAMBDA_CLS,
    )


def text_module(run: Run, words: Vocabulary, checkpoint: str | Path | None = None) -> TextModule:
    """The text decoder; from ``checkpoint`` if given, else as the configuration says.

    Raises like `new_text_decoder`, and ``ValueError`` for a checkpoint that is not a text decoder,
    does not fit, or was trained on the tokens of another tokenizer than ``TRAIN.PRETRAINED_VAE``.
    """
    folder = run.model.generator
    node = run.model.text_decoder
    network = new_text_decoder(run, words)
    code = checksum(run.TRAIN.PRETRAINED_VAE)
    if checkpoint is not None:
        load_weights(network, checkpoint, "text_decoder")
        check_tokenizer(checkpoint, code)
    elif run.TRAIN.PRETRAINED:
        load_weights(network, run.TRAIN.PRETRAINED, "text_decoder")
    elif folder.pretrained:
        network.load_backbone(folder.folder)
    decode = partial(
        translate,
        max_pieces=node.max_pieces,
        beams=node.beams,
        length_penalty=node.length_penalty,
        int8=node.int8,
    )
    return TextModule(
        network,
        code,
        run.corpora,
        **optimization(run),
        decode=decode,
        loss_weight=run.LOSS.LAMBDA_CLS,
    )


def load_text_decoder(run: Run, checkpoint: str | Path) -> TextModule:
    """A trained text decoder, ready to read signs (`soke.training.text_module.back_translate`).

    ``run`` may be that of a generator: it has the same mBART folder, parts and corpora. Raises
    `soke.files.MissingAssetError` for a checkpoint that is not there, and like `text_module`.
    """
    remedy = (
        "Train one with `python -m train --cfg configs/m2t.yaml --nodebug`, or correct the path"
    )
    require(checkpoint, "The checkpoint of the text decoder", remedy)
    return text_module(run, build_vocabulary(run), checkpoint).eval().to(pick_device(run))
