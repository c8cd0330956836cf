"""Tokenizer, token files, dictionaries, generator and checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from soke.assemble.models import load_trained_tokenizer
from soke.assemble.prompting import build_vocabulary, prompt_builder, text_builder
from soke.assemble.trainer import pick_strategy, switch_on
from soke.cli.doctor.rows import collected_warnings, warn
from soke.cli.doctor.run import CheckedRun
from soke.config import load_config
from soke.data.corpora import Corpus
from soke.data.listing.annotations import DropCounts
from soke.data.scan import survey
from soke.data.token_files import check_folder, read_tokens, token_path
from soke.files import MissingAssetError, checksum, require
from soke.generator import Generator, SignToText, read_config
from soke.retrieval import SignDictionary, check_origin
from soke.training.run_checkpoints import check_tokenizer, choose_checkpoint, load_weights

REPLACE_DICTIONARY = (
    "Name another with CORPORA.<name>.dictionary=..., or make it anew from isolated signs: "
    "`soke dictionary --replace_dictionary`"
)
#: Clips without tokens that are read to learn whether they are damaged; more are not all damaged.
_FEW = 100


def trained_tokenizer(run: CheckedRun) -> str:
    path = Path(run.TRAIN.PRETRAINED_VAE)
    try:
        tokenizer = load_trained_tokenizer(run)
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


def token_folder(run: CheckedRun) -> str:
    folder = run.token_folder
    require(folder, "The folder of token files", "`python -m get_motion_code` writes it")
    if not Path(run.TRAIN.PRETRAINED_VAE).exists():
        warn("which tokenizer made them is compared once the tokenizer is there")
    else:
        code = checksum(run.TRAIN.PRETRAINED_VAE)
        if not check_folder(folder, code, run.parts):
            warn("the folder does not say which tokenizer made them")
    return str(folder)


def tokens(run: CheckedRun, corpus: Corpus) -> str:
    """Count the clips with tokens; read the first of a split, or all in a thorough check."""
    folder = run.token_folder
    counts = []
    faults = []
    for split in run.training_splits:
        clips = run.clips[corpus.name, split]
        paths = [token_path(folder, clip.corpus, clip.name) for clip in clips]
        there = [path for path in paths if path.exists()]
        lacking = [clip for clip, path in zip(clips, paths) if not path.exists()]
        # Damaged clips never have tokens, and training leaves them out.
        if 0 < len(lacking) <= _FEW and run.DATASET.CHECK_POSES:
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


def _faults(run: CheckedRun, paths: Sequence[Path]) -> list[str]:
    parts = run.parts
    faults = []
    for path in paths if run.thorough else paths[:1]:
        try:
            read_tokens(path, parts)
        except Exception as error:  # numpy raises many kinds for a damaged file
            faults.append(str(error) if str(path) in str(error) else f"{path}: {error}")
    return faults


def dictionary(run: CheckedRun, path: str) -> str:
    """Load a dictionary and compare its origin as `soke.retrieval.open_search` does."""
    parts = run.parts
    signs = SignDictionary.load(path, parts)
    checkpoint = Path(run.TRAIN.PRETRAINED_VAE)
    if not len(signs):
        warn("it is empty")
    compare = checkpoint.exists() and not run.DEBUG  # a trial takes any dictionary
    if compare and not check_origin(path, checksum(checkpoint), parts):
        warn("it does not say which tokenizer made it")
    names = ", ".join(corpus.name for corpus in run.corpora.values() if corpus.dictionary == path)
    return f"{path}: {len(signs):,} signs (for {names})"


def vocabulary(run: CheckedRun) -> str:
    folder = run.model.generator.folder
    read_config(folder)
    return f"{folder}: {build_vocabulary(run).text_size:,} text rows"


def network(run: CheckedRun) -> str:
    """The parts of the network fit together."""
    return f"{sum(parameter.numel() for parameter in run.network().parameters()):,} parameters"


def mbart_weights(run: CheckedRun) -> str:
    network = run.network()
    assert isinstance(network, (Generator, SignToText))
    network.load_backbone(run.model.generator.folder)
    return "they fit"


def prompts(run: CheckedRun) -> str:
    make = prompt_builder if run.kind == "generator" else text_builder
    builder = make(run)
    return f"phrasings: {len(builder.templates)}; at most {builder.max_length} tokens a text"


def start_weights(run: CheckedRun) -> str:
    load_weights(run.network(), run.TRAIN.PRETRAINED, run.kind)
    return str(run.TRAIN.PRETRAINED)


def tested(run: CheckedRun) -> str:
    """The checkpoint that `python -m test` takes."""
    path = choose_checkpoint(run.TEST.CHECKPOINTS, run.folder)
    if run.kind == "tokenizer":
        load_trained_tokenizer(run.changed("TRAIN.PRETRAINED_VAE", str(path)))
    else:
        check_tokenizer(path, checksum(run.TRAIN.PRETRAINED_VAE))
        load_weights(run.network(), path, run.kind)
    return str(path)


def strategy(run: CheckedRun) -> str:
    """How processes share the work, and what is switched on in the network."""
    network = run.network()
    pick_strategy(run, network)
    switch_on(run, network)
    return run.TRAIN.STRATEGY
