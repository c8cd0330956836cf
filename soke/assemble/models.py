"""Body, tokenizer and generator, as the configuration says."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import torch
from omegaconf import DictConfig

from soke.assemble.data import corpora, part_table, vocabulary
from soke.assemble.process import device
from soke.body import BodyModel, locate_body_model
from soke.config import check_params, plain
from soke.data.pose_statistics import load_statistics
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
from soke.tokenizer import PartTokenizer, load_tokenizer
from soke.training.generator_module import GeneratorModule
from soke.training.run_checkpoints import check_tokenizer, load_weights
from soke.training.text_module import TextModule
from soke.training.tokenizer_module import TokenizerModule

log = logging.getLogger(__name__)


def body_model(config: DictConfig) -> BodyModel:
    body = BodyModel(locate_body_model(config.BODY.MODEL_DIR))
    log.info("body: %s", body.name)
    return body


def trained_tokenizer(config: DictConfig) -> PartTokenizer:
    """The tokenizer of ``TRAIN.PRETRAINED_VAE``; its parts must be the configured ones.

    A published checkpoint, which has no statistics, takes the configured ones.
    """
    h2s = config.DATASET.H2S
    statistics = (None, None)
    if Path(h2s.MEAN_PATH).exists() and Path(h2s.STD_PATH).exists():
        statistics = load_statistics(h2s.MEAN_PATH, h2s.STD_PATH, h2s.STD_FLOOR)
    tokenizer = load_tokenizer(config.TRAIN.PRETRAINED_VAE, *statistics)
    if not tokenizer.parts.same_codes(part_table(config)):
        raise ValueError(
            f"the tokenizer {config.TRAIN.PRETRAINED_VAE} was trained with another part table: "
            f"{tokenizer.parts.to_rows()}; make PARTS agree or train a tokenizer"
        )
    return tokenizer


def factories(config: DictConfig) -> dict[str, object]:
    """Optimizer and schedule, with their parameters bound."""
    bound = {}
    for name, section in (("optimizer", "OPTIM"), ("scheduler", "LR_SCHEDULER")):
        node = config.TRAIN[section]
        params = plain(node.params)
        factory = check_params(node.target, params)
        # One kernel for all parameters. Lightning cannot scale and clip gradients inside it.
        if factory in (torch.optim.Adam, torch.optim.AdamW) and config.PRECISION != "16-mixed":
            params.setdefault("fused", True)
        bound[name] = partial(factory, **params)
    return bound


def new_tokenizer(config: DictConfig) -> PartTokenizer:
    """The configured tokenizer with random weights and the statistics of the poses."""
    h2s = config.DATASET.H2S
    node = config.model.tokenizer
    mean, std = load_statistics(h2s.MEAN_PATH, h2s.STD_PATH, h2s.STD_FLOOR)
    params = plain(node.params)
    return check_params(node.target, params)(part_table(config), mean=mean, std=std, **params)


def tokenizer_module(config: DictConfig) -> TokenizerModule:
    """A new tokenizer, ready to train."""
    tokenizer = new_tokenizer(config)
    if config.TRAIN.PRETRAINED:
        load_weights(tokenizer, config.TRAIN.PRETRAINED, "tokenizer")
    return TokenizerModule(
        tokenizer,
        body_model(config),
        list(corpora(config)),
        **factories(config),
        loss_kind=config.LOSS.ABLATION.RECONS_LOSS,
        feature_weight=config.LOSS.LAMBDA_FEATURE,
        velocity_weight=config.LOSS.LAMBDA_VELOCITY,
        commitment_weight=config.LOSS.LAMBDA_COMMIT,
    )


def new_generator(config: DictConfig, words: Vocabulary) -> Generator:
    """The configured generator with random weights."""
    node = config.model.generator
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


def generator_module(
    config: DictConfig, prompts: PromptBuilder, checkpoint: str | Path | None = None
) -> GeneratorModule:
    """The generator; from ``checkpoint`` if given, else as the configuration says."""
    node = config.model.generator
    generator = new_generator(config, prompts.vocabulary)
    tokenizer = trained_tokenizer(config)
    code = checksum(config.TRAIN.PRETRAINED_VAE)
    if checkpoint is not None:
        check_tokenizer(checkpoint, code)
        load_weights(generator, checkpoint, "generator")
    elif config.TRAIN.PRETRAINED:
        load_weights(generator, config.TRAIN.PRETRAINED, "generator")
    elif node.pretrained:
        generator.load_backbone(node.folder)
    params = plain(node.decoding.params)
    return GeneratorModule(
        generator,
        tokenizer,
        code,
        body_model(config),
        list(corpora(config)),
        **factories(config),
        decode=partial(check_params(node.decoding.target, params), **params),
        loss_weight=config.LOSS.LAMBDA_CLS,
    )


def new_text_decoder(config: DictConfig, words: Vocabulary) -> SignToText:
    """The configured text decoder with random weights.

    Raises ``ValueError`` for int8 together with several beams.
    """
    folder = config.model.generator
    node = config.model.text_decoder
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


def text_module(
    config: DictConfig, words: Vocabulary, checkpoint: str | Path | None = None
) -> TextModule:
    """The text decoder; from ``checkpoint`` if given, else as the configuration says.

    Raises like `new_text_decoder`, and ``ValueError`` for a checkpoint that is not a text decoder,
    does not fit, or was trained on the tokens of another tokenizer than ``TRAIN.PRETRAINED_VAE``.
    """
    folder = config.model.generator
    node = config.model.text_decoder
    network = new_text_decoder(config, words)
    code = checksum(config.TRAIN.PRETRAINED_VAE)
    if checkpoint is not None:
        load_weights(network, checkpoint, "text_decoder")
        check_tokenizer(checkpoint, code)
    elif config.TRAIN.PRETRAINED:
        load_weights(network, config.TRAIN.PRETRAINED, "text_decoder")
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
        corpora(config),
        **factories(config),
        decode=decode,
        loss_weight=config.LOSS.LAMBDA_CLS,
    )


def text_decoder(config: DictConfig, checkpoint: str | Path) -> TextModule:
    """A trained text decoder, ready to read signs (`soke.training.text_module.back_translate`).

    ``config`` may be that of a generator: it has the same mBART folder, parts and corpora. Raises
    `soke.files.MissingAssetError` for a checkpoint that is not there, and like `text_module`.
    """
    remedy = (
        "Train one with `python -m train --cfg configs/m2t.yaml --nodebug`, or correct the path"
    )
    require(checkpoint, "The checkpoint of the text decoder", remedy)
    return text_module(config, vocabulary(config), checkpoint).eval().to(device(config))
