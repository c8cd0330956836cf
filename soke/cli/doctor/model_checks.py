"""Tokenizer, token files, dictionaries, generator and checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from soke import assemble
from soke.cli.doctor.rows import collected_warnings, warn
from soke.cli.doctor.run import Run
from soke.config import load_config
from soke.data.corpora import Corpus
from soke.data.listing.annotations import DropCounts
from soke.data.scan import survey
from soke.data.token_files import check_folder, read_tokens, token_path
from soke.files import MissingAssetError, checksum, require
from soke.generator import read_config
from soke.retrieval import SignDictionary, check_origin
from soke.training.run_checkpoints import check_tokenizer, choose_checkpoint, load_weights

REPLACE_DICTIONARY = (
    "Name another with CORPORA.<name>.dictionary=..., or make it anew from isolated signs: "
    "`soke dictionary --replace_dictionary`"
)
#: Clips without tokens that are read to learn whether they are damaged; more are not all damaged.
_FEW = 100


def trained_tokenizer(run: Run) -> str:
    path = Path(run.config.TRAIN.PRETRAINED_VAE)
    try:
        tokenizer = assemble.trained_tokenizer(run.config)
    except MissingAssetError as error:
        makers = [other for other in Path(run.cfg).parent.glob("*.yaml") if _makes(other, path)]
        if not makers or str(makers[0]) in str(error):
            raise
        remedy = f"`python -m train --cfg {makers[0]} --nodebug` makes this one"
        raise FileNotFoundError(f"{error}; {remedy}") from error
    codes = ", ".join(f"{part.name} {part.codebook_size}" for part in tokenizer.parts)
    return f"{path}, codes: {codes}"


def _makes(cfg: Path, checkpoint: Path) -> bool:
    """Whether training with this configuration writes the tokenizer's checkpoint."""
    try:
        config = load_config(cfg, debug=None)
    except (ValueError, FileNotFoundError):
        return False
    return config.TRAIN.STAGE == "vae" and checkpoint.parts[-3:-1] == (config.NAME, "checkpoints")


def token_folder(run: Run) -> str:
    config = run.config
    folder = assemble.code_folder(config)
    require(folder, "The folder of token files", "`python -m get_motion_code` writes it")
    if not Path(config.TRAIN.PRETRAINED_VAE).exists():
        warn("which tokenizer made them is compared once the tokenizer is there")
    else:
        code = checksum(config.TRAIN.PRETRAINED_VAE)
        if not check_folder(folder, code, assemble.part_table(config)):
            warn("the folder does not say which tokenizer made them")
    return str(folder)


def tokens(run: Run, corpus: Corpus) -> str:
    """Count the clips with tokens; read the first of a split, or all in a thorough check."""
    folder = assemble.code_folder(run.config)
    counts = []
    faults = []
    for split in run.training_splits:
        clips = run.clips[corpus.name, split]
        paths = [token_path(folder, clip.corpus, clip.name) for clip in clips]
        there = [path for path in paths if path.exists()]
        lacking = [clip for clip, path in zip(clips, paths) if not path.exists()]
        # Damaged clips never have tokens, and training leaves them out.
        if 0 < len(lacking) <= _FEW and run.config.DATASET.CHECK_POSES:
            with collected_warnings():
                lacking = survey(lacking, DropCounts()).clips
        if lacking:
            what = f"Token files of {len(lacking):,} of {len(clips):,} clips of {split}"
            first = token_path(folder, corpus.name, lacking[0].name)
            raise MissingAssetError(what, first, "`python -m get_motion_code` writes them")
        faults += _faults(run, there)
        counts.append(f"{split} {len(there):,} of {len(clips):,}")
    if faults:
        again = "remove what is damaged and run `python -m get_motion_code` again"
        raise ValueError(f"{len(faults):,} damaged: {'; '.join(faults[:3])}; {again}")
    return f"clips with tokens: {', '.join(counts)}"


def _faults(run: Run, paths: Sequence[Path]) -> list[str]:
    parts = assemble.part_table(run.config)
    faults = []
    for path in paths if run.thorough else paths[:1]:
        try:
            read_tokens(path, parts)
        except Exception as error:  # numpy raises many kinds for a damaged file
            faults.append(str(error) if str(path) in str(error) else f"{path}: {error}")
    return faults


def dictionary(run: Run, path: str) -> str:
    """Load a dictionary and compare its origin as `soke.retrieval.open_search` does."""
    parts = assemble.part_table(run.config)
    signs = SignDictionary.load(path, parts)
    checkpoint = Path(run.config.TRAIN.PRETRAINED_VAE)
    if not len(signs):
        warn("it is empty")
    compare = checkpoint.exists() and not run.config.DEBUG  # a trial takes any dictionary
    if compare and not check_origin(path, checksum(checkpoint), parts):
        warn("it does not say which tokenizer made it")
    names = ", ".join(corpus.name for corpus in run.corpora if corpus.dictionary == path)
    return f"{path}: {len(signs):,} signs (for {names})"


def vocabulary(run: Run) -> str:
    folder = run.config.model.generator.folder
    read_config(folder)
    return f"{folder}: {assemble.vocabulary(run.config).text_size:,} text rows"


def network(run: Run) -> str:
    """The parts of the network fit together."""
    return f"{sum(parameter.numel() for parameter in run.network().parameters()):,} parameters"


def mbart_weights(run: Run) -> str:
    run.network().load_backbone(run.config.model.generator.folder)
    return "they fit"


def prompts(run: Run) -> str:
    make = assemble.prompt_builder if run.kind == "generator" else assemble.text_builder
    builder = make(run.config)
    return f"phrasings: {len(builder.templates)}; at most {builder.max_length} tokens a text"


def start_weights(run: Run) -> str:
    load_weights(run.network(), run.config.TRAIN.PRETRAINED, run.kind)
    return str(run.config.TRAIN.PRETRAINED)


def tested(run: Run) -> str:
    """The checkpoint that `python -m test` takes."""
    config = run.config.copy()
    path = choose_checkpoint(config.TEST.CHECKPOINTS, assemble.run_directory(config))
    if run.kind == "tokenizer":
        config.TRAIN.PRETRAINED_VAE = str(path)
        assemble.trained_tokenizer(config)
    else:
        check_tokenizer(path, checksum(config.TRAIN.PRETRAINED_VAE))
        load_weights(run.network(), path, run.kind)
    return str(path)


def strategy(run: Run) -> str:
    """How processes share the work, and what is switched on in the network."""
    network = run.network()
    assemble.strategy(run.config, network)
    assemble.switch_on(run.config, network)
    return run.config.TRAIN.STRATEGY
