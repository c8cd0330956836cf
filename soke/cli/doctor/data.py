"""Texts, poses, packed stores and isolated signs, and the statistics of the poses."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.progress import track

from soke import assemble as build
from soke.cli.doctor.rows import (
    TEST,
    TOKENIZER,
    TOKENS,
    TRAIN,
    Fix,
    Row,
    State,
    describe,
    examine,
    found,
    missing,
    note,
    quiet,
    wrong,
)
from soke.cli.doctor.run import MAKE_DEMO, MAKE_DEMO_AGAIN, Run, is_demo
from soke.config import DEBUG_CLIPS
from soke.data.clips import describe_sources, squeezed
from soke.data.corpora import Corpus
from soke.data.layouts import layout_named
from soke.data.listing.annotations import SIGNS, Clip, Drops
from soke.data.motion.plausibility import CONSTANT, Oddities
from soke.data.scan import read_all, survey
from soke.data.statistics import load_statistics
from soke.data.store import Shard, shard_folder
from soke.files import MissingAssetError, dangling

#: The clips of every split that could be listed, by corpus and split.
Listed = dict[tuple[str, str], Sequence[Clip]]


def splits(run: Run, listed: Listed) -> list[Row]:
    """Every split of every corpus, as training lists it, and the isolated signs.

    The clips are put into ``listed``.
    """
    rows: list[Row] = []
    for corpus in run.corpora.values():
        wanted = _wanted(run, corpus)
        packed = [_has_shard(run, corpus.name, split) for split in wanted]
        if Path(corpus.root).is_dir() or any(packed):
            for split, needed_for in wanted.items():
                rows += _look(run, corpus, split, needed_for, listed)
        else:
            detail = f"no folder {corpus.root}{dangling(corpus.root)}, so no {', '.join(wanted)}"
            rows.append(missing(corpus.name, detail, _data_fix(run, corpus)))
    return rows + _empty(run, listed) + _stores(run, listed)


def _stores(run: Run, listed: Listed) -> list[Row]:
    """What the packed store has; a shard that cannot be used has a row of its own."""
    store, packed, unpacked = run.config.DATASET.PACKED, [], []
    for (corpus, split), clips in listed.items():
        if isinstance(clips, Shard):
            packed.append(f"{corpus} {split}")
        elif not _has_shard(run, corpus, split):
            unpacked.append(f"{corpus} {split}")
    if unpacked and store is not None:
        which = f"lacks {', '.join(unpacked)}" if packed else "is empty"
        detail = f"{store} {which}; training reads packed poses faster"
        return [note("packed store", detail, Fix(command=_pack(run)))]
    return [found("packed store", f"{store}: {len(packed)} shards")] if packed else []


def _wanted(run: Run, corpus: Corpus) -> dict[str, str]:
    """The configured splits, and who needs them."""
    config = run.config
    splits = {config.TRAIN.SPLIT: TRAIN, config.EVAL.SPLIT: TRAIN}
    splits.setdefault(config.TEST.SPLIT, TEST)
    return splits if corpus.signs is None else splits | {SIGNS: TOKENS}


def _has_shard(run: Run, corpus: str, split: str) -> bool:
    store = run.config.DATASET.PACKED
    return store is not None and shard_folder(store, corpus, split).is_dir()


def _pack(run: Run) -> str:
    return run.command("prepare.pack_poses")


def _look(run: Run, corpus: Corpus, split: str, needed_for: str, listed: Listed) -> list[Row]:
    """One split: its shard where that is damaged or was to be verified, and its clips."""
    what, rows, shard = f"{corpus.name} {split}", [], None
    try:
        with quiet():
            source = build.clip_source(run.config, corpus, split)
            shard = build.open_packed(run.config, source)
    except Exception as error:  # whatever a damaged shard raises, its source is still to be seen
        fix = Fix(command=_pack(run))
        rows.append(wrong(f"{what}, packed", describe(error), fix, needed_for))
    if shard is not None and run.thorough:
        rows.append(_verified(run, shard, what, needed_for))

    notes: list[str] = []

    def read() -> Row:
        with quiet():
            return _read(run, corpus, split, shard, needed_for, listed, notes)

    mend = MAKE_DEMO_AGAIN if is_demo(corpus.root) else None
    rows.append(examine(read, what, _data_fix(run, corpus), needed_for, mend))
    rows += [note(f"{what}, to know", message) for message in notes]
    return rows + (_odd(run, what, listed.get((corpus.name, split), [])) if run.thorough else [])


def _odd(run: Run, what: str, clips: Sequence[Clip]) -> list[Row]:
    """Poses that can be read and yet do not look like signing."""
    found = Oddities()
    readings = read_all(clips, run.config.TRAIN.NUM_WORKERS, keep=False)
    for reading, clip in zip(track(readings, f"checking {what}", len(clips)), clips):
        found.add(clip.name, reading.odd)
    return [note(f"{what}, poses", finding, Fix(cause)) for finding, cause in found.findings()]


def _verified(run: Run, shard: Shard, what: str, needed_for: str) -> Row:
    def verify() -> Row:
        shard.verify()
        return found(f"{what}, packed", f"{shard.folder}: the checksums agree", needed_for)

    fix = Fix(command=f"rm -r {shlex.quote(str(shard.folder))} && {_pack(run)}")
    return examine(verify, f"{what}, packed", fix, needed_for)


def _read(
    run: Run,
    corpus: Corpus,
    split: str,
    shard: Shard | None,
    needed_for: str,
    listed: Listed,
    notes: list[str],
) -> Row:
    """List the clips of a split; read them all if that was asked for.

    What is worth knowing beside that is added to ``notes``.
    """
    lengths = None if shard is None else shard.lengths
    if shard is not None:
        clips, dropped = shard, shard.dropped
        where = f"packed, {shard.manifest['frames']:,} frames"
    else:
        try:
            clips, dropped = build.clip_source(run.config, corpus, split).list_clips()
        except MissingAssetError as error:
            remedy = layout_named(corpus.layout).remedy  # the row has its own
            raise FileNotFoundError(str(error).removesuffix(remedy).rstrip(". ")) from error
        where = describe_sources(clips)
        if run.thorough:
            read = survey(clips, dropped, run.config.TRAIN.NUM_WORKERS)
            clips, where = read.clips, f"{where}, {read.lengths.sum():,} frames"
            lengths = read.lengths
    message = squeezed(clips, lengths, run.config.DATASET.H2S.MAX_MOTION_LEN)
    notes += [*dropped.notes, *([] if message is None else [message])]
    listed[corpus.name, split] = clips[:DEBUG_CLIPS] if run.config.DEBUG else clips
    return _clips_row(run, f"{corpus.name} {split}", clips, dropped, where, needed_for)


def _clips_row(
    run: Run,
    what: str,
    clips: Sequence[Clip],
    dropped: Drops,
    where: str,
    needed_for: str,
) -> Row:
    detail = f"{len(clips):,} {'signs' if what.endswith(SIGNS) else 'clips'}"
    detail += f", {where}" if where else ""
    reasons = [f"{count:,} {reason}" for reason, count in dropped.items() if count]
    detail += f"; left out: {', '.join(reasons)}" if reasons else ""
    if dropped.faults:
        detail += f"; damaged: {describe(ValueError(dropped.faults[0]))}"
        if run.thorough and not run.config.DATASET.CHECK_POSES and not isinstance(clips, Shard):
            fix = Fix("With DATASET.CHECK_POSES=true training leaves such clips out")
            return wrong(what, detail, fix, needed_for)
    few = len(clips) < sum(dropped.values())
    state = State.NOTE if few or dropped.faults else State.FOUND
    advice = "Most of the entries cannot be used: are all files there?" if few else ""
    return Row(what, state, detail, advice, needed_for=needed_for)


def _empty(run: Run, listed: Listed) -> list[Row]:
    """Training does not start where no corpus has a clip of one of its splits."""
    rows = []
    for split in dict.fromkeys((run.config.TRAIN.SPLIT, run.config.EVAL.SPLIT)):
        own = [clips for (_, other), clips in listed.items() if other == split]
        if own and not any(len(clips) for clips in own):
            fix = Fix("See above why its clips are left out")
            rows.append(wrong(f"split {split}", "no clip of it can be used", fix))
    return rows


def _data_fix(run: Run, corpus: Corpus) -> Fix:
    if is_demo(corpus.root):
        return MAKE_DEMO
    layout, h2s = layout_named(corpus.layout), run.config.DATASET.H2S
    roots = ("ROOT", "CSL_ROOT", "PHOENIX_ROOT")
    keys = [f"DATASET.H2S.{key}" for key in roots if h2s[key] == corpus.root]
    key = keys[0] if len(keys) == 1 else f"CORPORA.{corpus.name}.root"
    if layout.own:
        return Fix(
            f"Write {layout.annotations[0]} and poses as the README says of your own data into "
            f"{corpus.root}, or name their place with {key}=..."
        )
    return Fix(
        f"Put {layout.title} and its SMPL-X poses, which are released with the method, into "
        f"{corpus.root}, or name its place with {key}=...; from {layout.source}"
    )


def statistics(run: Run, listed: Listed) -> Row:
    """Mean and deviation of the poses; the generator's stages take those of the tokenizer."""
    h2s = run.config.DATASET.H2S
    paths = [Path(h2s.MEAN_PATH), Path(h2s.STD_PATH)]
    there = [path for path in paths if path.exists()]
    needed_for = TRAIN if run.trains_tokenizer else TOKENIZER
    fix, mend = MAKE_DEMO, MAKE_DEMO_AGAIN
    if not is_demo(paths[0]):
        more = ["--force"] if there else []
        fix = mend = Fix(
            "They come with the released poses; those of your own clips are computed by:",
            run.command("prepare.pose_statistics", *more),
        )

    where, own_split = " and ".join(map(str, paths)), run.config.TRAIN.SPLIT

    def look() -> Row:
        if len(there) < len(paths):
            gone = [str(path) for path in paths if path not in there]
            return missing("statistics", f"no {' and no '.join(gone)}", fix, needed_for)
        with quiet() as said:
            _, std = load_statistics(*paths, h2s.STD_FLOOR)
        if said:
            return note("statistics", said[0], fix)
        clips = [clip for (_, split), own in listed.items() if split == own_split for clip in own]
        if run.thorough and (odd := build.odd_statistics(run.config, clips)):
            detail = f"{where}: {'; '.join(odd)}; are they of other poses?"
            return note("statistics", detail, fix)
        still = int((std < CONSTANT).sum())
        if still:
            detail = f"{where}; {still} features never move, and are divided by almost 0"
            return note("statistics", detail, Fix("DATASET.H2S.STD_FLOOR=0.2 makes that safe"))
        return found("statistics", where, needed_for)

    return examine(look, "statistics", fix, needed_for, mend)
