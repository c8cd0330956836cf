"""The doctor's table: readable at 100 columns, and when it is piped."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from soke.cli.doctor.rows import TRAIN, Row, State

#: Columns of the table where the output is no terminal.
WIDTH = 100
_GAP, _STATE, _LEAST = 2, 9, 30  # a gap is a space of padding and the column's rule
_STYLES = {
    State.FOUND: "green",
    State.NOTE: "yellow",
    State.MISSING: "bold red",
    State.WRONG: "bold red",
}


def show(sections: Mapping[str, Sequence[Row]], command: str, console: Console) -> None:
    """Print a table of all rows and the summary; ``command`` starts the run."""
    rows = [row for own in sections.values() for row in own]
    first = max((len(row.what) for row in rows), default=0)
    rest = max(console.width - first - _STATE - 2 * _GAP, _LEAST)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    table.add_column("what", no_wrap=True, min_width=first)
    table.add_column("state", min_width=_STATE)
    table.add_column("found, and what to do", overflow="fold")
    for title, own in sections.items():
        for i, row in enumerate(own):
            if not i:
                table.add_row(Text(title, style="bold underline"))
            last = i == len(own) - 1
            table.add_row(row.what, _state(row), _detail(row, rest), end_section=last)
    with console.capture() as capture:
        console.print(table)
        console.print()
        console.print(summary(rows, command), soft_wrap=True)
    # Lines are padded to the table's width, which is of no use in a file.
    console.file.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))


def summary(rows: Sequence[Row], command: str) -> Text:
    """Whether the run can start."""
    stops = sum(row.stops for row in rows)
    later = sum(row.state in (State.MISSING, State.WRONG) for row in rows) - stops
    text = Text()
    if later:
        text.append(f"{_things(later)} missing or wrong for later steps only.\n", "dim")
    if stops:
        text.append(f"{_things(stops)} missing or wrong; the run could not start", "bold red")
    else:
        text.append("the run can start", "bold green").append(f": {command}")
    return text


def _things(count: int) -> str:
    return f"{count} thing is" if count == 1 else f"{count} things are"


def _state(row: Row) -> Text:
    """The state, red only where training could not start."""
    if row.state not in (State.MISSING, State.WRONG) or row.needed_for == TRAIN:
        return Text(row.state.value, _STYLES[row.state])
    return Text(f"({row.state.value})", "yellow")


def _detail(row: Row, width: int) -> Text:
    text = Text(row.detail)
    if row.state in (State.MISSING, State.WRONG) and row.needed_for != TRAIN:
        text.append(f" (not needed yet: for {row.needed_for})", "dim")
    bullet, indent = "→ ", "  "
    if row.advice:
        text.append("\n" + textwrap.fill(
            row.advice, width, initial_indent=bullet, subsequent_indent=indent,
            break_long_words=False, break_on_hyphens=False,
        ))  # fmt: skip
    if row.command:
        text.append("\n" + (indent if row.advice else bullet))
        text.append(
            pasteable(row.command, width - len(indent)).replace("\n", f"\n{indent}"), "cyan"
        )
    return text


def pasteable(command: str, width: int) -> str:
    """A command in lines of at most ``width``, broken so that a shell takes them as one."""
    lines, line = [], ""
    for word in shlex.split(command):
        word = word if word == "&&" else shlex.quote(word)
        if line and len(line) + 1 + len(word) > width - 2:  # room for the backslash
            lines.append(f"{line} \\")
            line = "  "
        line += word if not line.strip() else f" {word}"
    return "\n".join([*lines, line])
