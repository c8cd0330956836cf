"""The skeleton of every task: clips in portions, shared by processes, resumed after a kill."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import torch
from rich.progress import track

from soke.evaluation.journal import Journal, Record, missing_portions, portions
from soke.evaluation.references import Reference
from soke.evaluation.results import claim_predictions, report_scores, warn_of_others

#: A system's name and the seed (or number) of its run.
Key = tuple[str, int]
#: From the number of a portion and the places of its clips to what was found for them.
Measure = Callable[[int, Sequence[int]], Record]
Extra = Callable[[Sequence[Record]], Mapping[str, object]]


def nothing(records: Sequence[Record]) -> dict[str, object]:
    return {}


@dataclass(frozen=True)
class Evaluation:
    """What is measured, on which clips, and where the results go.

    Args:
        folder: the results folder.
        metadata: what ``metrics.json`` says about the run.
        fingerprint: everything that the numbers depend on.
        references: one per clip.
        measures: how each system is measured. The first is the system under test; others of its
            name are further runs of it, the rest are baselines.
        portion_size: clips that are measured together.
        seeded: the run of a key is the seed of the system under test.
        source: what saved predictions come from. Those of another source are removed; None leaves
            the predictions in the folder alone.
        saves_predictions: this evaluation saves them.
        extra: further metadata, computed from all records.
        finish: called once this process has measured its portions.
    """

    folder: Path
    metadata: Mapping[str, object]
    fingerprint: Mapping[str, object]
    references: Sequence[Reference]
    measures: Mapping[Key, Measure]
    portion_size: int
    seeded: bool = False
    source: Mapping[str, object] | None = None
    saves_predictions: bool = False
    extra: Extra = nothing
    finish: Callable[[], None] | None = None


def run_distributed(evaluation: Evaluation, fabric: L.Fabric) -> None:
    """Measure what an interrupted evaluation has left to do, then write the results.

    Every process measures its share; the first one writes. Records of an interrupted evaluation
    are kept if they have the same fingerprint.

    Raises ``ValueError`` if another evaluation writes to the same results folder.
    """
    journal = Journal(evaluation.folder / "work", fabric.global_rank)
    with ExitStack() as lock:
        error = fabric.broadcast(
            _begin(evaluation, journal, lock) if fabric.is_global_zero else None
        )
        if error:
            raise ValueError(error)
        before = journal.records()
        fabric.barrier()  # every process has read them before any of them writes
        measure_portions(evaluation, journal, before, fabric.global_rank, fabric.world_size)
        if evaluation.finish is not None:
            evaluation.finish()
        fabric.barrier()
        if fabric.is_global_zero:
            records = journal.records()
            metadata = {**evaluation.metadata, **evaluation.extra(records)}
            report_scores(
                evaluation.folder,
                metadata,
                list(evaluation.measures),
                evaluation.references,
                records,
                evaluation.seeded,
            )
            journal.close()


def _begin(evaluation: Evaluation, journal: Journal, lock: ExitStack) -> str | None:
    """Lock the results folder and prepare it. Returns what is wrong, if anything."""
    try:
        lock.enter_context(journal.locked())
    except ValueError as error:
        return str(error)
    if not journal.open(evaluation.fingerprint):
        warn_of_others(evaluation.folder, evaluation.metadata)
    if evaluation.source is not None:
        claim_predictions(evaluation.folder, evaluation.source, evaluation.saves_predictions)
    return None


@torch.inference_mode()
def measure_portions(
    evaluation: Evaluation,
    journal: Journal,
    before: Sequence[Record] = (),
    rank: int = 0,
    world: int = 1,
) -> None:
    """Append a record to ``journal`` for every portion and system that ``before`` lacks.

    A process takes every ``world``-th portion that is left, and measures all systems on it before
    the next one, so that they can share its references.
    """
    cut = portions(len(evaluation.references), evaluation.portion_size)
    left = set(missing_portions(before, list(evaluation.measures), len(cut)))
    mine = sorted({portion for _, _, portion in left})[rank::world]
    for portion in track(mine, "scoring", disable=rank != 0 or not mine):
        for key, measure in evaluation.measures.items():
            if (*key, portion) in left:
                journal.append(measure(portion, cut[portion]))
