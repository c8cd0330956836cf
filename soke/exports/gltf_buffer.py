"""The binary container of glTF 2.0: JSON, followed by the arrays that its accessors describe."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

_COMPONENT = {"uint8": 5121, "uint16": 5123, "uint32": 5125, "float32": 5126}
_KIND = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
#: The target of a buffer view on the graphics card.
VERTICES = 34962
INDICES = 34963


class Buffer:
    """Collects arrays; `to_glb` writes them after the JSON description."""

    def __init__(self) -> None:
        self.views: list[dict[str, int]] = []
        self.accessors: list[dict[str, Any]] = []
        self._bytes = bytearray()

    def view(self, values: np.ndarray, target: int | None = None) -> int:
        """Append raw numbers. Returns the index of the buffer view."""
        self._bytes += bytes(-len(self._bytes) % 4)
        content = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        view = {"buffer": 0, "byteOffset": len(self._bytes), "byteLength": len(content)}
        self.views.append(view if target is None else {**view, "target": target})
        self._bytes += content
        return len(self.views) - 1

    def add(
        self,
        values: np.ndarray,
        target: int | None = None,
        *,
        bounds: bool = False,
        normalized: bool = False,
    ) -> int:
        """Append ``values`` [N] or [N, width] and describe them. Returns the accessor's index.

        ``bounds`` stores the minimum and maximum (required for positions and times);
        ``normalized`` marks integers that represent 0 to 1.
        """
        accessor: dict[str, Any] = {
            "bufferView": self.view(values, target),
            "componentType": _COMPONENT[values.dtype.name],
            "count": len(values),
            "type": _KIND[1 if values.ndim == 1 else values.shape[1]],
        }
        if bounds:
            accessor |= _bounds(values)
        if normalized:
            accessor["normalized"] = True
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def add_sparse(self, count: int, places: int, changed: np.ndarray) -> int:
        """Describe float32 values [count, 3] that are zero except for ``changed`` [N, 3].

        ``places`` is the buffer view with the rows of these, ascending. Returns the accessor's
        index.
        """
        whole = np.concatenate([changed, np.zeros((1, 3), np.float32)])
        self.accessors.append(
            {
                "componentType": _COMPONENT["float32"],
                "count": count,
                "type": "VEC3",
                **_bounds(whole if len(changed) < count else changed),
                "sparse": {
                    "count": len(changed),
                    "indices": {"bufferView": places, "componentType": _COMPONENT["uint16"]},
                    "values": {"bufferView": self.view(changed)},
                },
            }
        )
        return len(self.accessors) - 1

    def to_glb(self, description: Mapping[str, Any]) -> bytes:
        """The whole file: ``description`` and everything that was appended."""
        self._bytes += bytes(-len(self._bytes) % 4)
        document = {
            **description,
            "accessors": self.accessors,
            "bufferViews": self.views,
            "buffers": [{"byteLength": len(self._bytes)}],
        }
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        length = 12 + 8 + len(text) + 8 + len(self._bytes)
        header = struct.pack("<4sII", b"glTF", 2, length)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        return header + chunks + struct.pack("<I4s", len(self._bytes), b"BIN\0") + self._bytes


def _bounds(values: np.ndarray) -> dict[str, list[float]]:
    rows = values.reshape(len(values), -1)
    return {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()}
