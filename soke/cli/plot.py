"""Draw the loss and score curves of a training run from its TensorBoard logs.

    soke plot experiments/NAME

writes experiments/NAME/curves.png: one small plot per quantity, one color per part of the body.
Lines are training, dots are validation; the last value of each stands above its plot.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from soke.cli.charts import (
    COLORS,
    COLUMNS,
    INK,
    PALE_INK,
    count_ticks,
    headline,
    require_png,
    small_plots,
    write_figure,
)
from soke.cli.main import run_verb
from soke.files import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

Scalars = Mapping[str, tuple[np.ndarray, np.ndarray]]
_EPOCH = "epoch"
_RATE = "lr-"
_LEGEND_COLUMNS = 2
_LOGARITHMIC = 30  # a loss that falls by such a factor gets a logarithmic axis


@dataclass(frozen=True, eq=False)
class Curve:
    """A logged number over training."""

    stage: str  # train, val or empty
    part: str  # empty where the number is of no part
    steps: np.ndarray  # [N], rising
    values: np.ndarray  # [N]


def read_scalars(folder: str | Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read steps [N] and values [N] of every number in a run's TensorBoard files, by its tag.

    Where a run was resumed, the latest value of a step counts. Raises
    `soke.files.MissingAssetError` without the folder or logs in it, and ``ValueError`` when the
    logs hold no numbers.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = require(folder, "The run's folder", "`python -m train --cfg ...` makes one")
    files = sorted(folder.rglob("events.out.tfevents.*"))
    if not files:
        require(folder / "logs" / "events.out.tfevents.*", "The run's logs", "Train it first")
    points: dict[str, dict[int, float]] = {}
    for file in files:  # their names hold the time, so the order is that of the runs
        events = EventAccumulator(str(file), size_guidance={"scalars": 0})
        events.Reload()
        for tag in events.Tags()["scalars"]:
            values = {event.step: event.value for event in events.Scalars(tag)}
            points.setdefault(tag, {}).update(values)
    if not points:
        raise ValueError(f"the logs of {folder} hold no numbers: nothing was logged yet")
    return {
        tag: (np.array(sorted(values)), np.array([values[step] for step in sorted(values)]))
        for tag, values in points.items()
    }


def curves(scalars: Scalars) -> dict[str, list[Curve]]:
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
            stem = names[tag]
            part = ""
        stage = tag.partition("/")[0] if names[tag] != tag else ""
        found.setdefault(stem, []).append(Curve(stage, part, *scalars[tag]))
    return found


def plot_run(folder: str | Path, path: str | Path | None = None) -> Path:
    """Write the curves of a run as PNG, by default into its folder. Returns the path.

    Raises as `read_scalars` does, and ``ValueError`` for a path that does not end in .png.
    """
    folder = Path(folder)
    scalars = read_scalars(folder)
    path = folder / "curves.png" if path is None else Path(path)
    require_png(path)
    steps = max(int(steps[-1]) for steps, _ in scalars.values()) + 1
    title = f"{folder.resolve().name}     {steps:,} steps"
    if _EPOCH in scalars:
        title += f", {int(scalars[_EPOCH][1].max()) + 1:,} epochs"
    title += "     lines: training, dots: validation, numbers: last values"
    write_figure(path, lambda figure: _draw(figure, curves(scalars), title))
    return path


def _draw(figure: Figure, found: Mapping[str, list[Curve]], title: str) -> None:
    headline(figure, title)
    parts = dict.fromkeys(c.part for group in found.values() for c in group if c.part)
    colors = {"": INK} | {part: COLORS[i % len(COLORS)] for i, part in enumerate(parts)}
    last = max(int(curve.steps[-1]) for group in found.values() for curve in group)
    plots = small_plots(figure, len(found), row=2.6, head=0.7)
    for axes, (quantity, group) in zip(plots, found.items()):
        _plot(axes, quantity, group, colors)
        axes.set_xlim(0, max(last, 1) * 1.02)
    for axes in plots[-COLUMNS:]:
        axes.set_xlabel("step")


def _plot(axes: Axes, quantity: str, group: Sequence[Curve], colors: Mapping[str, str]) -> None:
    for curve in group:
        color = colors[curve.part]
        if curve.stage == "val" or len(curve.values) < 2:
            style: dict[str, Any] = {"linestyle": (0, (2, 2)), "marker": "o", "markersize": 3.5}
        else:
            style = {}
        axes.plot(curve.steps, curve.values, color=color, linewidth=1.1, **style)
    legend_rows = _add_legend(axes, group, colors)
    missing = sum(int((~np.isfinite(curve.values)).sum()) for curve in group)
    note = f"  ({missing} not finite)" if missing else ""
    axes.set_title(_title(quantity) + note, pad=6 + 11 * legend_rows)
    if _falls_far(group):
        axes.set_yscale("log")
    else:
        axes.locator_params(axis="y", nbins=5)
    count_ticks(axes.xaxis, 4)
    axes.grid(axis="y", color=PALE_INK, alpha=0.15, linewidth=0.6)


def _add_legend(axes: Axes, group: Sequence[Curve], colors: Mapping[str, str]) -> int:
    """Put parts and last values between the title and the plot. Returns the number of rows."""
    from matplotlib.lines import Line2D

    parts = list(dict.fromkeys(curve.part for curve in group))
    legend = axes.legend(
        [Line2D([], [], color=colors[part], linewidth=2) for part in parts],
        [_last_values(part, group) for part in parts],
        ncols=_LEGEND_COLUMNS,
        fontsize=7.5,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderpad=0,
        borderaxespad=0.4,
        handlelength=0.6,
        handletextpad=0.4,
        columnspacing=1.2,
        labelspacing=0.25,
    )
    legend.set_in_layout(False)  # or a long one would narrow every plot
    return math.ceil(len(parts) / _LEGEND_COLUMNS)


def _last_values(part: str, group: Sequence[Curve]) -> str:
    """A part's name and last values, training before validation."""
    own = sorted((curve for curve in group if curve.part == part), key=lambda curve: curve.stage)
    values = " / ".join(f"{curve.values[-1]:.3g}" for curve in own)
    return f"{part or 'all'} {values}" if any(curve.part for curve in group) else values


def _title(quantity: str) -> str:
    if quantity.startswith(_RATE):
        return f"learning rate ({quantity.removeprefix(_RATE)})"
    return quantity.replace("_", " ")


def _falls_far(group: Sequence[Curve]) -> bool:
    values = np.concatenate([curve.values for curve in group])
    values = values[np.isfinite(values)]
    return len(values) > 1 and values.min() > 0 and values.max() > _LOGARITHMIC * values.min()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a training run, experiments/NAME")
    parser.add_argument("--out", type=Path, help="a .png; by default curves.png in the run")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    log.info("wrote %s", plot_run(options.run, options.out))


if __name__ == "__main__":
    run_verb(main)
