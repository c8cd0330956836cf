"""What a run needs: names, functions that look, and who needs the thing.

Wherever training refuses something, the function that looks is the one that training calls, so both
agree, and its error says what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from soke.assemble.data import odd_statistics, read_group
from soke.assemble.modules import optimization
from soke.cli.doctor import machine, model_checks
from soke.cli.doctor.rows import TEST, TOKENIZER, TOKENS, TRAIN, VIDEOS, Check, warn
from soke.cli.doctor.run import CheckedRun
from soke.config import check_params, plain
from soke.data.corpora import Corpus
from soke.data.datasets import PoseDataset
from soke.data.layouts import layout_named
from soke.data.listing.annotations import SIGNS, DropCounts
from soke.data.motion.plausibility import CONSTANT
from soke.data.pose_statistics import load_statistics
from soke.data.scan import survey
from soke.data.store import Shard, shard_folder
from soke.files import require
from soke.generator.mbart.folder import REMEDY
from soke.tokenizer import reconstruction_loss


def sections(run: CheckedRun) -> Iterator[tuple[str, list[Check]]]:
    """The checks, in the order in which things are made.

    All of them trust the configuration, which is checked first.
    """
    correct = f"Correct it in {run.cfg}, or at the end of the command (KEY=VALUE)"
    yield "Configuration", [Check("configuration", _configuration, remedy=correct)]
    place = [
        Check("run directory", machine.run_directory),
        Check("free disk space", machine.disk_space),
        Check("loggers", machine.loggers),
    ]
    yield "Run", place
    yield "Data", [*_data_checks(run)]
    if run.kind == "tokenizer":
        yield "Tokenizer", [Check(run.kind, model_checks.network, after=["statistics"])]
    else:
        yield "Tokens", [*_token_checks(run)]
        yield "Generator", [*_generator_checks(run)]
    after = [run.kind, "tokenizer"]
    checks = [Check("checkpoint to test", model_checks.tested, TEST, after)]
    if run.TRAIN.PRETRAINED:
        checks.append(Check("TRAIN.PRETRAINED", model_checks.start_weights, after=after))
    yield "Checkpoints", checks
    local = [
        Check("body model", machine.body),
        Check("side files", machine.side_files, TEST, ["body model"]),
        Check("GPU", machine.devices),
        Check("strategy", model_checks.strategy, after=[run.kind, "GPU"]),
        Check("renderer", machine.renderer),
        Check("video encoder", machine.encoder, VIDEOS),
        Check("fonts", machine.fonts),
    ]
    yield "Body and machine", local


def _data_checks(run: CheckedRun) -> Iterator[Check]:
    for corpus in run.corpora.values():
        splits = dict.fromkeys(run.training_splits, TRAIN)
        splits.setdefault(run.TEST.SPLIT, TEST)
        if corpus.signs is not None:
            splits[SIGNS] = TOKENS
        packed = [split for split in splits if _shard(run, corpus, split)]
        if not packed and not Path(str(corpus.root)).is_dir():
            yield Check(corpus.name, partial(_no_data, corpus=corpus))
            continue
        for split, needed_for in splits.items():
            yield Check(
                f"{corpus.name} {split}", partial(_split, corpus=corpus, split=split), needed_for
            )
    for split in run.training_splits:
        after = [name for c in run.corpora.values() for name in (c.name, f"{c.name} {split}")]
        yield Check(f"split {split}", partial(_not_empty, split=split), after=after)
    if run.DATASET.PACKED is not None:
        yield Check("packed store", _packed_store)
    needed_for = TRAIN if run.kind == "tokenizer" else TOKENIZER
    yield Check("statistics", _statistics, needed_for)


def _token_checks(run: CheckedRun) -> Iterator[Check]:
    another = "Name another with TRAIN.PRETRAINED_VAE=..., or train it again"
    yield Check("tokenizer", model_checks.trained_tokenizer, remedy=another)
    yield Check("token files", model_checks.token_folder)
    for corpus in run.corpora.values():
        splits = [f"{corpus.name} {split}" for split in run.training_splits]
        after = ["token files", corpus.name, *splits]
        yield Check(
            f"tokens of {corpus.name}", partial(model_checks.tokens, corpus=corpus), after=after
        )
    if run.kind == "generator" and run.RETRIEVAL.MAX_KEYWORDS:
        for path in dict.fromkeys(corpus.dictionary for corpus in run.corpora.values()):
            if path is not None:
                look = partial(model_checks.dictionary, path=path)
                yield Check("dictionary", look, remedy=model_checks.REPLACE_DICTIONARY)


def _generator_checks(run: CheckedRun) -> Iterator[Check]:
    yield Check("mBART folder", model_checks.vocabulary, remedy=REMEDY)
    yield Check(run.kind, model_checks.network, after=["mBART folder"])
    # The weights of TRAIN.PRETRAINED take the place of mBART's.
    if run.model.generator.pretrained and not run.TRAIN.PRETRAINED:
        yield Check("mBART weights", model_checks.mbart_weights, after=[run.kind])
    after = [run.kind, "tokenizer", "dictionary"]
    yield Check("prompts", model_checks.prompts, after=after)


def _configuration(run: CheckedRun) -> str:
    """What can be said of the configuration without looking at a file."""
    parts = run.parts
    for corpus in run.corpora.values():
        layout_named(corpus.layout)
    optimization(run)
    node = run.model.tokenizer if run.kind == "tokenizer" else run.model.generator.decoding
    check_params(node.target, plain(node.params))
    if run.kind == "tokenizer":
        some = torch.zeros(1, 1, 1)
        limits = run.length_limits
        PoseDataset([], limits, torch.zeros(1), torch.ones(1), run.TRAIN.CROP_FRAMES)
        loss = run.LOSS.ABLATION.RECONS_LOSS
        reconstruction_loss(loss, some, some, torch.ones(1, 1, dtype=torch.bool))
    names = ", ".join(corpus.name for corpus in run.corpora.values())
    codes = ", ".join(f"{part.name} {part.codebook_size}" for part in parts)
    trial = "; a short trial" if run.DEBUG else ""
    return f"{run.NAME}, stage {run.TRAIN.STAGE}; data sets: {names}; codes: {codes}{trial}"


def _shard(run: CheckedRun, corpus: Corpus, split: str) -> Path | None:
    """The folder of a split in the packed store, if it is there."""
    if run.DATASET.PACKED is None:
        return None
    folder = shard_folder(run.DATASET.PACKED, corpus.name, split)
    return folder if folder.is_dir() else None


def _no_data(run: CheckedRun, corpus: Corpus) -> str:
    h2s = run.DATASET.H2S
    roots = [key for key in ("ROOT", "CSL_ROOT", "PHOENIX_ROOT") if h2s[key] == corpus.root]
    key = f"DATASET.H2S.{roots[0]}" if len(roots) == 1 else f"CORPORA.{corpus.name}.root"
    layout = layout_named(corpus.layout)
    remedy = f"{layout.remedy}. If it lies elsewhere, set {key}=..."
    require(str(corpus.root), f"The folder of {layout.title}", remedy)
    raise ValueError(f"{corpus.root} is not a folder. {remedy}")


def _split(run: CheckedRun, corpus: Corpus, split: str) -> str:
    """List the clips as training does, and read them all in a thorough check."""
    group = read_group(run, corpus, split, read_poses=run.thorough)
    summary = group.summary
    run.clips[corpus.name, split] = group.clips
    packed = _shard(run, corpus, split)
    if packed is None and run.thorough and summary.faults and not run.DATASET.CHECK_POSES:
        raise ValueError(f"{summary.faults[0]}; DATASET.CHECK_POSES=true leaves such clips out")
    if packed is not None and run.thorough:
        Shard(packed).verify()
        survey(group.clips, DropCounts(), run.TRAIN.NUM_WORKERS)  # warns of odd poses
    for message in (*summary.notes, *(f"left out: {fault}" for fault in summary.faults)):
        warn(message)
    if summary.kept < sum(summary.dropped.values()):
        warn("most of the entries cannot be used: are all files there?")
    reasons = [f"{count:,} {reason}" for reason, count in summary.dropped.items() if count]
    detail = f"{summary.kept:,} {'signs' if split == SIGNS else 'clips'}"
    detail += f", {summary.source}" if summary.source else ""
    detail += "" if summary.frames is None else f", {summary.frames:,} frames"
    return detail + (f"; left out: {', '.join(reasons)}" if reasons else "")


def _not_empty(run: CheckedRun, split: str) -> str:
    """Training does not start where no corpus has a clip of one of its splits."""
    count = sum(len(clips) for (_, own), clips in run.clips.items() if own == split)
    if not count:
        raise ValueError("no clip of it can be used; see above why they are left out")
    return f"{count:,} clips"


def _packed_store(run: CheckedRun) -> str:
    have: list[str] = []
    lacking: list[str] = []
    for corpus in run.corpora.values():
        for split in run.training_splits:
            packed = _shard(run, corpus, split) is not None
            (have if packed else lacking).append(f"{corpus.name} {split}")
    if lacking:
        which = f"has no {', no '.join(lacking)}" if have else "is empty"
        warn(f"it {which}; training reads faster what `soke pack` has packed")
    return f"{run.DATASET.PACKED}: {len(have)} of {len(have + lacking)} training splits"


def _statistics(run: CheckedRun) -> str:
    h2s = run.DATASET.H2S
    _, std = load_statistics(h2s.MEAN_PATH, h2s.STD_PATH, h2s.STD_FLOOR)
    if run.thorough:
        split = run.TRAIN.SPLIT
        clips = [clip for (_, own), clips in run.clips.items() if own == split for clip in clips]
        for message in odd_statistics(run, clips):
            warn(f"{message}; are they of other poses? `soke statistics --force`")
    still = int((std < CONSTANT).sum())
    if still:
        warn(
            f"{still} features never move, and are divided by almost 0: DATASET.H2S.STD_FLOOR=0.2 "
            "makes that safe"
        )
    return f"{h2s.MEAN_PATH} and {h2s.STD_PATH}"
