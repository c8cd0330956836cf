import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from soke.cli import plot as module
from soke.cli.plot import curves, plot_run, read_scalars
from soke.files import MissingAssetError


def write(folder, scalars, suffix=""):
    """Log values [(step, value), ...] by their tag."""
    with SummaryWriter(str(folder / "logs"), filename_suffix=suffix) as writer:
        for tag, points in scalars.items():
            for step, value in points:
                writer.add_scalar(tag, value, step)


def falling(scale=1.0):
    return [(step, scale / (1 + step)) for step in range(0, 100, 10)]


RUN = {
    "lr-AdamW/pg1": falling(1e-3),
    "train/loss": falling(3),
    "train/loss_body": falling(),
    "train/loss_lhand": falling(2),
    "train/codes_used_body": falling(),
    "train/commitment": falling(),
    "epoch": [(0, 0), (90, 4)],
    "val/loss": [(40, 2.0), (90, 1.5)],
    "val/codes_used_body": [(90, 0.5)],
    "val/codes_used_lhand": [(90, 0.25)],
}


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn, beside the file that was written."""
    figures = []
    real = module.write_figure

    def keep(path, draw):
        def both(figure):
            draw(figure)
            figures.append(figure)

        real(path, both)

    monkeypatch.setattr(module, "write_figure", keep)
    return figures


def plots(figure: Figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_visible()}


def test_numbers_are_read_as_they_were_logged(tmp_path):
    write(tmp_path, RUN)
    scalars = read_scalars(tmp_path)
    assert set(scalars) == set(RUN)
    for tag, points in RUN.items():
        steps, values = scalars[tag]
        assert steps.tolist() == [step for step, _ in points]
        np.testing.assert_allclose(values, [value for _, value in points], rtol=1e-6)


def test_no_point_is_left_out_of_a_long_run(tmp_path):
    write(tmp_path, {"train/loss": [(step, float(step)) for step in range(12_000)]})
    assert len(read_scalars(tmp_path)["train/loss"][0]) == 12_000


def test_after_a_resumed_run_the_later_log_counts(tmp_path, monkeypatch):
    write(tmp_path, {"train/loss": [(0, 5.0), (10, 4.0), (20, 3.0)]}, ".a")
    monkeypatch.setattr("time.time", lambda: 4e9)
    write(tmp_path, {"train/loss": [(20, 2.5), (30, 2.0)]}, ".b")
    steps, values = read_scalars(tmp_path)["train/loss"]
    assert steps.tolist() == [0, 10, 20, 30] and values.tolist() == [5, 4, 2.5, 2]


def test_curves_are_grouped_by_quantity_and_part(tmp_path):
    write(tmp_path, RUN)
    found = curves(read_scalars(tmp_path))
    assert list(found)[-1] == "lr-AdamW/pg1"
    assert {q: {(c.stage, c.part) for c in group} for q, group in found.items()} == {
        "loss": {("train", ""), ("train", "body"), ("train", "lhand"), ("val", "")},
        "codes_used": {("train", "body"), ("val", "body"), ("val", "lhand")},
        "commitment": {("train", "")},
        "lr-AdamW/pg1": {("", "")},
    }


def test_the_picture_shows_the_numbers(tmp_path, drawn):
    write(tmp_path / "my-run", RUN)
    path = plot_run(tmp_path / "my-run")
    assert path == tmp_path / "my-run" / "curves.png"
    with Image.open(path) as picture:
        assert picture.width == 1200 and len(picture.convert("RGB").getcolors(10**6)) > 50
    (figure,) = drawn
    assert figure.get_suptitle().startswith("my-run     91 steps, 5 epochs")
    by_title = plots(figure)
    assert list(by_title) == ["loss", "codes used", "commitment", "learning rate (AdamW/pg1)"]
    lines = by_title["loss"].lines
    for points in (RUN["train/loss"], RUN["train/loss_lhand"], RUN["val/loss"]):
        assert any(
            line.get_xdata().tolist() == [s for s, _ in points]
            and np.allclose(line.get_ydata(), [v for _, v in points])
            for line in lines
        )
    assert by_title["loss"].get_yscale() == "log"
    said = [text.get_text() for text in by_title["loss"].get_legend().get_texts()]
    assert said == ["all 0.033 / 1.5", "body 0.011", "lhand 0.022"]
    colors = {  # a part has one colour throughout
        text.get_text().split()[0]: line.get_color()
        for name in ("loss", "codes used")
        for text, line in zip(
            by_title[name].get_legend().get_texts(), by_title[name].get_legend().get_lines()
        )
    }
    assert len(set(colors.values())) == 3
    assert colors["body"] in {line.get_color() for line in by_title["codes used"].lines}


def test_numbers_that_are_not_finite_are_counted(tmp_path, drawn):
    write(
        tmp_path,
        {
            "train/loss": [(0, 1.0), (1, math.nan), (2, math.inf), (3, 2.0)],
            "train/gone": [(0, math.nan)],
        },
    )
    plot_run(tmp_path, tmp_path / "deep" / "x.png")
    assert (tmp_path / "deep" / "x.png").exists()
    assert list(plots(drawn[0])) == ["loss  (2 not finite)", "gone  (1 not finite)"]


def test_runs_without_anything_to_draw(tmp_path):
    with pytest.raises(MissingAssetError, match=r"run's folder not found: looked for .*nowhere"):
        plot_run(tmp_path / "nowhere")
    with pytest.raises(MissingAssetError, match="run's logs not found"):
        plot_run(tmp_path)
    write(tmp_path, {})
    with pytest.raises(ValueError, match="hold no numbers: nothing was logged yet"):
        plot_run(tmp_path)
    write(tmp_path, {"train/loss": [(0, 1.0)]}, ".later")
    with pytest.raises(ValueError, match=r"x\.pdf should end in \.png"):
        plot_run(tmp_path, tmp_path / "x.pdf")
    plot_run(tmp_path)


def test_a_log_that_is_cut_short_gives_what_it_holds(tmp_path):
    write(tmp_path, {"train/loss": falling()})
    (file,) = (tmp_path / "logs").iterdir()
    file.write_bytes(file.read_bytes()[:-20])
    assert 5 < len(read_scalars(tmp_path)["train/loss"][0]) < 10
    file.write_bytes(b"no events")
    with pytest.raises(ValueError, match="hold no numbers"):
        read_scalars(tmp_path)
