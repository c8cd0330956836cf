"""What retrieval adds where text alone cannot know: ``python -m benchmarks.held_out_letters``.

    python -m benchmarks.held_out_letters [--cfg FILE] [--letters bw] [KEY=VALUE ...]

A generator is trained on the words without some letters; its tokenizer is the demo's and knows
them. Words with these letters are then generated twice: with the letters' dictionary entries in the
prompt and without. Reported is how many of just these letters are misread, and of all others. So
that the generator learns to read the prompt instead of the text, and to copy signs that it never
saw, the text is hidden from a quarter of its training samples, the signs from some, and in most of
them codes of the signs change places with others. Needs the demo's data, tokenizer and tokens.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from soke.cli.main import run_verb
from soke.config import load_config
from soke.metrics.sign_reading import error_rate_of

log = logging.getLogger("held_out_letters")

SETTINGS = (
    "TRAIN.HIDE_TEXT=0.25",
    "TRAIN.HIDE_SIGNS=0.15",
    "TRAIN.SWAP_CODES=0.8",
    "TRAIN.END_EPOCH=40",
)


def run(verb: str, cfg: str, *options: str) -> None:
    command = [sys.executable, "-m", verb, "--cfg", cfg, "--nodebug", *options]
    log.info("%s", " ".join(command[1:]))
    subprocess.run(command, check=True)


def train(cfg: str, letters: str, name: str, overrides: Sequence[str]) -> None:
    """Train on the words without the letters, unless that is done."""
    done = Path(load_config(cfg, overrides).OUTPUT.EXPERIMENTS) / name / "checkpoints" / "last.ckpt"
    if done.exists():
        log.info("%s is there already; remove its run to train again", done)
        return
    run("train", cfg, *overrides, *SETTINGS, f"NAME={name}", f"DATASET.TEXTS='^[^{letters}]*$'")


def score(cfg: str, letters: str, name: str, signs: int, overrides: Sequence[str]) -> pd.DataFrame:
    """Rows of the words with the letters, which training left out, generated with so many signs."""
    config = load_config(cfg, overrides)
    run(
        "test",
        cfg,
        "--task",
        "t2m",
        *overrides,
        f"NAME={name}-{signs}",
        f"TEST.CHECKPOINTS={config.OUTPUT.EXPERIMENTS}/{name}/checkpoints/best.ckpt",
        f"TEST.SPLIT={config.TRAIN.SPLIT}",
        f"DATASET.TEXTS='[{letters}]'",
        f"RETRIEVAL.MAX_KEYWORDS={signs}",
        "METRIC.TYPE=[reading]",
    )
    return pd.read_csv(Path(config.TEST.FOLDER) / f"{name}-{signs}" / "clips.csv", dtype=str)


def letter_errors(rows: pd.DataFrame, letters: str) -> dict[str, float]:
    """Share of the held-out letters, and of the others, that were misread; by corpus."""
    errors = {}
    for corpus, group in rows.groupby("corpus"):
        read = group["read"].fillna("").str.split().tolist()
        truth = group["truth"].str.split().tolist()
        others = {letter for word in truth for letter in word} - set(letters)
        errors[f"{corpus}: held out"] = error_rate_of(letters, read, truth)
        errors[f"{corpus}: others"] = error_rate_of(others, read, truth)
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cfg", default="configs/demo/soke.yaml")
    parser.add_argument("--letters", default="bw", help="letters that training does without")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    if not options.letters.isalpha():
        raise ValueError(f"--letters takes letters, got {options.letters!r}")
    letters, name = options.letters.lower(), f"without-{options.letters.lower()}"
    train(options.cfg, letters, name, options.overrides)
    columns = {
        what: letter_errors(score(options.cfg, letters, name, signs, options.overrides), letters)
        for what, signs in (("with their signs", 3), ("without", 0))
    }
    table = (100 * pd.DataFrame(columns)).to_string(float_format=lambda value: f"{value:.1f} %")
    log.info("letters misread in words with %s\n%s", ", ".join(letters), table)


if __name__ == "__main__":
    run_verb(main)
