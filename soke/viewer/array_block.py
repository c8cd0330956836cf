"""Arrays inside a page: one compressed block, and an index of its contents."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from typing import Any

import numpy as np

#: JavaScript's typed array for each element type.
TYPES = {
    np.dtype(np.uint8): "Uint8Array",
    np.dtype(np.int8): "Int8Array",
    np.dtype(np.uint16): "Uint16Array",
    np.dtype(np.int16): "Int16Array",
    np.dtype(np.uint32): "Uint32Array",
    np.dtype(np.float32): "Float32Array",
}
_ALIGNMENT = 4  # bytes: a typed array starts at a multiple of its element's size


class Block:
    """Collects arrays. `index` goes into the page's data, `text` returns the block itself."""

    def __init__(self) -> None:
        self.index: dict[str, dict[str, object]] = {}
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, name: str, array: np.ndarray) -> None:
        """Add an array, row by row and little-endian; ``KeyError`` for a type not in `TYPES`."""
        assert name not in self.index, name
        kind = TYPES[array.dtype]
        content = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        content += bytes(-len(content) % _ALIGNMENT)
        self.index[name] = {"type": kind, "start": self._size, "shape": list(array.shape)}
        self._pieces.append(content)
        self._size += len(content)

    def text(self) -> str:
        """The block, compressed with gzip, in base64. Equal arrays give equal text."""
        packed = gzip.compress(b"".join(self._pieces), compresslevel=9, mtime=0)
        return base64.b64encode(packed).decode("ascii")


def unpack(text: str, index: Mapping[str, Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """The arrays of a block by name; the page's script does the same in JavaScript."""
    content = gzip.decompress(base64.b64decode(text))
    names: dict[str, Any] = {name: dtype for dtype, name in TYPES.items()}
    arrays = {}
    for name, entry in index.items():
        shape = tuple(entry["shape"])
        arrays[name] = np.frombuffer(
            content, names[entry["type"]], int(np.prod(shape)), entry["start"]
        ).reshape(shape)
    return arrays
