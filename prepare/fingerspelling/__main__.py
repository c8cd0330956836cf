"""``soke fingerspelling``: make the demo data set under ``deps/fingerspelling``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

# Small matrices only: several BLAS threads would make this several times slower.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from soke.cli.main import run_verb  # noqa: E402, the threads come first

log = logging.getLogger(__name__)

#: The corpora and how many words each has, spelled out so that --help imports nothing heavy. A test
#: compares them with `prepare.fingerspelling.languages.LANGUAGES`.
WORDS = {"how2sign": 1200, "phoenix": 1200, "csl": 400}


def word_counts(values: list[str], corpora: list[str]) -> dict[str, int]:
    """``["800", "csl=300"]`` to counts by corpus: plain numbers are for all corpora."""
    counts: dict[str, int] = {}
    for value in values:
        name, _, number = value.rpartition("=")
        if not number.isdecimal() or (name and name not in WORDS):
            known = " ".join(f"{corpus}=400" for corpus in WORDS)
            raise ValueError(f"--words {value!r}: give a number, or numbers such as {known}")
        counts.update({name: int(number)} if name else dict.fromkeys(corpora, int(number)))
    return counts


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--out", type=Path, default=Path("deps/fingerspelling"), help="folder (%(default)s)")
    add("--corpora", nargs="+", default=list(WORDS), choices=list(WORDS))
    defaults = " ".join(f"{name}={count}" for name, count in WORDS.items())
    add("--words", nargs="+", default=[], help=f"words a corpus, or one number ({defaults})")
    add("--timings", type=int, default=1, help="clips of each training word (%(default)s)")
    add("--held-out", type=int, default=40, help="words in val, and in test (%(default)s)")
    add("--lengths", nargs=2, type=int, default=[3, 7], help="letters of a word: fewest, most")
    add("--extra-signers", action="store_true", help="more signers take turns over the timings")
    add("--seed", type=int, default=1234)
    add("--processes", type=int, default=2)
    add("--force", action="store_true", help="replace a data set of other settings at --out")
    add("--report", action="store_true", help="measure the recordings' conversion, write nothing")
    return parser.parse_args(arguments)


def show_report(corpora: list[str]) -> None:
    """Log how far posed bones are from the tracked ones, by recorded alphabet."""
    from prepare.fingerspelling.languages import LANGUAGES
    from prepare.fingerspelling.letters import report
    from prepare.fingerspelling.skeleton import rest_skeleton

    skeleton = rest_skeleton()
    log.info("mean direction error on the %s", skeleton.model)
    for corpus in corpora:
        for signer in LANGUAGES[corpus].signers:
            row = report(signer, skeleton)
            log.info(
                "%s (%s): %d letters, %d frames, fingers %.1f degrees, palm %.1f degrees",
                *(signer, corpus, row["letters"], row["frames"], row["fingers"], row["palm"]),
            )


def main(arguments: list[str] | None = None) -> None:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    from rich.logging import RichHandler

    from prepare.fingerspelling.making import Settings, build

    logging.basicConfig(
        level="INFO", format="%(message)s", handlers=[RichHandler(show_time=False, show_path=False)]
    )
    if options.report:
        show_report(options.corpora)
        return
    settings = Settings(
        corpora=tuple(options.corpora),
        words=word_counts(options.words, options.corpora),
        timings=options.timings,
        held_out=options.held_out,
        seed=options.seed,
        lengths=tuple(options.lengths),
        extra_signers=options.extra_signers,
    )
    build(settings, options.out, force=options.force, processes=options.processes)


if __name__ == "__main__":
    run_verb(main)
