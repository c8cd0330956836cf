"""Draw exported meshes (`python -m vis_mesh ... --export ply`) with Blender's Cycles.

Blender runs in a Python environment of its own, which `python vis_blender.py --setup` makes once.
A clip becomes an MP4, single frames become PNG. Several folders are drawn side by side.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from soke.blender import FOLDER, PANEL_WIDTH, SAMPLES, draw_meshes, set_up
from soke.cli.main import run_verb
from soke.visualization import FRAMINGS

log = logging.getLogger("vis_blender")


def main() -> None:
    parser = argparse.ArgumentParser("vis_blender", description=__doc__)
    parser.add_argument("meshes", nargs="*", type=Path, help="folders of meshes, as exported")
    parser.add_argument("--setup", action="store_true", help="make Blender's environment (1 GB)")
    parser.add_argument("--environment", type=Path, default=FOLDER, help="where it is")
    parser.add_argument("--out", type=Path, default=Path("visualize/blender"), help="folder")
    parser.add_argument("--view", choices=FRAMINGS, default="upper_body")
    parser.add_argument("--close_ups", nargs="*", choices=FRAMINGS, default=["right_hand"])
    parser.add_argument("--frames", nargs="+", type=int, help="draw these frames alone, as PNG")
    parser.add_argument("--width", type=int, default=PANEL_WIDTH, help="of a panel, in pixels")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="light paths a pixel")
    parser.add_argument("--font", help="a font file or its name, for the caption")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.setup:
        log.info("Blender is ready: %s", set_up(options.environment))
    elif not options.meshes:
        raise ValueError("name folders of meshes, or --setup to make Blender's environment")
    if options.meshes:
        for path in draw_meshes(
            options.meshes,
            options.out,
            view=options.view,
            close_ups=options.close_ups,
            panel_width=options.width,
            samples=options.samples,
            frames=options.frames,
            font=options.font,
            environment=options.environment,
        ):
            log.info("wrote %s", path)


if __name__ == "__main__":
    run_verb(main)
