"""Results on disk: ``metrics.json``, ``clips.csv`` and a table to read."""

from __future__ import annotations

import json
import logging
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from soke.evaluation.journal import Record
from soke.evaluation.references import Reference
from soke.evaluation.summary import (
    Intervals,
    Scores,
    intervals,
    named,
    over_runs,
    results_table,
    score_list,
    summarize,
)
from soke.files import atomic_path

log = logging.getLogger(__name__)

METRICS = "metrics.json"
TABLE = "table.txt"
CLIPS = "clips.csv"
_PACKAGES = ("torch", "lightning", "transformers", "numpy", "numba", "smplx", "sacrebleu")
#: What results are about: where one of these differs, they are other results.
_SUBJECT = (
    "system split checkpoint_sha256 tokenizer_sha256 predictions_sha256 body_sha256"
).split()
#: In the folder of predictions: says what they come from.
_SOURCE = "source.json"


def report_scores(
    folder: Path,
    metadata: Mapping[str, object],
    systems: Sequence[tuple[str, int]],
    references: Sequence[Reference],
    records: Sequence[Record],
    seeded: bool = False,
) -> None:
    """Summarise all records and write the results.

    The first of ``systems`` (name and run) is the one under test, the others of its name are
    further runs of it. ``seeded``: a run's number is its seed. Raises like `clip_table`.
    """
    rows = clip_table(records, systems, references)
    scores = score_list(rows.columns)
    tables = {name: rows[rows["system"] == name] for name, _ in systems}
    summaries = {name: summarize(table, scores) for name, table in tables.items()}
    bounds = {name: intervals(table, scores) for name, table in tables.items()}
    tested = systems[0][0]
    own_summary = summaries.pop(tested)
    own_bounds = bounds.pop(tested)
    runs: list[dict[str, Any]] = []
    for run, table in tables[tested].groupby("run", sort=False):
        seed = {"seed": int(run)} if seeded else {}
        runs.append({**seed, "scores": summarize(table, scores)})
    more = {
        "units": {score.name: score.unit for score in scores if score.unit},
        "named": named(own_summary),
        "runs": runs,
        "baseline_intervals": bounds,
        "timing": timing(records, tested),
        "clips": len(references),
    }
    if len(runs) > 1:
        more["run_intervals"] = over_runs([run["scores"] for run in runs])
    # Columns that some system lacks come last.
    full = rows.columns[rows.notna().all()]
    rows = rows[[*full, *rows.columns.difference(full, sort=False)]]
    write_results(folder, metadata, own_summary, summaries, rows, own_bounds, **more)


def clip_table(
    records: Sequence[Record], systems: Sequence[tuple[str, int]], references: Sequence[Reference]
) -> pd.DataFrame:
    """One row per system and clip, system by system in the order of ``references``.

    Raises ``ValueError`` that names a clip which has no row or several.
    """
    keys = ["system", "run", "corpus", "name"]
    table = pd.DataFrame(
        {"system": record.system, "run": record.run, **row}
        for key in systems
        for record in records
        if (record.system, record.run) == key
        for row in record.rows
    ).set_index(keys)
    for system, _, *clip in table.index[table.index.duplicated()]:
        raise ValueError(f"{'/'.join(clip)} was scored twice for {system}")
    found = set(table.index)
    wanted = [(*key, clip.corpus, clip.name) for key in systems for clip in references]
    absent = [key for key in wanted if key not in found]
    if absent:
        system, run, *_ = absent[0]
        names = [f"{corpus}/{name}" for *key, corpus, name in absent if key == [system, run]]
        raise ValueError(f"{len(names)} clips have no score for {system}, run {run}: {names[:3]}")
    return table.loc[wanted].reset_index()


def timing(records: Sequence[Record], system: str) -> dict[str, float]:
    """Seconds per clip by stage of a system, and frames per second if it generated any."""
    chosen = [record for record in records if record.system == system]
    clips = sum(len(record.rows) for record in chosen)
    stages = dict.fromkeys(stage for record in chosen for stage in record.seconds)
    seconds = {s: sum(record.seconds.get(s, 0.0) for record in chosen) for s in stages}
    found = {stage: value / clips for stage, value in seconds.items()}
    if "decoding" in stages:
        found["frames_per_second"] = sum(r.frames for r in chosen) / sum(seconds.values())
    return found


def write_results(
    folder: Path,
    metadata: Mapping[str, object],
    scores: Scores,
    baselines: Mapping[str, Scores],
    rows: pd.DataFrame | None = None,
    bounds: Intervals | None = None,
    **more: object,
) -> None:
    """Write ``metrics.json``, ``table.txt`` and, where given, ``clips.csv``; log the table.

    ``metrics.json`` comes last: once it exists, so do the others.
    """
    content = {
        **metadata,
        "scores": scores,
        **({"intervals": bounds} if bounds else {}),
        "baselines": baselines,
        **more,
    }
    table = results_table(metadata, scores, baselines, bounds)
    if rows is not None:
        with atomic_path(folder / CLIPS) as path:
            rows.to_csv(path, index=False)
    with atomic_path(folder / TABLE) as path:
        path.write_text(table, encoding="utf-8")
    with atomic_path(folder / METRICS) as path:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    log.info("results in %s\n%s", folder, table)


def warn_of_others(folder: Path, metadata: Mapping[str, object]) -> None:
    """Warn if ``folder`` holds results of something else, which will be overwritten."""
    try:
        old = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        differ = [key for key in _SUBJECT if old.get(key) != metadata.get(key)]
    except (OSError, ValueError, AttributeError):  # none, or none that can be read
        return
    if differ:
        names = ", ".join(key.removesuffix("_sha256") for key in differ)
        log.warning(
            "%s holds results of something else (other %s) and is written over: NAME=... keeps it",
            folder,
            names,
        )


def claim_predictions(folder: Path, source: Mapping[str, object], saving: bool) -> None:
    """Remove predictions that an evaluation with another ``source`` has left in ``folder``.

    They would be shown and scored together with the new ones. Files of unknown origin are left
    alone, with a warning. With ``saving`` the folder is marked as holding those of ``source``.
    """
    predictions = folder / "predictions"
    mark = predictions / _SOURCE
    text = json.dumps(source, sort_keys=True, default=str)
    if mark.exists() and mark.read_text(encoding="utf-8") != text:
        log.warning("%s was of another checkpoint or other settings: removed", predictions)
        shutil.rmtree(predictions)
    elif not mark.exists() and predictions.exists():
        log.warning("%s does not say what its predictions come from: left there", predictions)
    if saving:
        with atomic_path(mark) as path:
            path.write_text(text, encoding="utf-8")


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that the numbers come from."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit of this code, with "+" if tracked files were changed; None without git."""
    root = Path(__file__).parents[2]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root.resolve():
            return None
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
