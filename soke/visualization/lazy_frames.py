"""Clips whose frames are computed when drawn, so that memory does not grow with their length."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

CHUNK = 32  # frames posed at once: enough for fast matrix products, 4 MB for one body


class LazyClip:
    """Vertices ``[T, V, 3]`` (metres) of T = ``frames`` frames, only a few of them in memory.

    ``pose`` returns the vertices ``[n, V, 3]`` of a slice of frames and must be deterministic. It
    is called per chunk, once for every pass over the frames in order. Raises ``ValueError`` for
    less than one frame or a chunk of less than one.
    """

    def __init__(
        self, frames: int, pose: Callable[[slice], np.ndarray], *, chunk: int = CHUNK
    ) -> None:
        if frames < 1 or chunk < 1:
            raise ValueError(f"frames and chunk must be at least 1, got {frames} and {chunk}")
        self._frames = frames
        self._pose = pose
        self._chunk = chunk
        self._start = -1
        self._posed = np.empty((0, 0, 3), np.float32)

    def __len__(self) -> int:
        return self._frames

    @property
    def shape(self) -> tuple[int, int, int]:
        """T, V and 3."""
        return (self._frames, *self[0].shape)

    def __getitem__(self, t: int) -> np.ndarray:
        """Vertices ``[V, 3]`` of a frame; ``IndexError`` outside 0 to T - 1."""
        if not 0 <= t < self._frames:
            raise IndexError(f"there is no frame {t} of {self._frames}")
        start = t - t % self._chunk
        if start != self._start:
            rows = slice(start, min(start + self._chunk, self._frames))
            self._posed = np.asarray(self._pose(rows))
            self._start = start
        return self._posed[t - start]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[t] for t in range(self._frames))
