"""Reference and generated clip side by side, as a small film inside the page."""

from __future__ import annotations

import base64
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from soke.body import BodyModel, locate_body_model
from soke.cli.run_results import Results
from soke.data.predictions import prediction_path, read_prediction
from soke.visualization import TINTS, Panel, render_clip, write_image, write_video
from soke.visualization.clip_video import SYSTEMS

#: Small enough for a page with a dozen films.
PANEL_WIDTH = 240  # pixels
RATE = 12.5  # frames per second
CRF = 28
LONGEST = 10.0  # seconds
#: Pixels below the picture for the player's controls, which would hide the hands.
CONTROLS = 56
_UNKNOWN_RATE = 25.0  # of a data set whose configuration is not known


@dataclass(frozen=True)
class Film:
    source: str  # data:video/mp4;base64,...
    poster: str  # data:image/jpeg;base64,..., the frame in the middle
    seconds: float
    cut: bool


class FilmMaker:
    """Renders clips of a results folder from its saved predictions."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.has_predictions = (results.folder / "predictions").is_dir()

    @cached_property
    def body(self) -> BodyModel:
        folder = self.results.setting("BODY", "MODEL_DIR")
        return BodyModel(locate_body_model(str(folder) if folder else "deps/smpl_models"))

    def film(self, corpus: str, name: str) -> Film | None:
        """The film of a clip, None where its prediction was not saved."""
        path = prediction_path(self.results.folder, corpus, name)
        if not path.exists():
            return None
        prediction = read_prediction(path)
        fps = float(self.results.setting("CORPORA", corpus, "fps") or _UNKNOWN_RATE)
        step = max(round(fps / RATE), 1)
        frames = int(LONGEST * fps)
        motions = (prediction.reference, prediction.generated)
        panels = [
            Panel(system, self.body.vertices(torch.as_tensor(motion[:frames:step])).numpy(), tint)
            for system, motion, tint in zip(SYSTEMS, motions, TINTS)
        ]
        pictures = render_clip(
            panels, self.body.faces, self.body.regions, panel_width=PANEL_WIDTH, fps=fps / step
        )
        below = ((0, CONTROLS), (0, 0), (0, 0))
        drawn = [np.pad(picture, below, constant_values=255) for picture in pictures]
        with tempfile.TemporaryDirectory() as folder:
            video = Path(folder) / "clip.mp4"
            write_video(video, drawn, fps / step, crf=CRF)
            poster = Path(folder) / "poster.jpg"
            write_image(poster, drawn[len(drawn) // 2])
            return Film(
                source=_embedded(video, "video/mp4"),
                poster=_embedded(poster, "image/jpeg"),
                seconds=len(drawn) * step / fps,
                cut=max(map(len, motions)) > frames,
            )


def _embedded(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
