"""Render clips of a test run, texts of your own, tokens, motion, or the codes of a part."""

from __future__ import annotations

import argparse
from pathlib import Path

from soke.config import parse_command_line

# Spelled out here, so that --help imports nothing heavy. Tests compare them with their owners.
CHOICES = ("first", "random", "best", "median", "worst")
FORMATS = ("frames", "gif", "mp4")
HANDS = ("auto", "flat", "relative")
VIEWS = (
    "upper_body",
    "combined",
    "both_hands",
    "whole_body",
    "face",
    "right_hand",
    "left_hand",
)
EXPORTS = {
    "bvh": "skeleton with animation (Biovision)",
    "glb": "rigged body with animation (glTF 2.0)",
    "npz": "SMPL-X parameters in the names of AMASS",
    "ply": "folder of meshes, one per frame (binary PLY)",
    "pose": "points of body, hands and face (pose-format)",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is shown, and how."""
    what = parser.add_mutually_exclusive_group(required=True)
    add = what.add_argument
    add("--demo_dataset", help="a data set of a test run: how2sign, csl, phoenix")
    add("--text", help="a text to sign")
    text_file = "texts to sign, one per line, in UTF-8; blank lines and lines with # are skipped"
    add("--text_file", type=Path, metavar="FILE", help=text_file)
    add("--tokens", type=Path, metavar="FILE", help="a token file (.npy)")
    motion = "SMPL-X motion of any tool, or a folder of it"
    add("--motion", type=Path, metavar="FILE", help=motion)
    codebook = "what each code of a part looks like: body, lhand, rhand"
    add("--codebook", metavar="PART", help=codebook)
    add = parser.add_argument
    add("--lang", help="the texts' language: en, zh, de")
    add("--hands", choices=HANDS, default="auto", help="the hand convention of --motion")
    add("--clips", nargs="+", help="names of clips; without it, RENDER.CLIPS")
    add("--choose", choices=CHOICES, default="first", help="which clips")
    add("--compare", nargs="+", default=[], metavar="NAME", help="other test runs to show as well")
    add("--out", type=Path, metavar="DIR", help="folder; without it visualize/<NAME>")
    films = "films, each with a contact sheet (frames: a folder of PNGs); no value: no films"
    add("--format", nargs="*", choices=FORMATS, default=["mp4"], help=films)
    add("--view", choices=VIEWS, default="upper_body", help="what the camera looks at")
    add("--html", action="store_true", help="also one page that plays the clips in a browser")
    kinds = ", ".join(f"{name} ({about})" for name, about in EXPORTS.items())
    files = f"also files for other programs: {kinds}"
    add("--export", nargs="+", choices=list(EXPORTS), default=[], help=files)


def main() -> None:
    config, options = parse_command_line(__doc__, add_options)
    from soke.assemble.process import open_run
    from soke.cli.show.codes import render_codebook
    from soke.cli.show.motions import render_motion, render_tokens
    from soke.cli.show.output import output_of
    from soke.cli.show.test_clips import render_test_clips
    from soke.cli.show.typed_texts import render_texts
    from soke.data.texts import read_texts, typed_text

    run = open_run(config)
    output = output_of(run, options)
    language = options.lang
    if options.codebook is not None:
        render_codebook(run, options.codebook, options.out)
    elif options.demo_dataset is not None:
        chosen = options.clips, options.choose, options.compare
        render_test_clips(run, options.demo_dataset, output, *chosen)
    elif options.tokens is not None:
        render_tokens(run, options.tokens, output, language)
    elif options.motion is not None:
        render_motion(run, options.motion, output, language, options.hands)
    else:
        file = options.text_file
        texts = [typed_text(options.text)] if file is None else read_texts(file)
        render_texts(run, texts, language, output)
