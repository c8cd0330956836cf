"""Check everything that a run needs, and say what to do about each thing that is missing or wrong.

    soke doctor --cfg configs/soke.yaml

The real run is checked; with --trial the short one that the verbs make without --nodebug. Poses are
listed, not read; --thorough reads every one of them, all tokens, and whole packed stores, and warns
of poses and statistics that do not look like signing. A packed store is compared with its source as
training does it, which reads clips that were copied. Exits with 0 if `python -m train` could start
with the same configuration, else with 1.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from soke.cli.doctor.rows import NOTE, TRAIN, Row, examine
from soke.cli.main import run_verb
from soke.config import as_overrides, parse_command_line

if TYPE_CHECKING:
    from soke.cli.doctor.run import CheckedRun

#: Columns of the table where the output is not a terminal.
_WIDTH = 100
_STATE = 9  # columns of a state


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--thorough", action="store_true", help="read all poses, tokens and stores")
    parser.add_argument("--trial", action="store_true", help="check the short trial run")


def parse(arguments: list[str]) -> CheckedRun:
    """The run that the command line describes."""
    real = arguments if "--trial" in arguments else [*arguments, "--nodebug"]
    config, options = parse_command_line(__doc__.splitlines()[0], add_options, real)
    from soke.cli.doctor.run import CheckedRun

    words = [word for word in arguments if "=" in word and not word.startswith("-")]
    return CheckedRun(config, options.cfg, (*words, *as_overrides(options)), options.thorough)


def check_all(run: CheckedRun) -> tuple[dict[str, list[Row]], int]:
    """The rows by section, and how many checks have to wait for others that failed."""
    from soke.cli.doctor.checks import sections

    found: dict[str, list[Row]] = {}
    failed: set[str] = set()
    waiting = 0
    for title, checks in sections(run):
        rows = found.setdefault(title, [])
        for check in checks:
            if failed.intersection(check.after):
                failed.add(check.what)
                waiting += 1
                continue
            rows.append(examine(check, run))
            if rows[-1].failed:
                failed.add(check.what)
        if "configuration" in failed:  # nothing else would mean anything
            break
    return {title: rows for title, rows in found.items() if rows}, waiting


def show(sections: Mapping[str, Sequence[Row]], summary: Text, console: Console) -> None:
    """Print all rows under their sections, and the summary."""
    rows = [row for own in sections.values() for row in own]
    first = max((len(row.what) for row in rows), default=0)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, min_width=first)
    table.add_column(no_wrap=True, min_width=_STATE)
    table.add_column(overflow="fold")
    for title, own in sections.items():
        table.add_row(Text(title, "bold underline"))
        for row in own:
            table.add_row(Text(row.what), _state(row), _detail(row))
        table.add_row()
    with console.capture() as capture:
        console.print(table)
        console.print(summary, soft_wrap=True)
    # Lines are padded to the table's width, which is of no use in a file.
    console.file.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))


def summarize(rows: Sequence[Row], waiting: int, options: str) -> Text:
    """Whether the run can start; ``waiting`` checks could not be made yet.

    ``options`` are those that commands need to run with the same configuration.
    """
    stops = sum(row.stops for row in rows)
    later = sum(row.failed for row in rows) - stops
    text = Text()
    if later:
        text.append(f"{_things(later)} missing or wrong for later steps only.\n", "dim")
    if waiting:
        text.append(f"{_things(waiting)} checked once these are right.\n", "dim")
    if stops + later:
        text.append(f"Options for the commands above: {options}\n")
    if stops:
        text.append(f"{_things(stops)} missing or wrong; the run could not start", "bold red")
    else:
        text.append("the run can start", "bold green").append(f": python -m train {options}")
    return text


def _things(count: int) -> str:
    return f"{count} thing is" if count == 1 else f"{count} things are"


def _state(row: Row) -> Text:
    """The state, red only where training could not start."""
    if row.stops:
        return Text(row.state, "bold red")
    if row.failed:
        return Text(f"({row.state})", "yellow")
    return Text(row.state, "yellow" if row.state == NOTE else "green")


def _detail(row: Row) -> Text:
    text = Text(row.detail)
    if row.failed and row.needed_for != TRAIN:
        text.append(f" (not needed yet: for {row.needed_for})", "dim")
    return text


def main(arguments: list[str] | None = None) -> None:
    run = parse(list(sys.argv[1:] if arguments is None else arguments))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # Reading everything shows progress bars of its own.
    busy = nullcontext() if run.thorough else Console(stderr=True).status("checking")
    with busy:
        found, waiting = check_all(run)
    rows = [row for own in found.values() for row in own]
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    console = Console(width=_WIDTH if piped else None, highlight=False)
    show(found, summarize(rows, waiting, run.options), console)
    if any(row.stops for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    run_verb(main)
