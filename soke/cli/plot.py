"""Draw the loss and score curves of a training run from its TensorBoard logs.

    python -m prepare.plot_run experiments/NAME

writes experiments/NAME/curves.png: a small plot a quantity, a colour a part of the body. Lines are
of the training, dots of the validation; above each plot stands where they ended.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from soke.cli.describe.charts import (
    COLORS,
    INK,
    PALE_INK,
    WIDTH,
    counted,
    headline,
    write_figure,
)
from soke.cli.main import run_verb
from soke.files import require

log = logging.getLogger("plot_run")

COLUMNS = 3
_ROW, _HEAD = 2.6, 0.7  # inches: a row of plots, the title
_LEGEND_COLUMNS = 2
_LOGARITHMIC = 30  # a loss that falls by such a factor is drawn on a logarithmic axis
_EPOCH, _RATE, _VALIDATION = "epoch", "lr-", "val"


@dataclass(frozen=True, eq=False)
class Curve:
    """A logged number over training. ``stage`` is train, val or empty; ``part`` may be empty."""

    quantity: str
    stage: str
    part: str
    steps: np.ndarray  # [N], rising
    values: np.ndarray  # [N]


def read_scalars(folder: str | Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Steps and values of every number that a run's TensorBoard files hold, by its tag.

    Where a run was resumed, what was logged last for a step counts. Raises
    `soke.files.MissingAssetError` without the folder or logs in it, and ``ValueError`` when the
    logs hold no numbers.
    """
    folder = require(folder, "The run's folder", "`python -m train --cfg ...` makes one")
    files = sorted(folder.rglob("events.out.tfevents.*"))
    if not files:
        require(folder / "logs" / "events.out.tfevents.*", "The run's logs", "Train it first")
    series: dict[str, dict[int, float]] = {}
    for file in files:  # named after the time at which they were begun
        events = EventAccumulator(str(file), size_guidance={"scalars": 0})
        events.Reload()
        for tag in events.Tags()["scalars"]:
            points = series.setdefault(tag, {})
            points.update({event.step: event.value for event in events.Scalars(tag)})
    if not series:
        raise ValueError(f"the logs of {folder} hold no numbers: nothing was logged yet")
    return {
        tag: (np.array(sorted(points)), np.array([points[step] for step in sorted(points)]))
        for tag, points in series.items()
    }


def curves(scalars: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, list[Curve]]:
    """Curves by quantity, in the order in which they were logged, learning rates last.

    ``train/loss_body`` is the quantity loss of the part body where there are others of that name:
    ``train/loss`` or ``val/loss_lhand``.
    """
    tags = [tag for tag in scalars if tag != _EPOCH]
    names = {tag: tag if tag.startswith(_RATE) else tag.partition("/")[2] or tag for tag in tags}
    stems = [name.rpartition("_")[0] for name in set(names.values())]
    shared = {stem for stem in stems if stem and (stems.count(stem) > 1 or stem in names.values())}
    found: dict[str, list[Curve]] = {}
    for tag in sorted(names, key=lambda tag: tag.startswith(_RATE)):
        stem, _, part = names[tag].rpartition("_")
        if stem not in shared:
            stem, part = names[tag], ""
        stage = tag.partition("/")[0] if names[tag] != tag else ""
        found.setdefault(stem, []).append(Curve(stem, stage, part, *scalars[tag]))
    return found


def plot_run(folder: str | Path, path: str | Path | None = None) -> Path:
    """Write the curves of a run as PNG; without ``path`` into its folder. Returns where.

    Raises as `read_scalars` does.
    """
    folder = Path(folder)
    scalars = read_scalars(folder)
    path = folder / "curves.png" if path is None else Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path} should end in .png")
    steps = max(int(steps[-1]) for steps, _ in scalars.values()) + 1
    title = f"{folder.resolve().name}     {steps:,} steps"
    if _EPOCH in scalars:
        title += f", {int(scalars[_EPOCH][1].max()) + 1:,} epochs"
    title += "     lines: training, dots: validation, numbers: the last of each"
    write_figure(path, lambda figure: _fill(figure, curves(scalars), title))
    return path


def _fill(figure: Figure, found: Mapping[str, list[Curve]], title: str) -> None:
    columns = min(COLUMNS, len(found))
    rows = math.ceil(len(found) / columns)
    figure.set_size_inches(WIDTH, _HEAD + rows * _ROW)
    headline(figure, title)
    grid = figure.subplots(rows, columns, squeeze=False)
    parts = list(dict.fromkeys(c.part for group in found.values() for c in group if c.part))
    colors = {"": INK, **{part: COLORS[i % len(COLORS)] for i, part in enumerate(parts)}}
    last = max(int(curve.steps[-1]) for group in found.values() for curve in group)
    for axes, (quantity, group) in zip(grid.flat, found.items()):
        _plot(axes, quantity, group, colors)
        axes.set_xlim(0, max(last, 1) * 1.02)
    for axes in list(grid.flat)[len(found) :]:
        axes.set_visible(False)
    for axes in list(grid.flat)[max(len(found) - columns, 0) : len(found)]:
        axes.set_xlabel("step")


def _plot(axes: Axes, quantity: str, group: list[Curve], colors: Mapping[str, str]) -> None:
    for curve in group:
        dotted = curve.stage == _VALIDATION or len(curve.values) < 2
        axes.plot(
            curve.steps, curve.values, color=colors[curve.part], linewidth=1.1,
            linestyle=(0, (2, 2)) if dotted else "-", marker="o" if dotted else None,
            markersize=3.5,
        )  # fmt: skip
    parts = list(dict.fromkeys(curve.part for curve in group))
    lines = [Line2D([], [], color=colors[part], linewidth=2) for part in parts]
    rows = math.ceil(len(parts) / _LEGEND_COLUMNS)
    legend = axes.legend(
        lines, [_ending(part, group) for part in parts], ncols=_LEGEND_COLUMNS, fontsize=7.5,
        loc="lower left", bbox_to_anchor=(0, 1), borderpad=0, borderaxespad=0.4, handlelength=0.6,
        handletextpad=0.4, columnspacing=1.2, labelspacing=0.25,
    )  # fmt: skip
    legend.set_in_layout(False)  # or a long one would narrow every plot
    missing = sum(int((~np.isfinite(curve.values)).sum()) for curve in group)
    note = f"  ({missing} not finite)" if missing else ""
    axes.set_title(_title(quantity) + note, pad=6 + 11 * rows)
    if _falls_far(group):
        axes.set_yscale("log")
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    counted(axes.xaxis, 4)
    axes.grid(axis="y", color=PALE_INK, alpha=0.15, linewidth=0.6)


def _ending(part: str, group: list[Curve]) -> str:
    """A part's name and last value, that of the training before that of the validation."""
    own = sorted((c for c in group if c.part == part), key=lambda curve: curve.stage)
    values = " / ".join(f"{curve.values[-1]:.3g}" for curve in own)
    several = any(curve.part for curve in group)
    return f"{part or 'all'} {values}" if several else values


def _title(quantity: str) -> str:
    if quantity.startswith(_RATE):
        return f"learning rate ({quantity.removeprefix(_RATE)})"
    return quantity.replace("_", " ")


def _falls_far(group: list[Curve]) -> bool:
    values = np.concatenate([curve.values for curve in group])
    values = values[np.isfinite(values)]
    return len(values) > 1 and values.min() > 0 and values.max() > _LOGARITHMIC * values.min()


def main() -> None:
    parser = argparse.ArgumentParser("soke.cli.plot", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a training run, experiments/NAME")
    parser.add_argument("--out", type=Path, help="a .png; without it curves.png in the run")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    log.info("wrote %s", plot_run(options.run, options.out))


if __name__ == "__main__":
    run_verb(main)
