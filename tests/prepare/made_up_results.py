"""Results folders of made-up numbers, written as a test run writes them."""

from pathlib import Path

import numpy as np
import pandas as pd

from soke.body import STAND_IN, body_name
from soke.data.predictions import Prediction, prediction_path, write_prediction
from soke.evaluation.results import write_results
from soke.evaluation.summary import intervals, score_list, summarize
from soke.metrics.text_scores import text_statistics
from soke.metrics.token_scores import token_statistics

PARTS = ["body", "lhand", "rhand"]
CORPORA = {"how2sign": "en", "csl": "zh", "phoenix": "de"}
TEXTS = {
    "how2sign": "We talk about the rain in the north.",
    "csl": "今天我们去北京开会。",
    "phoenix": "Am Sonntag regnet es im Süden häufig.",
}
#: Error in metres of each system, beside which clips differ.
LEVELS = {"generated": 5.0, "random_clip": 11.0, "nearest_text": 8.0, "ground_truth": 0.0}


def rows_of(system, level, clips, corpora, seed, run=0, texts=None):
    rng = np.random.default_rng([seed, run, *map(ord, system)])
    # Clips are hard or easy for every system alike.
    hard = np.random.default_rng(7).gamma(20, 0.05, (len(corpora), clips))
    rows = []
    for c, corpus in enumerate(corpora):
        for i in range(clips):
            text = (texts or TEXTS)[corpus]
            errors = level * hard[c, i] * rng.gamma(60, 1 / 60, 8)
            names = [f"{kind}_{p}" for kind in ("DTW_JPE", "DTW_PA_JPE") for p in (*PARTS, "hands")]
            reference = rng.integers(9, size=(12, 3))
            tokens = np.where(rng.random((12, 3)) < level / 12, rng.integers(9), reference)
            rows.append(
                {
                    "system": system,
                    "run": run,
                    "corpus": corpus,
                    "name": f"clip-{i:03d}",
                    "text": text,
                    "keywords": "rain north" if i % 2 else "",
                    **dict(zip(names, errors)),
                    **{f"{name}_per_step": e / 50 for name, e in zip(names, errors)},
                    "length_ratio": rng.uniform(0.8, 1.2),
                    "rank": int(rng.integers(1, 12)),
                    **token_statistics(tokens, reference, PARTS),
                    "translation": text[: 3 + i],
                    **text_statistics(text[: 3 + i], text, CORPORA[corpus]),
                }
            )
    return rows


def write_made_up_results(
    folder: Path,
    clips=12,
    corpora=tuple(CORPORA),
    level=5.0,
    seed=0,
    runs=1,
    texts=None,
    baselines=True,
    **about,
):
    """Write `metrics.json` and `clips.csv`; ``about`` replaces what is said of the run."""
    tables = {}
    for system, its_level in LEVELS.items() if baselines else [("generated", level)]:
        its_level = level if system == "generated" else its_level
        rows = [
            row
            for run in range(runs if system == "generated" else 1)
            for row in rows_of(system, its_level, clips, corpora, seed, run, texts)
        ]
        tables[system] = pd.DataFrame(rows)
    scores = score_list(list(tables["generated"]), PARTS)
    summaries = {system: summarize(table, scores) for system, table in tables.items()}
    bounds = {system: intervals(table, scores) for system, table in tables.items()}
    said = {
        "name": folder.name,
        "task": "t2m",
        "system": "generated",
        "split": "test",
        "seed": 1234,
        "body": body_name(STAND_IN),
        "stand_in": True,
        "checkpoint": "best.ckpt",
        "commit": "0123456789abcdef",
        "versions": {"torch": "2.13.0"},
        "configuration": {"CORPORA": {corpus: {"fps": 25} for corpus in corpora}},
    }
    write_results(
        folder,
        said | about,
        summaries.pop("generated"),
        summaries,
        pd.concat(tables.values()),
        bounds.pop("generated"),
        baseline_intervals=bounds,
        units={score.name: score.unit for score in scores},
        timing={"decoding": 0.25, "frames_per_second": 310.0},
    )
    return folder


def write_made_up_prediction(folder, corpus, name, frames=24):
    """A body that lifts its right arm, and one that lifts it otherwise."""
    motion = np.zeros((frames, 133), np.float32)
    motion[:, 22] = np.linspace(0, -1.2, frames)
    prediction = Prediction(
        name,
        corpus,
        TEXTS[corpus],
        ("rain",),
        np.zeros((frames // 4, 3), int),
        motion[: frames * 3 // 4] * 0.7,
        motion,
    )
    write_prediction(prediction_path(folder, corpus, name), prediction)
