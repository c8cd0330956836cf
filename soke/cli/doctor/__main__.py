"""Check everything that a run needs, and say how each thing that is not there is mended.

    python -m prepare.doctor --cfg configs/soke.yaml

The real run is checked; with --trial the short one that the verbs make without --nodebug. Poses are
listed, not read; --thorough reads every one of them, all tokens, and whole packed stores, and notes
poses and statistics that do not look like signing. A packed store is compared with its source as
training does it, which reads clips that were copied. Exits with 0 if `python -m train` could start
with the same configuration, else with 1.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext

from rich.console import Console

from soke.cli.doctor import data, machine, models, settings, tokens
from soke.cli.doctor.rows import Fix, Row, State, describe, wrong
from soke.cli.doctor.run import Run
from soke.cli.doctor.table import WIDTH, show
from soke.cli.main import run_verb
from soke.config import parse_command_line


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--thorough", action="store_true", help="read all poses, tokens and stores")
    parser.add_argument("--trial", action="store_true", help="check the short trial run")


def examine(run: Run) -> Iterator[tuple[str, list[Row]]]:
    """What was found, section by section, in the order in which things are made."""
    rows = _guarded("configuration", lambda: settings.configuration(run))
    if any(row.state is not State.FOUND for row in rows):  # nothing else would mean anything
        yield "Run", rows
        return
    listed: data.Listed = {}
    yield "Run", rows + _guarded("run", lambda: settings.start(run) + settings.loggers(run))
    rows = _guarded("data sets", lambda: data.splits(run, listed))
    yield "Data", rows + _guarded("statistics", lambda: [data.statistics(run, listed)])
    if not run.trains_tokenizer:
        rows = _guarded("tokenizer", lambda: [models.tokenizer(run)])
        rows += _guarded("token files", lambda: tokens.tokens(run, listed))
        if not run.writes_text:
            rows += _guarded("dictionary", lambda: tokens.dictionaries(run))
        yield "Tokens", rows
        folder = _guarded("mBART folder", lambda: models.mbart(run))
        whole = not any(row.stops for row in (*rows, *folder))
        title = run.network.replace("_", " ").capitalize()
        yield title, folder + ([models.prompts(run)] if whole else [])
    rows = _guarded("start weights", lambda: models.start_weights(run))
    yield "Checkpoints", rows + _guarded("to test", lambda: [models.tested(run)])
    rows = _guarded("body model", lambda: machine.body(run))
    rows += _guarded("hardware", lambda: machine.hardware(run))
    yield "Body and machine", rows + _guarded("pictures", lambda: machine.pictures(run, listed))


def _guarded(what: str, check: Callable[[], list[Row]]) -> list[Row]:
    """The rows of a check; if it stumbles over an odd value, a row that says so."""
    try:
        return check()
    except Exception as error:
        fix = Fix("Correct the value in the configuration that this comes from")
        return [wrong(what, describe(error), fix)]


def main(arguments: list[str] | None = None) -> None:
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    trial = "--trial" in arguments
    config, options = parse_command_line(
        __doc__.splitlines()[0], add_options, arguments if trial else [*arguments, "--nodebug"]
    )
    run = Run.of(config, options, arguments)
    # Reading everything shows progress bars of its own.
    waiting = nullcontext() if run.thorough else Console(stderr=True).status("checking")
    with waiting:
        sections = dict(examine(run))
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    show(sections, run.command("train"), Console(width=WIDTH if piped else None, highlight=False))
    if any(row.stops for rows in sections.values() for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    run_verb(main)
