"""The data of a clip in a page: its text, and the motion and cameras of each body."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from soke.body import BodyModel
from soke.parts import FEATURE_SIZE
from soke.viewer.array_block import Block
from soke.viewer.skin import PageMotion, PageSkin
from soke.viewer.word_positions import marked
from soke.visualization.camera import FRAMINGS, cameras
from soke.visualization.clip_view import ClipToShow, System

_CHUNK = 32  # frames skinned at once
_SIDE = 512  # pixels of the square view for which cameras are computed


class SkinningError:
    """Distance (metres) between the page's vertices and the body model's, over all frames."""

    def __init__(self) -> None:
        self.maximum = 0.0
        self._sum = 0.0
        self._count = 0

    def add(self, shown: torch.Tensor, true: torch.Tensor) -> None:
        """Add frames with vertices ``[T, V, 3]`` in metres."""
        distance = (shown - true).norm(dim=-1)
        self.maximum = max(self.maximum, float(distance.max()))
        self._sum += float(distance.double().sum())
        self._count += distance.numel()

    @property
    def mean(self) -> float:
        return self._sum / self._count


def check(clip: ClipToShow) -> None:
    """Raise ``ValueError`` for a clip that cannot be shown; the message names clip and system."""
    if not clip.systems:
        raise ValueError(f"clip {clip.name!r} has no system to show")
    if not (np.isfinite(clip.fps) and clip.fps > 0):
        raise ValueError(f"clip {clip.name!r} cannot be played at {clip.fps} frames per second")
    for system in clip.systems:
        where = f"clip {clip.name!r}, {system.title!r}"
        shape = np.shape(system.motion)
        if len(shape) != 2 or shape[0] == 0 or shape[1] != FEATURE_SIZE:
            raise ValueError(f"{where}: a motion is [T, {FEATURE_SIZE}], got {shape}")
        if not np.isfinite(system.motion).all():
            raise ValueError(f"{where}: the motion contains NaN or infinity")
        if system.tokens is None:
            continue
        shape = np.shape(system.tokens)
        if len(shape) != 2 or shape[1] != len(clip.parts):
            raise ValueError(
                f"{where}: tokens are [S, P] with one column for each of the parts "
                f"{list(clip.parts)}, got {shape}"
            )


def describe(
    clip: ClipToShow, body: BodyModel, skin: PageSkin, error: SkinningError
) -> tuple[dict[str, object], Block]:
    """A clip's entry in the page's data, and its arrays. Adds its frames to ``error``."""
    block = Block()
    shapes = []
    for i, system in enumerate(clip.systems):
        motion = torch.as_tensor(np.asarray(system.motion, np.float32))
        shown = skin.motion(body, motion)
        shapes.append(body.vertices(motion))
        _measure(skin, shown, shapes[-1], error)
        block.add(f"rotations{i}", shown.rotations)
        block.add(f"coefficients{i}", shown.coefficients)
    views = {}
    for name in FRAMINGS:
        paths = cameras(name, [s.numpy() for s in shapes], body.regions, _SIDE, _SIDE, clip.fps)
        views[name] = paths[0][0].span
        for i, path in enumerate(paths):
            block.add(f"{name}{i}", np.array([camera.target for camera in path], np.float32))
    return {
        "name": clip.name,
        "text": clip.text,
        "spans": marked(clip.text, clip.keywords, clip.missing),
        "language": clip.language,
        "fps": float(clip.fps),
        "keywords": list(clip.keywords),
        "missing": list(clip.missing),
        "note": clip.note,
        "parts": list(clip.parts),
        "spans_of_views": views,
        "systems": [_system(system) for system in clip.systems],
        "arrays": block.index,
    }, block


def _system(system: System) -> dict[str, object]:
    return {
        "title": system.title,
        "score": system.score,
        "tint": [int(level) for level in system.tint],
        "frames": len(system.motion),
        "tokens": None if system.tokens is None else np.asarray(system.tokens).tolist(),
    }


def _measure(skin: PageSkin, motion: PageMotion, true: torch.Tensor, error: SkinningError) -> None:
    for start in range(0, len(true), _CHUNK):
        rows = slice(start, start + _CHUNK)
        piece = PageMotion(motion.rotations[rows], motion.coefficients[rows])
        error.add(skin.vertices(piece), true[rows])


def distinct_tints(clips: Sequence[ClipToShow]) -> list[tuple[int, int, int]]:
    """The colours of all bodies in order, without repeats."""
    return list(dict.fromkeys(system.tint for clip in clips for system in clip.systems))
