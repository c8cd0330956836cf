"""Scoring systems clip by clip, shared by processes and resumed after being killed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
from rich.progress import track

from soke.evaluation.journal import Journal, Record, missing_portions, portions
from soke.evaluation.references import Reference, Signing, System
from soke.evaluation.scorer import ClipScorer, Truth


def score_systems(
    systems: Sequence[System],
    scorer: ClipScorer,
    journal: Journal,
    size: int,
    rank: int = 0,
    world: int = 1,
    before: Sequence[Record] = (),
    keep: Callable[[System, Truth, list[Signing]], None] | None = None,
) -> None:
    """Add a record to ``journal`` for every portion of ``size`` clips that ``before`` lacks.

    Of the portions of clips, a process of ``world`` takes every ``world``-th; all systems are
    scored on a portion while its references are at hand. ``keep`` is told what was signed before
    its record is made.
    """
    cut = portions(len(scorer.references), size)
    keys = missing_portions(before, [system.key for system in systems], len(cut))
    wanted = sorted({portion for _, _, portion in keys})[rank::world]
    known, left = {system.key: system for system in systems}, set(keys)
    for portion in track(wanted, "scoring", disable=rank != 0 or not wanted):
        truth = scorer.truth(cut[portion])
        for key in known:
            if (*key, portion) in left:
                journal.append(_score(known[key], portion, scorer, truth, keep))


def _score(
    system: System,
    portion: int,
    scorer: ClipScorer,
    truth: Truth,
    keep: Callable[[System, Truth, list[Signing]], None] | None,
) -> Record:
    scorer.watch.take()
    signings = system.sign(truth.places)
    scorer.watch.frames += sum(len(signing.motion) for signing in signings)
    rows = scorer.score(truth, signings)
    if keep is not None:
        keep(system, truth, signings)
    seconds, frames = scorer.watch.take()
    return Record(system.name, system.run, portion, rows, seconds, frames)


def clip_table(
    records: Sequence[Record], systems: Sequence[tuple[str, int]], references: Sequence[Reference]
) -> pd.DataFrame:
    """All rows, system by system in the order of ``references``.

    Raises ``ValueError`` that names a clip which has no row or several.
    """
    rows: dict[tuple[str, int], dict[tuple[str, str], dict[str, object]]] = {
        key: {} for key in systems
    }
    for record in records:
        found = rows.get((record.system, record.run), {})
        for row in record.rows:
            clip = str(row["corpus"]), str(row["name"])
            if clip in found:
                raise ValueError(f"{'/'.join(clip)} was scored twice for {record.system}")
            found[clip] = {"system": record.system, "run": record.run, **row}
    for (system, run), found in rows.items():
        absent = [r for r in references if (r.corpus, r.name) not in found]
        if absent:
            names = [f"{r.corpus}/{r.name}" for r in absent[:3]]
            raise ValueError(f"{len(absent)} clips have no score for {system}, run {run}: {names}")
    return pd.DataFrame(
        rows[key][reference.corpus, reference.name] for key in systems for reference in references
    )


def timing(records: Sequence[Record], system: str) -> dict[str, float]:
    """Seconds a clip by stage and, if it was generated, frames a second, of a system's records."""
    chosen = [record for record in records if record.system == system]
    clips = sum(len(record.rows) for record in chosen)
    stages = dict.fromkeys(stage for record in chosen for stage in record.seconds)
    seconds = {s: sum(record.seconds.get(s, 0.0) for record in chosen) for s in stages}
    whole = sum(seconds.values())
    frames = sum(record.frames for record in chosen)
    a_clip = {stage: value / clips for stage, value in seconds.items()}
    generated = "decoding" in stages
    return {**a_clip, **({"frames_per_second": frames / whole} if generated else {})}
