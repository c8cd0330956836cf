"""The recorded finger alphabets: MediaPipe Holistic tracks in the ``spoken-to-signed`` wheel."""

from __future__ import annotations

import csv
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import numpy as np
from pose_format import Pose

from soke.files import require

WHEEL = "spoken-to-signed"
REMEDY = f"Install it with `pip install --no-deps {WHEEL}==0.4.0` (96 MB)."
FPS = 25.0

#: First and last point of each group of a frame's 586 points. The world landmarks are not used:
#: their wrists are replaced and their axes unevenly scaled.
POSE = slice(0, 33)
FACE = slice(33, 511)
FACE_MESH = slice(33, 501)  # without the irises
LEFT_HAND = slice(511, 532)
RIGHT_HAND = slice(532, 553)

#: The files are scaled to this shoulder width and centred here; depth lacks the image width.
_SHOULDER_WIDTH = 200.0
_CENTRE = 250.0
_IMAGE_WIDTH = {"sgg": 1920.0}
_USUAL_IMAGE_WIDTH = 700.0


@dataclass(frozen=True)
class Recording:
    """One recorded letter at 25 frames a second.

    points: [T, 586, 3] in shoulder widths, +x to the signer's left, +y up, +z to the viewer, the
    origin between the shoulders. confidence: [T, 586], 0 where a point was not found.
    """

    signer: str
    letter: str
    points: np.ndarray
    confidence: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    def tracked(self, hand: slice) -> np.ndarray:
        """In which frames the hand was found, bool ``[T]``."""
        return self.confidence[:, hand].sum(1) > 20


def lexicon_folder() -> Path:
    """Where the wheel keeps the alphabets; raises `MissingAssetError` if it is not installed."""
    spec = importlib.util.find_spec("spoken_to_signed")
    package = Path(spec.origin).parent if spec and spec.origin else Path("spoken_to_signed")
    folder = package / "assets" / "fingerspelling_lexicon"
    require(folder / "index.csv", "The recorded finger alphabets", REMEDY)
    return folder


def read_alphabet(signer: str) -> dict[str, Recording]:
    """All letters of one signed language (``ase``, ``gsg``, ``svk``, ...) by lower-case name.

    Lower case is safe: 'ẞ'.lower() is 'ß', whereas 'ß'.upper() would be 'SS'. Some umlauts are
    stored as letter and dots; names are composed.
    """
    folder = lexicon_folder()
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    mine = [row for row in rows if row["signed_language"] == signer]
    if not mine:
        known = sorted({row["signed_language"] for row in rows})
        raise ValueError(f"the lexicon has no signed language {signer!r}; it has {known}")
    letters = {normalize("NFC", row["words"].lower()): folder / row["path"] for row in mine}
    return {letter: _read(path, signer, letter) for letter, path in letters.items()}


def interpolate(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Values ``[T, ...]`` at fractional frame numbers ``times`` [N], linearly."""
    before = np.clip(np.floor(times).astype(int), 0, max(len(values) - 2, 0))
    after = np.minimum(before + 1, len(values) - 1)
    weight = (times - before).reshape(-1, *[1] * (values.ndim - 1))
    return values[before] * (1 - weight) + values[after] * weight


def _read(path: Path, signer: str, letter: str) -> Recording:
    body = Pose.read(path.read_bytes()).body
    points = np.ma.getdata(body.data)[:, 0].astype(np.float64)
    confidence = np.asarray(body.confidence[:, 0], dtype=np.float64)
    if abs(body.fps - FPS) > 1e-3:
        count = max(2, round((len(points) - 1) / body.fps * FPS) + 1)
        times = np.minimum(np.arange(count) * body.fps / FPS, len(points) - 1)
        before = np.minimum(np.floor(times).astype(int), len(points) - 2)
        points = interpolate(points, times)
        # A missing point lies at the origin: what was mixed with one is missing too.
        confidence = np.minimum(confidence[before], confidence[before + 1])
    width = _IMAGE_WIDTH.get(signer, _USUAL_IMAGE_WIDTH)
    points = points * [1, -1, -width] + [-_CENTRE, _CENTRE, 0]
    return Recording(signer, letter, points / _SHOULDER_WIDTH, confidence)
