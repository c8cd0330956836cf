"""What the results of an evaluation say about it, and what they depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from soke.assemble.run import Run
from soke.body import BodyModel
from soke.body.model_files import STAND_IN
from soke.config import plain
from soke.evaluation.results import commit, versions
from soke.files import checksum

#: Sections of the configuration that the numbers do not depend on, and keys of other sections.
_IRRELEVANT = (
    "NAME ACCELERATOR DEVICE NUM_NODES NUM_THREADS LOGGER OUTPUT RENDER EVAL LOSS"
).split()
_IRRELEVANT_KEYS = {"TEST": ("NUM_WORKERS", "FOLDER", "CHECKPOINTS"), "DATASET": ("CACHE",)}
#: All of TRAIN that matters: which template prompts take, and what baselines choose from.
_TRAIN = ("STAGE", "SPLIT")
#: How motions are measured, not where they come from.
_MEASURING = ("METRIC", "TEST", "BODY")
_MODELS = ("checkpoint_sha256", "tokenizer_sha256", "retrieval_sha256", "split", "seed")


def run_metadata(run: Run, body: BodyModel, system: str, **files: Path) -> dict[str, object]:
    """What ``metrics.json`` says about a run; ``files`` are checkpoints by their role."""
    named = {name: str(path) for name, path in files.items()}
    sums = {f"{name}_sha256": checksum(path) for name, path in files.items()}
    return {
        "name": run.NAME,
        "system": system,
        "split": run.TEST.SPLIT,
        "seed": run.SEED_VALUE,
        "body": body.name,
        "body_sha256": checksum(body.path),
        "stand_in": body.path == STAND_IN,
        **named,
        **sums,
        "commit": commit(),
        "versions": versions(),
        "configuration": plain(run.config),
    }


def fingerprint(metadata: Mapping[str, object], clips: Sequence[object]) -> dict[str, object]:
    """Everything that the numbers depend on."""
    kept = _relevant(metadata)
    return {**metadata, "configuration": kept, "clips": [str(clip) for clip in clips]}


def prediction_source(metadata: Mapping[str, object]) -> dict[str, object]:
    """What predictions come from: the models and settings, but not how motions are measured."""
    kept = {key: value for key, value in _relevant(metadata).items() if key not in _MEASURING}
    return {"configuration": kept, **{key: metadata.get(key) for key in _MODELS}}


def _relevant(metadata: Mapping[str, object]) -> dict[str, object]:
    """The configuration without what no number depends on."""
    configuration = metadata["configuration"]
    assert isinstance(configuration, dict)
    kept = {key: value for key, value in configuration.items() if key not in _IRRELEVANT}
    for section, keys in _IRRELEVANT_KEYS.items():
        kept[section] = {k: v for k, v in configuration[section].items() if k not in keys}
    kept["TRAIN"] = {key: configuration["TRAIN"][key] for key in _TRAIN}
    return kept
