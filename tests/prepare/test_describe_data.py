"""The description of a tiny corpus, against numbers counted by hand."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from soke.assemble.run import Run
from soke.cli.charts import COLORS
from soke.cli.describe import __main__ as command
from soke.cli.describe import figures
from soke.cli.describe.corpus_tables import all_tables
from soke.cli.describe.counting import (
    characters,
    count_frames,
    piece_row,
    spread,
    vocabulary_row,
    words,
)
from soke.cli.describe.description import describe
from soke.cli.tables import WIDTH
from soke.config import load_config
from soke.data.datasets import LengthLimits
from soke.data.lengths import length_rule, thin_frames
from soke.data.listing.annotations import NO_POSES, too_long
from soke.data.token_files import token_path, write_tokens
from soke.generator.vocabulary import UNK
from tests.data.conftest import CorpusWriter, motion
from tests.helpers import mbart_folder

CFG = Path(__file__).parents[2] / "configs" / "soke.yaml"
CSL_CLIPS = 10  # more than a debug run takes


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two small corpora, tokens of two clips, and a folder for the generator."""
    root = tmp_path_factory.mktemp("data")
    asl = CorpusWriter("how2sign", root / "How2Sign")
    asl.annotate(
        [
            ("a", "Don’t stop, don't go!", 0.0, 3.0, 24.0),
            ("b", "Go.", 0.0, 1.0, 30.0),
            ("c", "A stop", 0.0, 17.0, 24.0),
            ("d", "go", 0.0, 2.0, 24.0),
            ("nowhere", "lost", 0.0, 2.0, 24.0),
            ("long", "lost", 0.0, 31.0, 24.0),
        ]
    )
    for name, length in (("a", 60), ("b", 30), ("c", 403), ("long", 50)):
        asl.write_clip(name, motion(length))
    asl.write_frames("d", motion(43), numbers=[*range(20), *range(22, 45)])  # without 20 and 21
    for split, text, length in (("val", "Go home", 44), ("test", "stop", 48)):
        asl.annotate([(split, text)], split)
        asl.write_clip(split, motion(length), split)
    csl = CorpusWriter("csl", root / "CSL")
    for split, texts in (("train", ["你好，A4"] * CSL_CLIPS), ("val", ["你们"]), ("test", ["好"])):
        csl.annotate([(f"{split}{i}", text) for i, text in enumerate(texts)], split)
        for i in range(len(texts)):
            csl.write_clip(f"{split}{i}", motion(82 + 4 * i))
    mbart_folder(root / "mbart")
    for name, body in (("a", [0, 0]), ("val", [1, 95])):
        tokens = np.array([body, [7, 7], [191, 0]]).T
        write_tokens(token_path(root / "How2Sign" / "TOKENS", "how2sign", name), tokens)
    return root


def overrides(data, *more):
    return [
        f"DATASET.H2S.ROOT={data / 'How2Sign'}",
        f"DATASET.H2S.CSL_ROOT={data / 'CSL'}",
        "DATASET.H2S.DATASET_NAME=how2sign_csl",
        f"model.generator.folder={data / 'mbart'}",
        "DATASET.PACKED=null",
        "TRAIN.NUM_WORKERS=0",
        *more,
    ]


@pytest.fixture(scope="module")
def description(data):
    return describe(Run(load_config(CFG, overrides(data))))


def row(description, subject, **wanted):
    """The one row of a subject with these values."""
    found = [r for r in description.rows[subject] if wanted.items() <= r.items()]
    assert len(found) == 1, found
    return found[0]


def test_lengths(description):
    train = row(description, "lengths", data_set="how2sign", split="train")
    assert train["clips"] == 4 and train["fps"] == 24
    lengths = {"least": 24, "median": 51.5, "mean": 132.5, "greatest": 403}  # of 60, 24, 403, 43
    assert {key: train[key] for key in lengths} == lengths
    assert train["seconds"] == pytest.approx(530 / 24)
    assert train["stretched"] == train["squeezed"] == 0.25
    other = row(description, "lengths", data_set="csl", split="train")
    assert (other["least"], other["greatest"], other["stretched"]) == (82, 118, 0)
    assert other["p95"] == pytest.approx(82 + 36 * 0.95)


def test_entries_and_frames_left_out(description):
    entries = row(description, "entries", data_set="how2sign", split="train")
    assert entries["entries"] == 6 and entries["kept"] == 4
    assert entries["dropped"] == {NO_POSES: 1, too_long(30): 1}
    assert row(description, "entries", data_set="csl", split="train")["dropped"] == {}
    frames = row(description, "frames", data_set="how2sign", split="train")
    expected = {
        "native": 60 + 30 + 403 + 43,
        "frame_rate": 6,
        "cut": 3,
        "squeezed": 3,
        "repeated": 16,
        "used": 60 + 40 + 400 + 40,
        "missing": 2,
        "clips_with_gaps": 1,
    }
    assert {key: frames[key] for key in expected} == expected


@pytest.mark.parametrize("fps", [24.0, 25.0, 29.97, 30.0, 59.94, math.nan])
def test_frames_add_up_and_thinning_is_worked_back(fps):
    limits, native = LengthLimits(40, 400, 4), np.arange(8, 900)
    rate = 24.0 if math.isnan(fps) else fps
    lengths = np.array([len(thin_frames(n, rate)) for n in native])
    rates = np.full(len(native), fps)
    found = count_frames(lengths, rates, 24, limits)
    used = sum(len(length_rule(n, 40, 400, 4)) for n in lengths)
    parts = [found[key] for key in ("frame_rate", "cut", "squeezed")]
    assert found["used"] == used == found["native"] - sum(parts) + found["repeated"]
    assert 0 <= native.sum() - found["native"] <= math.ceil(rate / 24 - 1) * len(native)
    # Each clip alone: the least number of frames that is thinned to this length.
    for n in native[::37]:
        i = n - native[0]
        least = count_frames(lengths[i : i + 1], rates[:1], 24, limits)["native"]
        assert least <= n and len(thin_frames(least, rate)) == lengths[i]
        assert least == 1 or len(thin_frames(least - 1, rate)) < lengths[i]


def test_texts(description):
    train = row(description, "texts", data_set="how2sign", split="train")
    assert (train["language"], train["unit"], train["texts"]) == ("en", "word", 4)
    assert train["length"] == spread([4, 1, 2, 1]) and train["length"]["mean"] == 2
    assert train["characters"]["mean"] == (14 + 2 + 5 + 2) / 4
    chinese = row(description, "texts", data_set="csl", split="train")
    assert (chinese["unit"], chinese["distinct"], chinese["texts"]) == ("character", 1, CSL_CLIPS)
    assert chinese["length"]["mean"] == chinese["characters"]["mean"] == 4
    assert (chinese["with_gloss"], chinese["gloss_types"], chinese["signers"]) == (CSL_CLIPS, 1, 0)
    assert train["with_gloss"] == 0 and train["annotated_frames"]["mean"] is None


def test_words_of_texts():
    assert words("Don’t go - go, DON'T!", "en") == ["don't", "go", "go", "don't"]
    assert words("'tis the girls' turn", "en") == ["tis", "the", "girls", "turn"]
    assert words("Scho\N{COMBINING DIAERESIS}ne Gru\N{COMBINING DIAERESIS}ße, 20 Grad", "de") == (
        ["schöne", "grüße", "20", "grad"]
    )
    assert words("今天 12点，去A座。", "zh") == list("今天12点去a座")
    assert characters("Scho\N{COMBINING DIAERESIS}n, ja!") == 7
    assert words("...", "en") == [] and characters(" - ") == 0


def test_vocabulary(description):
    english = row(description, "vocabulary", language="en")
    assert (english["types"], english["tokens"], english["hapax"]) == (4, 8, 0.25)
    assert english["held_out"] == [
        {"split": "val", "types": 2, "tokens": 2, "unseen_types": 0.5, "unseen_tokens": 0.5},
        {"split": "test", "types": 1, "tokens": 1, "unseen_types": 0, "unseen_tokens": 0},
    ]
    chinese = row(description, "vocabulary", language="zh")
    assert (chinese["types"], chinese["tokens"], chinese["hapax"]) == (4, 4 * CSL_CLIPS, 0)
    assert chinese["held_out"][0]["unseen_tokens"] == 0.5


def test_shares_of_nothing_are_unknown():
    empty = vocabulary_row("en", {"train": Counter()}, "train")
    assert empty["hapax"] is None and empty["held_out"] == []
    assert set(spread([]).values()) == {None}


def test_pieces(data, description):
    # Capital letters are unknown to this vocabulary: "▁Go▁home" has eight pieces.
    val = row(description, "pieces", language="en", split="val")
    assert (val["pieces"], val["unknown"], val["longest"]) == (8, 1 / 8, 8)
    assert val["texts_with_unknown"] == 1
    test = row(description, "pieces", language="en", split="test")
    assert (test["pieces"], test["unknown"], test["texts_with_unknown"]) == (5, 0, 0)
    lower = describe(Run(load_config(CFG, overrides(data, "CORPORA.how2sign.lowercase=true"))))
    assert row(lower, "pieces", language="en", split="val")["unknown"] == 0

    rows = {"x": [5, UNK, UNK], "y": [5], "z": [UNK, 6, 7, 8]}
    counted = piece_row("en", "val", list(rows), rows.__getitem__)
    assert counted["unknown"] == 3 / 8 and counted["texts_with_unknown"] == 2 / 3
    assert counted["longest"] == 4


def test_without_the_generator_there_are_no_pieces(data, tmp_path):
    found = describe(
        Run(load_config(CFG, overrides(data, f"model.generator.folder={tmp_path / 'no'}")))
    )
    assert found.rows["pieces"] == [] and "mBART folder not found" in found.notes["pieces"]
    assert not any("pieces" in table.title for table in all_tables(found))


def test_token_usage(data, description):
    body, left, right = description.rows["tokens"]
    assert [r["part"] for r in (body, left, right)] == ["body", "lhand", "rhand"]
    assert (body["data_set"], body["clips"], body["with_tokens"]) == ("how2sign", 6, 2)
    assert (body["steps"], body["codes"], body["in_use"]) == (4, 96, 3)
    assert body["perplexity"] == pytest.approx(2**1.5)  # of 1/2, 1/4, 1/4
    assert {k: n for k, n in enumerate(body["counts"]) if n} == {0: 2, 1: 1, 95: 1}
    assert (left["in_use"], left["perplexity"]) == (1, pytest.approx(1))
    assert (right["in_use"], right["perplexity"]) == (2, pytest.approx(2))


def test_tokens_of_another_part_table_are_refused(data):
    whole = "{name: all, columns: [[0, 133]], codebook_size: 8, fusion_weight: 1, token_prefix: x}"
    with pytest.raises(ValueError, match=r"a\.npy has shape \(1, 2, 3\)"):
        describe(Run(load_config(CFG, overrides(data, f"PARTS=[{whole}]"))))


def heights(axes):
    return sum(bar.get_height() for bar in axes.patches)


def test_histograms_hold_everything(description):
    figure = Figure()
    figures.draw_lengths(figure, description)
    shown = {axes.get_title().split("\n")[0]: heights(axes) for axes in figure.axes}
    titles = {title.split(":")[0]: count for title, count in shown.items()}
    assert titles == {
        "how2sign train": 4,
        "how2sign val": 1,
        "how2sign test": 1,
        "csl train": CSL_CLIPS,
        "csl val": 1,
        "csl test": 1,
    }
    figure = Figure()
    figures.draw_texts(figure, description)
    lengths = [axes for axes in figure.axes if "length in" in axes.get_title()]
    assert [heights(axes) for axes in lengths] == [6, CSL_CLIPS + 2]


def test_curves(description):
    figures.draw_texts(figure := Figure(), description)
    english, chinese = (axes.lines[0].get_ydata().tolist() for axes in figure.axes[1::2])
    assert english == [3, 2, 2, 1] and chinese == [CSL_CLIPS] * 4  # go, stop, don't, a
    rows = [r for r in description.rows["tokens"] if r["part"] == "body"]
    figures.draw_frequencies(axes := Figure().subplots(), rows, COLORS)
    assert axes.lines[0].get_ydata().tolist() == [0.5, 0.25, 0.25]


def has(path, color):
    """Whether a picture has pixels of a colour such as #0072B2."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((pixels == wanted).all(axis=-1).any())


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["describe_data", "--cfg", str(CFG), *map(str, arguments)])
    command.main()


def test_the_command_describes_everything(data, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    run(monkeypatch, "--out", out, *overrides(data))  # without --nodebug
    content = json.loads((out / "data_description.json").read_text(encoding="utf-8"))
    assert content["data_sets"] == ["how2sign", "csl"]
    clips = {(r["data_set"], r["split"]): r["clips"] for r in content["lengths"]}
    assert clips["csl", "train"] == CSL_CLIPS and clips["how2sign", "train"] == 4
    assert len(content["tokens"]) == 3 and content["notes"] == {}
    names = {f"{name}.png" for name in figures.FIGURES}
    assert {path.name for path in out.iterdir()} == {*names, "data_description.json"}
    for name in names - {"token_usage.png"}:
        assert Image.open(out / name).width == 1200
        assert has(out / name, COLORS[0]) and has(out / name, COLORS[1])
    assert has(out / "token_usage.png", COLORS[0]) and not has(out / "token_usage.png", COLORS[1])
    printed = capsys.readouterr().out
    assert all(len(line) <= WIDTH for line in printed.splitlines())
    assert "no pose files: 1" in printed and "50.0%" in printed and "2 of 6" in printed


def test_a_data_set_keeps_its_colour_alone_and_stale_pictures_go(data, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "token_usage.png").touch()
    chosen = ["DATASET.H2S.DATASET_NAME=csl", f"OUTPUT.VISUALIZE={tmp_path}", "NAME=."]
    run(monkeypatch, *overrides(data, *chosen))
    folder = tmp_path / "data"
    assert not (folder / "token_usage.png").exists()
    for path in folder.glob("*.png"):
        assert has(path, COLORS[1]) and not has(path, COLORS[0]), path
    notes = json.loads((folder / "data_description.json").read_text())["notes"]
    assert "no token files" in notes["tokens"] and "get_motion_code" in notes["tokens"]


def test_unread_poses_are_said_to_be_unknown(data, tmp_path, monkeypatch, capsys):
    run(monkeypatch, "--out", tmp_path, *overrides(data, "DATASET.CHECK_POSES=false"))
    content = json.loads((tmp_path / "data_description.json").read_text(encoding="utf-8"))
    assert all(r["median"] is None and r["squeezed"] is None for r in content["lengths"])
    assert all(r["used"] is None for r in content["frames"])
    assert "CHECK_POSES" in content["notes"]["lengths"]
    assert not (tmp_path / "clip_lengths.png").exists() and (tmp_path / "texts.png").exists()
    assert "CHECK_POSES" in capsys.readouterr().out
