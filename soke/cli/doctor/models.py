"""Checkpoints and the mBART folder: that they are there, can be read and fit the configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn

from soke import assemble as build
from soke.cli.doctor.rows import (
    TEST,
    Fix,
    Row,
    examine,
    found,
    missing,
    note,
    quiet,
)
from soke.cli.doctor.run import Run
from soke.config import check_params, plain
from soke.files import checksum
from soke.generator import GENERATORS, Generator, SignToText, read_config
from soke.generator.mbart.folder import CONFIG, MAPPING, read_map_ids, read_weights
from soke.generator.mbart.text_tokenizer import SENTENCEPIECE, TOKENIZER, open_pieces
from soke.tokenizer import load_tokenizer
from soke.training.checkpoints import check_tokenizer, choose_checkpoint, load_weights


def tokenizer(run: Run) -> Row:
    """The trained tokenizer, whose parts have to be the configured ones."""
    path, what = run.config.TRAIN.PRETRAINED_VAE, "tokenizer"
    fix = run.train_tokenizer()
    mend = Fix(
        "Make PARTS agree with it, or train a tokenizer under another NAME=... and name it with "
        "TRAIN.PRETRAINED_VAE=..."
    )

    def look() -> Row:
        if not Path(path).is_file():
            return missing(what, f"no {path}", fix)
        with quiet() as said:
            trained = build.trained_tokenizer(run.config)
        parts = ", ".join(f"{part.name} {part.codebook_size}" for part in trained.parts)
        detail = f"{path}, codes: {parts}"
        return note(what, f"{detail}. {said[0]}") if said else found(what, detail)

    return examine(look, what, fix, mend=mend)


def mbart(run: Run) -> list[Row]:
    """Every file of the mBART folder, whether they agree, and the starting weights."""
    node = run.config.model.generator
    folder, fix = Path(node.folder), _mbart_fix(run)
    if not folder.is_dir():
        return [missing("mBART folder", f"no folder {folder}", fix)]
    rows = _files(folder, fix)
    if not any(row.stops for row in rows):
        rows.append(examine(lambda: _agree(run), run.network.replace("_", " "), fix))
    if run.config.TRAIN.PRETRAINED:
        return rows  # its weights take the place of mBART's; see `start_weights`
    if not node.pretrained:
        return [*rows, note("mBART weights", "not used: model.generator.pretrained is false")]
    without = Fix(f"{fix.advice}. To train from scratch: model.generator.pretrained=false")
    whole = not any(row.stops for row in rows)
    return [*rows, examine(lambda: _weights(run, whole), "mBART weights", without)]


def _mbart_fix(run: Run) -> Fix:
    folder = run.config.model.generator.folder
    if not run.config.model.generator.pretrained:
        small = run.command("prepare.small_mbart")
        if Path(folder).exists():  # it leaves a folder with a config.json alone
            small = f"rm -f {Path(folder) / CONFIG} && {small}"
        return Fix(command=small)
    return Fix(
        "The trimmed mBART (config.json, weights, text pieces, map_ids.pkl) comes with the method: "
        f"put it into {folder}, or name its place with model.generator.folder=..., or cut a full "
        "one to your texts: python -m prepare.trim_vocabulary --cfg ... --source FULL_MBART_FOLDER"
    )


def _files(folder: Path, fix: Fix) -> list[Row]:
    """The files beside the weights, each as its own reader finds it."""

    def configuration() -> str:
        read_config(folder)
        return str(folder / CONFIG)

    def kept() -> str:
        return f"{folder / MAPPING}: {len(read_map_ids(folder)):,} rows"

    def pieces() -> str:
        return f"{open_pieces(folder, largest=0).size:,} ids in {folder}"

    def look(what: str, names: str, read: Callable[[], str]) -> Row:
        try:
            with quiet() as said:
                detail = read()
        except FileNotFoundError:
            return missing(what, f"no {names} in {folder}", fix)
        return note(what, f"{detail}. {said[0]}") if said else found(what, detail)

    readers = (
        ("mBART configuration", CONFIG, configuration),
        ("mBART text pieces", f"{SENTENCEPIECE} or {TOKENIZER}", pieces),
        ("mBART rows", MAPPING, kept),
    )
    return [examine(partial(look, *row), row[0], fix) for row in readers]


def _agree(run: Run) -> Row:
    """Vocabulary, configuration and decoder fit together."""
    generator = _shapes_of_generator(run)
    size, rows = generator.backbone.config, generator.vocabulary.text_size
    layers = f"{size.encoder_layers} + {size.decoder_layers} layers of width {size.d_model}"
    return found(run.network.replace("_", " "), f"{layers}, {rows:,} text rows")


def _weights(run: Run, whole: bool) -> Row:
    """The weights of mBART; only in a ``whole`` folder they can be compared with the rest."""
    folder = run.config.model.generator.folder
    with quiet():
        if whole:
            _shapes_of_generator(run).load_backbone(folder)
        else:
            read_weights(folder)
    return found("mBART weights", f"{folder}{': they fit' if whole else ''}")


def prompts(run: Run) -> Row:
    """All that a prompt is made of, put together as training does."""
    fix = Fix(f"Correct PROMPTS, RETRIEVAL or CORPORA in {run.cfg}")

    def look() -> Row:
        make = build.text_builder if run.writes_text else build.prompt_builder
        builder = make(run.config)
        count, limit = len(builder.templates), builder.max_length
        return found("prompts", f"phrasings: {count}; at most {limit} tokens a text")

    return examine(look, "prompts", fix)


def _shapes_of_generator(run: Run) -> Generator:
    """The configured generator, or text decoder, without memory for its weights.

    Shapes are compared, no more.
    """
    node = run.config.model.generator
    if node.decoder not in GENERATORS:
        raise ValueError(f"model.generator.decoder={node.decoder!r}: choose of {list(GENERATORS)}")
    words, config = build.vocabulary(run.config), read_config(node.folder)
    own = run.config.model.text_decoder if run.writes_text else node
    kind = SignToText if run.writes_text else GENERATORS[node.decoder]
    with torch.device("meta"):
        generator = kind(words, config, own.fusion, own.label_smoothing)
    generator.scale_embeddings(node.scale_embedding)
    return generator


def _shapes_of_tokenizer(run: Run) -> nn.Module:
    node = run.config.model.tokenizer
    params = plain(node.params)
    with torch.device("meta"):
        return check_params(node.target, params)(run.parts, **params)


def start_weights(run: Run) -> list[Row]:
    """The checkpoint of ``TRAIN.PRETRAINED``, where one is named."""
    path, what = run.config.TRAIN.PRETRAINED, "TRAIN.PRETRAINED"
    if not path:
        return []
    fix = Fix("Name a checkpoint of the same stage and sizes, or drop TRAIN.PRETRAINED")

    def look() -> Row:
        if not Path(path).is_file():
            return missing(what, f"no {path}", fix)
        if not (run.trains_tokenizer or _mbart_is_there(run)):
            return note(what, f"{path}; compared once the mBART folder is whole")
        module = _shapes_of_tokenizer(run) if run.trains_tokenizer else _shapes_of_generator(run)
        with quiet():
            load_weights(module, path, run.network)
        return found(what, path)

    return [examine(look, what, fix)]


def tested(run: Run) -> Row:
    """The checkpoint that `python -m test` takes."""
    config = run.config
    what = f"{run.network.replace('_', ' ')} to test"
    try:
        path = choose_checkpoint(config.TEST.CHECKPOINTS, build.run_directory(config))
    except FileNotFoundError:
        if config.TEST.CHECKPOINTS:
            fix = Fix("Correct TEST.CHECKPOINTS, or drop it")
            return missing(what, f"no {config.TEST.CHECKPOINTS}", fix, TEST)
        fix = Fix("Training writes it:", run.command("train"))
        return missing(what, f"no checkpoint in {build.run_directory(config)}", fix, TEST)
    mend = Fix("Name another with TEST.CHECKPOINTS=..., or train again under another NAME=...")
    look = _tested_tokenizer if run.trains_tokenizer else _tested_generator

    def quietly() -> Row:
        with quiet():
            look(run, path)
        return found(what, str(path), TEST)

    return examine(quietly, what, mend, TEST)


def _tested_tokenizer(run: Run, path: Path) -> None:
    if not load_tokenizer(path).parts.same_codes(run.parts):
        raise ValueError(f"{path} was trained with another part table")


def _tested_generator(run: Run, path: Path) -> None:
    """As far as the tokenizer and the mBART folder are there to compare it with."""
    if Path(run.config.TRAIN.PRETRAINED_VAE).is_file():
        check_tokenizer(path, checksum(run.config.TRAIN.PRETRAINED_VAE))
    if _mbart_is_there(run):
        load_weights(_shapes_of_generator(run), path, run.network)


def _mbart_is_there(run: Run) -> bool:
    """Whether no file of the mBART folder is missing, apart from weights."""
    folder = run.config.model.generator.folder
    try:
        read_config(folder)
        open_pieces(folder, max(read_map_ids(folder)))
    except FileNotFoundError:
        return False
    return True
