"""Clips whose frames are made when they are drawn, so that memory does not grow with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

CHUNK = 32  # frames posed at once: large enough for fast matrix products, 4 MB of a body


class LazyClip:
    """Vertices ``[T, V, 3]`` (metres) of ``frames`` frames, of which a few are in memory.

    ``pose`` gives the vertices ``[n, V, 3]`` of a slice of frames, the same ones each time. It is
    called for each slice once or twice where frames are asked for in their order.
    """

    def __init__(
        self, frames: int, pose: Callable[[slice], np.ndarray], *, chunk: int = CHUNK
    ) -> None:
        if frames < 1 or chunk < 1:
            raise ValueError(f"a clip has frames, and so has a chunk; got {frames} and {chunk}")
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
        """Vertices ``[V, 3]`` of a frame."""
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
