"""Reads what a test run has written, for comparisons and reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from soke.evaluation.summary import score_list
from soke.files import require
from soke.metrics.scores import CLIP_KEYS, Score

#: The keys that every `metrics.json` has, and those of a row of `clips.csv`.
_ABOUT = ("name", "system", "split", "body", "stand_in", "scores")
_ROW_KEYS = ["system", "run", *CLIP_KEYS]
_TEST = "Run `python -m test` first"


@dataclass(frozen=True)
class Results:
    """A folder ``results/<NAME>``: the content of `metrics.json` and the table `clips.csv`."""

    folder: Path
    about: Mapping[str, Any]
    clips: pd.DataFrame

    @property
    def name(self) -> str:
        return str(self.about["name"])

    @property
    def system(self) -> str:
        """The system that was tested; the others are baselines."""
        return str(self.about["system"])

    @property
    def systems(self) -> list[str]:
        """The tested system and the baselines."""
        return [self.system, *(self.about.get("baselines") or {})]

    def rows(self, system: str | None = None) -> pd.DataFrame:
        """The rows of a system, by default the tested one, of all its runs."""
        return self.clips[self.clips["system"] == (system or self.system)]

    def scores(self) -> dict[str, Score]:
        """Every score that can be computed from the clips of the tested system, by its name."""
        columns = self.rows().dropna(axis="columns", how="all").columns
        return {score.name: score for score in score_list(columns)}

    def score(
        self, system: str, corpus: str, name: str
    ) -> tuple[float | None, Sequence[float] | None]:
        """A system's score and its 95 % interval (low, high), None where they are not known."""
        if system == self.system:
            scores = self.about["scores"]
            intervals = self.about.get("intervals")
        else:
            scores = self.about["baselines"][system]
            intervals = (self.about.get("baseline_intervals") or {}).get(system)
        return scores.get(corpus, {}).get(name), (intervals or {}).get(corpus, {}).get(name)

    def setting(self, *keys: str) -> Any:
        """A value of the resolved configuration, None where it is not known."""
        value: Any = self.about.get("configuration")
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


def read_results(folder: str | Path) -> Results:
    """Read the results of a run.

    Raises `soke.files.MissingAssetError` where there are none. Raises ``ValueError``, which names
    the file, for results that are damaged, of an earlier version, or with a clip twice.
    """
    folder = require(folder, "The folder of results", _TEST)
    metrics = require(folder / "metrics.json", "The results", _TEST)
    table = require(folder / "clips.csv", "The results of the clips", _TEST)
    try:
        about = json.loads(metrics.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{metrics} is damaged ({error}): run `python -m test` again") from None
    missing = [key for key in _ABOUT if not isinstance(about, dict) or key not in about]
    if missing:
        raise ValueError(
            f"{metrics} does not say {', '.join(missing)}; an earlier version has written it: run "
            "`python -m test` again"
        )
    return Results(folder, about, _read_clips(table))


def _read_clips(path: Path) -> pd.DataFrame:
    texts = dict.fromkeys((*CLIP_KEYS, "system", "text", "keywords", "read", "translation"), str)
    try:
        # A text may be "null" or "nan"; only an empty cell is none.
        clips = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} is damaged ({error}): run `python -m test` again") from None
    missing = [key for key in _ROW_KEYS if key not in clips]
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}: run `python -m test` again")
    twice = clips[clips.duplicated(_ROW_KEYS)]
    if len(twice):
        first = twice.iloc[0]
        raise ValueError(
            f"{path} has {first['corpus']}/{first['name']} twice for the system "
            f"{first['system']!r}, run {first['run']}: run `python -m test` again"
        )
    return clips
