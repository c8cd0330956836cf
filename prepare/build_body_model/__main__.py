"""``python -m prepare.build_body_model [--out DIR]``: rebuild the body that `soke.body` ships."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from prepare.build_body_model.assembly import build

DEFAULT_OUT = Path(__file__).parents[2] / "soke" / "body" / "assets"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m prepare.build_body_model", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=DEFAULT_OUT, help="directory to write to (%(default)s)"
    )
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    build(parser.parse_args().out)


if __name__ == "__main__":
    main()
