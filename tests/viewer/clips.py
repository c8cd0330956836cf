"""Made-up clips, small and smooth."""

import numpy as np

from soke.visualization import TINTS
from soke.visualization.clip_view import ClipToShow, System

PARTS = ("body", "left_hand", "right_hand")


def waving(frames=24, seed=0, size=0.25):
    """A smooth motion [T, 133]; the face moves too."""
    draw = np.random.default_rng(seed)
    time = np.linspace(0, 2 * np.pi, frames, endpoint=False)[:, None]
    phases = draw.uniform(0, 6, (1, 133))
    speeds = draw.integers(1, 3, (1, 133))
    motion = size * draw.normal(size=(1, 133)) * np.sin(speeds * time + phases)
    motion[:, 123:] *= 4  # expression: directions, not angles
    return motion.astype(np.float32)


def tokens(steps, seed=0):
    return np.random.default_rng(seed).integers(0, 192, (steps, len(PARTS)))


def clip(
    name="one",
    text="Good morning, dear world",
    language="en",
    frames=(24, 16),
    size=0.25,
    **changes,
):
    """A clip of a system for each of ``frames``; the last ones differ in length and tokens."""
    systems = tuple(
        System(
            title, waving(count, i, size), TINTS[i], tokens(count // 4, i), f"error {i + 1}.5 mm"
        )
        for i, (title, count) in enumerate(zip(("reference", "generated", "other"), frames))
    )
    given = {"fps": 25.0, "keywords": ("good", "world"), "missing": ("dear",), "parts": PARTS}
    return ClipToShow(name, text, language, systems=systems, **{**given, **changes})
