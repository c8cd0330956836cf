"""What all printed tables share: width, style, formats of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 100  # letters per line


def new_table(
    title: str, names: Sequence[str], values: Sequence[str], notes: Sequence[str] = ()
) -> Table:
    """An empty table with columns of words, of numbers, and of words again."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.padding = (0, 1)
    table.pad_edge = False
    for name in names:
        table.add_column(name)
    for value in values:
        table.add_column(value, justify="right")
    for note in notes:
        table.add_column(note)
    return table


def show(items: Iterable[Table | str]) -> None:
    """Print tables and paragraphs."""
    from rich.console import Console

    console = Console(width=WIDTH, markup=False, highlight=False, emoji=False)
    for item in items:
        console.print(item)


def whole(value: float | None) -> str:
    """A number without decimals; "?" for None or nan, which stand for an unknown value."""
    return _known(value, "{:,.0f}")


def decimal(value: float | None) -> str:
    return _known(value, "{:,.1f}")


def percent(value: float | None) -> str:
    return _known(value, "{:.1%}")


def _known(value: float | None, format: str) -> str:
    return "?" if value is None or value != value else format.format(value)
