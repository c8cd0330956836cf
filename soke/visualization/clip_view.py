"""What a video or page shows: a clip and the bodies that sign it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class System:
    """One signing body of a clip."""

    title: str  # "reference", "generated", or the name of another system
    motion: np.ndarray  # [T, 133], SMPL-X parameters in radians
    tint: tuple[int, int, int]  # of the clothes, sRGB 0 to 255
    tokens: np.ndarray | None = None  # [S, P]
    score: str = ""  # shown beside the title


@dataclass(frozen=True, eq=False)
class ClipToShow:
    """A text and how it is signed, by one system or several."""

    name: str
    text: str
    language: str  # ISO code
    fps: float
    systems: tuple[System, ...]
    keywords: tuple[str, ...] = ()  # retrieved dictionary words
    missing: tuple[str, ...] = ()  # words that the dictionary lacks
    note: str = ""  # a line below the caption, such as the body's name
    parts: tuple[str, ...] = ()  # names of the columns of tokens
    original: Path | None = None  # the video that the clip was recorded from, or a folder of images
