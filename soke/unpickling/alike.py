"""A fast path for files alike: the pickles of a clip's frames differ only in array contents.

A file that equals an earlier one in all but such bytes holds the same dict of arrays with other
numbers, so it need not be replayed: no step of the machine depends on the bytes of an array (they
are no text, no length and no name), unless a numpy scalar is made of them.
"""

from __future__ import annotations

import numpy as np

from soke.unpickling.machine import Machine

#: The last file of each length, how many of them are kept, and bytes beside the arrays of each.
_PATTERNS: dict[int, _Pattern] = {}
_MAX_PATTERNS = 1024
_MAX_REST = 2**14

#: Key, shape, dtype, start and stop of the bytes, order.
_Column = tuple[str, tuple, np.dtype, int, int, str]


class _Pattern:
    """A file ``data`` and its arrays, each with the place of its bytes."""

    def __init__(self, data: bytes, columns: list[_Column]) -> None:
        self.columns = columns
        edges = sorted(edge for *_, start, stop, _ in columns for edge in (start, stop))
        self.around = list(zip([0, *edges[1::2]], [*edges[::2], len(data)]))
        self.rest = self._rest(data)

    def _rest(self, data: bytes) -> bytes:
        return b"".join([data[start:stop] for start, stop in self.around])

    def read(self, data: bytes) -> dict[str, np.ndarray] | None:
        if self._rest(data) != self.rest:
            return None
        return {
            key: np.ndarray(shape, dtype, bytearray(data[start:stop]), order=order)
            for key, shape, dtype, start, stop, order in self.columns
        }


def read_alike(data: bytes) -> dict[str, np.ndarray] | None:
    """What ``data`` holds if it is like a file that was remembered, else None."""
    pattern = _PATTERNS.get(len(data))
    return pattern and pattern.read(data)


def remember(data: bytes, value: object, machine: Machine) -> None:
    """Remember a file that was replayed if it is a dict of arrays, each from bytes of its own."""
    if type(value) is not dict or not value or machine.made_scalars:
        return
    columns = []
    for key, array in value.items():
        if type(key) is not str or type(array) is not np.ndarray:
            return
        content, order = machine.contents.get(id(array), (None, None))
        _, start = machine.places.get(id(content), (None, None))
        # Bytes of one letter are one object wherever they lie.
        if start is None or len(content) < 2 or order == "K":
            return
        columns.append((key, array.shape, array.dtype, start, start + len(content), order))
    rest = len(data) - sum(array.nbytes for array in value.values())
    if rest > _MAX_REST or len({start for *_, start, _, _ in columns}) < len(columns):
        return
    if len(_PATTERNS) >= _MAX_PATTERNS:
        _PATTERNS.clear()
    _PATTERNS[len(data)] = _Pattern(data, columns)
