"""Write one self-contained page about a test run.

    soke report results/soke

The page, results/soke/report.html, has the scores and their intervals beside the published ones,
the distributions over clips, and the best, the median and the worst clip of every data set. The
clips can be watched if the run saved its predictions (TEST.SAVE_PREDICTIONS=true).
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from soke.cli.main import run_verb

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="results/NAME", help="results of a test run")
    parser.add_argument("--out", type=Path, help="HTML; default: results/NAME/report.html")
    parser.add_argument("--order_by", metavar="COLUMN", help="of clips.csv: which clips are best")
    parser.add_argument(
        "--clips", type=int, default=1, help="this many best, median and worst ones per data set"
    )
    options = parser.parse_args(arguments)
    if options.clips < 0:
        raise ValueError(f"--clips {options.clips} should be 0 or more")
    from soke.cli.report.page import build_page
    from soke.cli.run_results import read_results
    from soke.files import atomic_path

    results = read_results(options.folder)
    page = build_page(results, options.order_by, options.clips)
    path = options.out or options.folder / "report.html"
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    log.info("wrote %s (%.1f MB)", path, len(page.encode()) / 1e6)


if __name__ == "__main__":
    run_verb(main)
