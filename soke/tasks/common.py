"""What the tasks share: the results folder, the clips, processes, and what is said of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import lightning as L
from omegaconf import DictConfig

from soke import assemble as build
from soke.body import BodyModel
from soke.body.files import STAND_IN
from soke.config import plain
from soke.data.clips import Clips
from soke.evaluation.journal import Journal, Record
from soke.evaluation.results import claim_predictions, commit, versions, warn_of_others
from soke.files import checksum

#: Sections of the configuration that the numbers do not depend on, and keys of others.
_IRRELEVANT = ("NAME", "ACCELERATOR", "DEVICE", "NUM_NODES", "NUM_THREADS", "LOGGER", "OUTPUT",
               "RENDER", "EVAL", "LOSS")  # fmt: skip
_IRRELEVANT_KEYS = {"TEST": ("NUM_WORKERS", "FOLDER", "CHECKPOINTS"), "DATASET": ("CACHE",)}
#: All of TRAIN that matters: which template prompts take, and what baselines choose from.
_TRAIN = ("STAGE", "SPLIT")


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
        "body_sha256": checksum(body.path),
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
    write: Callable[[Sequence[Record]], None],
    predicts: bool = False,
) -> None:
    """Let every process do its part of ``work``, then the first one ``write`` all records.

    ``work`` gets the journal and what an interrupted evaluation has left in it, which is kept if
    it is of the same models, settings and ``clips``. ``predicts`` says that the predictions in the
    results folder come from this evaluation: those of another one are removed.

    Raises ``ValueError`` where another evaluation writes to the same results folder.
    """
    folder = results_folder(config)
    journal, basis = Journal(folder / "work", fabric.global_rank), _basis(described, clips)

    def begin() -> str | None:
        try:
            alone.enter_context(journal.locked())
        except ValueError as error:
            return str(error)
        if not journal.open(basis):
            warn_of_others(folder, described)
        if predicts:
            claim_predictions(folder, _made_by(basis), config.TEST.SAVE_PREDICTIONS)
        return None

    with ExitStack() as alone:
        trouble = fabric.broadcast(begin() if fabric.is_global_zero else None)
        if trouble:
            raise ValueError(trouble)
        before = journal.records()
        fabric.barrier()  # every process has read them before any of them writes
        work(journal, before)
        fabric.barrier()
        if fabric.is_global_zero:
            write(journal.records())
            journal.close()


def _basis(described: Mapping[str, object], clips: Sequence[object]) -> dict[str, object]:
    """Everything that the numbers depend on."""
    configuration = described["configuration"]
    assert isinstance(configuration, dict)
    kept = {key: value for key, value in configuration.items() if key not in _IRRELEVANT}
    for section, keys in _IRRELEVANT_KEYS.items():
        kept[section] = {k: v for k, v in configuration[section].items() if k not in keys}
    kept["TRAIN"] = {key: configuration["TRAIN"][key] for key in _TRAIN}
    return {**described, "configuration": kept, "clips": [str(clip) for clip in clips]}


def _made_by(basis: Mapping[str, object]) -> dict[str, object]:
    """What predictions come from: the basis without what they are measured by."""
    configuration = basis["configuration"]
    assert isinstance(configuration, dict)
    measured = ("METRIC", "TEST", "BODY")
    kept = {key: value for key, value in configuration.items() if key not in measured}
    models = ("checkpoint_sha256", "tokenizer_sha256", "retrieval_sha256", "split", "seed")
    return {"configuration": kept, **{key: basis.get(key) for key in models}}
