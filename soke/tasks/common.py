"""What the tasks share: the results folder, the clips, processes, and what is said of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import lightning as L
from omegaconf import DictConfig

from soke import build
from soke.body import BodyModel
from soke.body.files import STAND_IN
from soke.config import plain
from soke.data.clips import Clips
from soke.evaluation.journal import Journal, Record
from soke.evaluation.results import commit, versions
from soke.files import checksum

#: Sections of the configuration that the numbers do not depend on.
_IRRELEVANT = ("ACCELERATOR", "DEVICE", "NUM_NODES", "NUM_THREADS", "LOGGER", "OUTPUT", "RENDER",
               "TRAIN", "EVAL")  # fmt: skip
_IRRELEVANT_TEST = ("NUM_WORKERS", "FOLDER", "CHECKPOINTS")


def results_folder(config: DictConfig) -> Path:
    return Path(config.TEST.FOLDER) / config.NAME


def test_clips(config: DictConfig) -> Clips:
    """The clips of the test split, reported beside the results."""
    clips = build.read_clips(config, config.TEST.SPLIT)
    build.report_data(results_folder(config), clips)
    return clips


def about(config: DictConfig, body: BodyModel, system: str, **files: Path) -> dict[str, object]:
    """What the numbers are of; ``files`` are checkpoints by what they are called."""
    named = {name: str(path) for name, path in files.items()}
    sums = {f"{name}_sha256": checksum(path) for name, path in files.items()}
    return {
        "name": config.NAME,
        "system": system,
        "split": config.TEST.SPLIT,
        "seed": config.SEED_VALUE,
        "body": body.name,
        "stand_in": body.path == STAND_IN,
        **named,
        **sums,
        "commit": commit(),
        "versions": versions(),
        "configuration": plain(config),
    }


def share(
    config: DictConfig,
    fabric: L.Fabric,
    described: Mapping[str, object],
    clips: Sequence[object],
    work: Callable[[Journal, Sequence[Record]], None],
) -> list[Record] | None:
    """Let every process do its part of ``work``; all records on the first process, None elsewhere.

    ``work`` gets the journal and what an interrupted evaluation has left in it.
    """
    journal = Journal(results_folder(config) / "work", fabric.global_rank)
    basis = {key: value for key, value in described.items() if key != "versions"}
    basis["configuration"] = _relevant(described["configuration"])
    basis["clips"] = [str(clip) for clip in clips]
    if fabric.is_global_zero:
        journal.open(basis)
    fabric.barrier()
    before = journal.records()
    fabric.barrier()  # every process has read them before any of them writes
    work(journal, before)
    fabric.barrier()
    return journal.records() if fabric.is_global_zero else None


def finish(config: DictConfig) -> None:
    """Remove what only an interrupted evaluation needs, after its results were written."""
    Journal(results_folder(config) / "work").close()


def _relevant(configuration: object) -> dict[str, object]:
    assert isinstance(configuration, dict)
    kept = {key: value for key, value in configuration.items() if key not in _IRRELEVANT}
    kept["TEST"] = {k: v for k, v in configuration["TEST"].items() if k not in _IRRELEVANT_TEST}
    kept["model"] = configuration["model"]
    return kept
