"""What all printed tables share: width and style."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 100  # letters per line


def new_table(
    title: str, names: Iterable[str], values: Iterable[str], notes: Iterable[str] = ()
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
