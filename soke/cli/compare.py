"""Print and plot how two test runs differ, clip by clip, data set by data set.

    soke compare results/A results/B

A difference is B minus A over the clips that both have, with its 95 % bootstrap interval over clips
and the p value of a paired permutation test. The plot goes to results/B/compare-A.png.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from soke.cli.charts import require_png


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("a", type=Path, metavar="results/A", help="results of a test run")
    add("b", type=Path, metavar="results/B", help="results of another")
    add("--metric", nargs="+", default=[], help="scores to compare, by their names")
    add("--all", action="store_true", help="every score, not only the main ones")
    add("--out", type=Path, help="PNG; default: results/B/compare-A.png")
    options = parser.parse_args(arguments)
    if options.out is not None:
        require_png(options.out, "--out ")
    from soke.cli.comparison import compare_runs

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    compare_runs(options.a, options.b, options.metric, options.all, options.out)
