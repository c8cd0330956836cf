"""Results on disk: ``metrics.json``, ``clips.csv`` and a table to read."""

from __future__ import annotations

import json
import logging
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from soke.evaluation.summary import Intervals, Scores, results_table
from soke.files import atomic_path

log = logging.getLogger(__name__)

_PACKAGES = ("torch", "lightning", "transformers", "numpy", "numba", "smplx", "sacrebleu")


def write_results(
    folder: Path,
    about: Mapping[str, object],
    scores: Scores,
    baselines: Mapping[str, Scores],
    rows: pd.DataFrame | None = None,
    bounds: Intervals | None = None,
    **more: object,
) -> None:
    """Write ``metrics.json``, ``table.txt`` and, where given, ``clips.csv``; log the table."""
    content = {
        **about,
        "scores": scores,
        **({"intervals": bounds} if bounds else {}),
        "baselines": baselines,
        **more,
    }
    with atomic_path(folder / "metrics.json") as path:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    table = results_table(about, scores, baselines, bounds)
    with atomic_path(folder / "table.txt") as path:
        path.write_text(table, encoding="utf-8")
    if rows is not None:
        with atomic_path(folder / "clips.csv") as path:
            rows.to_csv(path, index=False)
    log.info("results in %s\n%s", folder, table)


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
