"""What `python -m vis_mesh` shows: clips of a test run, texts, token files, motion files.

Like `soke.assemble` this belongs to the verbs and reads the configuration.
"""

from soke.cli.show.motions import render_motion, render_tokens
from soke.cli.show.output import Output, add_options, look, output_folder, output_of
from soke.cli.show.test_clips import CHOICES, render_test_clips
from soke.cli.show.typed_texts import render_texts

__all__ = [
    "CHOICES",
    "Output",
    "add_options",
    "look",
    "output_folder",
    "output_of",
    "render_motion",
    "render_test_clips",
    "render_texts",
    "render_tokens",
]
