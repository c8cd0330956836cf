"""What `python -m test` can do, task by task: assembled objects in, results on disk out.

Like `soke.assemble` this belongs to the verbs and reads the configuration.
"""

from __future__ import annotations

from collections.abc import Callable

from omegaconf import DictConfig

from soke.tasks.common import results_folder
from soke.tasks.generation import text_to_motion
from soke.tasks.reconstruction import reconstruction
from soke.tasks.saved import score_predictions
from soke.tasks.translation import motion_to_text

__all__ = ["TASKS", "results_folder", "score_predictions"]

TASKS: dict[str, Callable[[DictConfig], None]] = {
    "reconstruction": reconstruction,
    "t2m": text_to_motion,
    "m2t": motion_to_text,
}
