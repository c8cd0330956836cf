"""Token files and sign dictionaries: what the generator's training reads in place of poses."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from soke import assemble as build
from soke.cli.doctor.data import Listed
from soke.cli.doctor.rows import Fix, Row, describe, examine, found, missing, note, quiet, wrong
from soke.cli.doctor.run import Run
from soke.data.corpora import Corpus
from soke.data.listing.annotations import Clip, Drops
from soke.data.scan import survey
from soke.data.store import Shard
from soke.data.tokens import check_folder, read_tokens, token_path
from soke.files import checksum
from soke.retrieval import SignDictionary, check_origin

#: Clips without tokens that are read to learn whether they are damaged; more are not all damaged.
_FEW = 100


def tokens(run: Run, listed: Listed) -> list[Row]:
    """Where the tokens come from, and how many clips have theirs."""
    folder = build.code_folder(run.config)
    make = Fix("With the tokenizer's checkpoint in its place:", run.command("get_motion_code"))
    if not folder.is_dir():
        return [missing("token files", f"no folder {folder}", make)]
    rows = [_origin(run, folder)]
    for corpus in run.corpora.values():
        what = f"tokens of {corpus.name}"
        rows.append(examine(lambda c=corpus: _of_corpus(run, folder, c, listed, make), what, make))
    return rows


def _origin(run: Run, folder: Path) -> Row:
    """Whether the folder's tokens are those of the configured tokenizer."""
    again = Fix(
        "They cannot be used with this tokenizer. Write elsewhere with DATASET.CODE_PATH=..., or "
        "replace them:",
        f"rm -r {shlex.quote(str(folder))} && {run.command('get_motion_code')}",
    )

    def look() -> Row:
        checkpoint = Path(run.config.TRAIN.PRETRAINED_VAE)
        if not checkpoint.exists():
            detail = f"{folder}; which tokenizer made them is compared once it is there"
            return note("token files", detail)
        if not check_folder(folder, checksum(checkpoint), run.parts):
            return note("token files", f"{folder} does not say which tokenizer made them")
        return found("token files", f"{folder}, made by {checkpoint}")

    return examine(look, "token files", again)


def _of_corpus(run: Run, folder: Path, corpus: Corpus, listed: Listed, make: Fix) -> Row:
    what, config = f"tokens of {corpus.name}", run.config
    splits = dict.fromkeys((config.TRAIN.SPLIT, config.EVAL.SPLIT))
    own = {split: listed.get((corpus.name, split)) for split in splits}
    unknown = [split for split, clips in own.items() if clips is None]
    if unknown:
        detail = f"cannot be counted before the clips of {', '.join(unknown)} are there"
        return note(what, detail)
    counts, without, faults = [], 0, {}
    for split, clips in own.items():
        lacking, there = [], []
        for clip in clips:
            path = token_path(folder, clip.corpus, clip.name)
            (there.append(path) if path.exists() else lacking.append(clip))
        counts.append(f"{split} {len(there):,} of {len(clips):,}")
        without += len(_usable(run, clips, lacking))
        faults |= _faults(there, run)
    if faults:
        paths = [str(path) for path in faults] if len(faults) < 4 else [str(folder / corpus.name)]
        again = f"rm -r {shlex.join(paths)} && {make.command}"
        first = next(iter(faults.values()))
        return wrong(what, f"{len(faults):,} damaged; {first}", Fix(command=again))
    detail = f"clips with tokens: {', '.join(counts)}"
    return missing(what, detail, make) if without else found(what, detail)


def _faults(paths: Sequence[Path], run: Run) -> dict[Path, str]:
    """What is wrong with token files; where the first is sound, only a thorough run reads on."""
    faults = {}
    for path in paths:
        try:
            read_tokens(path, run.parts)
        except Exception as error:  # numpy raises many kinds for a damaged file
            message = describe(error)
            faults[path] = message if str(path) in message else f"{path}: {message}"
        if not faults and not run.thorough:
            break
    return faults


def _usable(run: Run, clips: Sequence[Clip], lacking: list[Clip]) -> list[Clip]:
    """Of clips without tokens those that should have them: damaged ones never do."""
    if isinstance(clips, Shard) or len(lacking) > _FEW or not run.config.DATASET.CHECK_POSES:
        return lacking
    with quiet():
        return survey(lacking, Drops()).clips


def dictionaries(run: Run) -> list[Row]:
    """The dictionaries of the chosen corpora, each once."""
    if not run.config.RETRIEVAL.MAX_KEYWORDS:
        return [note("sign dictionary", "not used: RETRIEVAL.MAX_KEYWORDS is 0")]
    users: dict[str | None, list[Corpus]] = {}
    for corpus in run.corpora.values():
        users.setdefault(corpus.dictionary, []).append(corpus)
    return [_dictionary(run, path, corpora) for path, corpora in users.items()]


def _dictionary(run: Run, path: str | None, corpora: list[Corpus]) -> Row:
    what = "dictionary"
    names = ", ".join(corpus.name for corpus in corpora)
    if path is None:
        return note(what, f"none for {names}: no signs are retrieved")
    fix, mend = _dictionary_fixes(run, path, any(corpus.signs is not None for corpus in corpora))

    def look() -> Row:
        if not Path(path).exists():
            return missing(what, f"no {path} (for {names})", fix)
        signs = SignDictionary.load(path, run.parts)
        if not len(signs):
            return note(what, f"{path} is empty (for {names})", mend)
        detail = f"{path}: {len(signs):,} signs (for {names})"
        checkpoint = Path(run.config.TRAIN.PRETRAINED_VAE)
        if run.config.DEBUG or not checkpoint.exists():  # a trial takes any dictionary
            return found(what, detail)
        if not check_origin(path, checksum(checkpoint), run.parts):
            return note(what, f"{detail}; it does not say which tokenizer made it")
        return found(what, f"{detail}, made by {checkpoint}")

    return examine(look, what, fix, mend=mend)


def _dictionary_fixes(run: Run, path: str, from_signs: bool) -> tuple[Fix, Fix]:
    """How a dictionary that is missing, and one that cannot be used, is mended."""
    do_without = "or do without it: RETRIEVAL.MAX_KEYWORDS=0"
    if from_signs:
        advice = f"Made from the isolated signs ({do_without}):"
        again = Fix(
            "Keep it for its own run and name another with CORPORA.<name>.dictionary=..., "
            f"or replace it ({do_without}):",
            run.command("prepare.build_dictionary", "--replace_dictionary"),
        )
        return Fix(advice, run.command("prepare.build_dictionary")), again
    fix = Fix(
        f"word2code.json comes with the method: put it at {path}; or list isolated signs in "
        "CORPORA.<name>.signs and make one with `python -m prepare.build_dictionary --cfg ...`; "
        f"{do_without}"
    )
    return fix, fix
