"""Results on disk: ``metrics.json``, ``clips.csv`` and a table to read."""

from __future__ import annotations

import json
import logging
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from soke.evaluation.summary import Intervals, Scores, results_table
from soke.files import atomic_path

log = logging.getLogger(__name__)

METRICS, TABLE, CLIPS = "metrics.json", "table.txt", "clips.csv"
_PACKAGES = ("torch", "lightning", "transformers", "numpy", "numba", "smplx", "sacrebleu")
#: What results are of: where one of these differs, they are other results.
_SUBJECT = ("system", "split", "checkpoint_sha256", "tokenizer_sha256", "predictions_sha256",
            "body_sha256")  # fmt: skip
#: In the folder of predictions: what they come from.
_SOURCE = "source.json"


def write_results(
    folder: Path,
    about: Mapping[str, object],
    scores: Scores,
    baselines: Mapping[str, Scores],
    rows: pd.DataFrame | None = None,
    bounds: Intervals | None = None,
    **more: object,
) -> None:
    """Write ``metrics.json``, ``table.txt`` and, where given, ``clips.csv``; log the table.

    ``metrics.json`` comes last: once it is there, the others are.
    """
    content = {
        **about,
        "scores": scores,
        **({"intervals": bounds} if bounds else {}),
        "baselines": baselines,
        **more,
    }
    table = results_table(about, scores, baselines, bounds)
    if rows is not None:
        with atomic_path(folder / CLIPS) as path:
            rows.to_csv(path, index=False)
    with atomic_path(folder / TABLE) as path:
        path.write_text(table, encoding="utf-8")
    with atomic_path(folder / METRICS) as path:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    log.info("results in %s\n%s", folder, table)


def warn_of_others(folder: Path, about: Mapping[str, object]) -> None:
    """Warn if ``folder`` holds results of something else, which will be written over."""
    try:
        old = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        differ = [key for key in _SUBJECT if old.get(key) != about.get(key)]
    except (OSError, ValueError, AttributeError):  # none, or none that can be read
        return
    if differ:
        log.warning(
            "%s holds results of something else (other %s) and is written over: NAME=... keeps it",
            folder, ", ".join(key.removesuffix("_sha256") for key in differ),
        )  # fmt: skip


def claim_predictions(folder: Path, source: Mapping[str, object], saving: bool) -> None:
    """Remove predictions that an evaluation with another ``source`` has left in ``folder``.

    They would be shown and scored together with the new ones. Files that we did not write are left
    alone, with a warning. With ``saving`` the folder is marked as holding those of ``source``.
    """
    predictions = folder / "predictions"
    mark, text = predictions / _SOURCE, json.dumps(source, sort_keys=True, default=str)
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
    """The commit of the code that runs, with "+" where files were changed; None without git."""
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
