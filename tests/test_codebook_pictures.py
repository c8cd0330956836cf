"""Contact sheets of a codebook: what is drawn, counted, ordered and written."""

import json
import math
from argparse import ArgumentParser
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from soke.assemble.run import Run
from soke.body import BodyModel
from soke.cli.show import command
from soke.cli.show.codes import (
    BAR,
    CELL,
    FADED,
    GAP,
    choose_view,
    code_poses,
    draw_codes,
    lay_out,
    render_codebook,
)
from soke.config import load_config
from soke.data.token_files import CodeUsage, count_codes, token_files
from soke.files import checksum
from soke.parts import Part, PartTable
from tests.helpers import THREE_PARTS, small_tokenizer


@pytest.fixture(scope="module")
def body():
    return BodyModel()


def write(folder, name, tokens):
    path = folder / f"{name}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.asarray(tokens)[None])


def test_a_picture_shows_the_code_alone_in_the_mean_pose():
    tokenizer = small_tokenizer()
    poses = code_poses(tokenizer, 2)
    assert poses.shape == (12, 133)
    for code in range(12):
        # The decoder of the part itself, on one code at a time.
        network = tokenizer.networks[2]
        codes = network.quantizer.codebook[code].expand(1, 7, -1)
        decoded = network.decoder(codes, torch.ones(1, 7, dtype=torch.bool))[0, 14]
        expected = tokenizer.mean.clone()
        expected[75:120] += decoded * tokenizer.std[75:120]
        torch.testing.assert_close(poses[code], expected)
    assert (poses[1:, 75:120] - poses[:1, 75:120]).abs().amax(dim=1).min() > 1e-4


@torch.no_grad()
def test_a_repeated_code_stands_still_so_that_one_picture_is_enough():
    tokenizer = small_tokenizer()
    motion = tokenizer.decode(torch.full((1, 80, 3), 5))[0]
    middle = motion[4 * 36 : 4 * 44]
    torch.testing.assert_close(middle, middle[:1].expand_as(middle), atol=1e-5, rtol=0)
    assert (motion[0] - middle[0]).abs().max() > 1e-3  # at the ends it does move


def test_codes_are_counted_over_the_files_of_the_configured_corpora(tmp_path):
    parts = PartTable.from_rows(THREE_PARTS)
    draws = np.random.default_rng(0)
    counted = Counter()
    for name in ("how2sign/a", "how2sign/b", "phoenix/train/c"):
        tokens = draws.integers(0, 8, (draws.integers(3, 20), 3))
        write(tmp_path, name, tokens)
        counted.update(tokens[:, 1].tolist())
    write(tmp_path, "csl/not-configured", [[0, 0, 0]])
    write(tmp_path, "how2sign/.half-written", [[0, 0, 0]])
    paths = [path for name in ("how2sign", "phoenix") for path in token_files(tmp_path, name)]
    usages = count_codes(iter(paths), parts)
    assert [len(usage.counts) for usage in usages] == [16, 8, 12]
    assert len({usage.counts.sum() for usage in usages}) == 1
    usage = usages[1]
    assert usage.clips == 3
    assert usage.counts.tolist() == [counted[code] for code in range(8)]
    assert usage.share.sum() == pytest.approx(1)

    assert token_files(tmp_path / "nowhere", "how2sign") == [] == count_codes([], parts)
    write(tmp_path, "how2sign/d", [[0, 8, 0]])
    with pytest.raises(ValueError, match="'lhand' run from 8 to 8"):
        count_codes(token_files(tmp_path, "how2sign"), parts)


def test_perplexity_and_order():
    assert CodeUsage(np.full(32, 7), 1).perplexity == pytest.approx(32)
    assert CodeUsage(np.array([0, 9, 0]), 1).perplexity == pytest.approx(1)
    usage = CodeUsage(np.array([0, 3, 1, 0, 3, 5]), 2)
    shares = [3 / 12, 1 / 12, 3 / 12, 5 / 12]
    assert usage.perplexity == pytest.approx(math.exp(-sum(p * math.log(p) for p in shares)))
    assert usage.order == [5, 1, 4, 2, 0, 3] and usage.in_use == 4


@pytest.mark.parametrize(
    ("columns", "view"),
    [
        (((75, 120),), "right_hand"),
        (((30, 75),), "left_hand"),
        (((120, 133),), "face"),
        (((0, 30), (120, 133)), "upper_body"),
        (((30, 120),), "upper_body"),
        (((0, 133),), "upper_body"),
    ],
)
def test_the_view_follows_from_what_the_part_moves(body, columns, view):
    # The name says the opposite of what the columns are: it must not count.
    assert choose_view(Part("lhand", columns, 8, 1.0, "id"), body) == view


def changed(one, other):
    """The share of pixels that differ by more than the last bits of posed vertices can explain."""
    return (np.abs(one.astype(int) - other) > 8).any(axis=2).mean()


def test_pictures_differ_where_poses_differ(body):
    poses = torch.zeros(3, 133)
    poses[2, 75:120] = 0.6  # the right hand closes
    first, same, closed = draw_codes(poses, body, "right_hand")
    assert first.shape == (CELL, CELL, 3)
    assert changed(first, same) < 0.001 and changed(first, closed) > 0.05
    skin = (np.ptp(first.astype(int), axis=2) > 25).mean()  # page and ground are grey
    assert 0.1 < skin < 0.8


def cell_corner(sheet, cells, columns, place):
    """Top left of a cell of the grid at the foot of a sheet, worked out from the sheet's size."""
    rows = -(-cells // columns)
    columns_wide = (sheet.shape[1] - GAP) // columns
    strip = 2 + round(1.35 * 14)  # one line of caption
    height = CELL + BAR + strip + GAP
    top = sheet.shape[0] - rows * height
    return top + place // columns * height, GAP + place % columns * columns_wide


def test_cells_are_sorted_and_unused_codes_pale():
    shades = (40, 80, 120, 160)
    pictures = [np.full((CELL, CELL, 3), shade, np.uint8) for shade in shades]
    usage = CodeUsage(np.array([0, 10, 0, 30]), 2)
    sheet = lay_out(pictures, usage, "heading", "note")
    places = [cell_corner(sheet, 4, 2, place) for place in range(4)]
    pale = [round(FADED * shade + (1 - FADED) * 255) for shade in shades]
    seen = [sheet[top + 5, left + 5].tolist() for top, left in places]
    assert seen == [[value] * 3 for value in (160, 80, pale[0], pale[2])]
    # The bars: whole for the most frequent code, a third for the other, none for unused ones.
    widths = []
    for top, left in places:
        bar = sheet[top + CELL + 1, left : left + CELL].astype(int)
        widths.append(int((np.ptp(bar, axis=1) > 25).sum()))
    assert widths == [CELL, CELL // 3, 0, 0]


def test_without_frequencies_codes_come_by_number_at_full_strength():
    pictures = [np.full((CELL, CELL, 3), 40 * (k + 1), np.uint8) for k in range(4)]
    sheet = lay_out(pictures, None, "heading", "note")
    corners = [cell_corner(sheet, 4, 2, place) for place in range(4)]
    assert [sheet[top + 5, left + 5, 0] for top, left in corners] == [40, 80, 120, 160]


def test_captions_tell_frequency_and_heading(body):
    pictures = [np.full((CELL, CELL, 3), 200, np.uint8)] * 2
    one = lay_out(pictures, CodeUsage(np.array([50, 50]), 1), "heading", "note")
    other = lay_out(pictures, CodeUsage(np.array([51, 49]), 1), "heading", "note")
    assert one.shape == other.shape and (one != other).any()
    renamed = lay_out(pictures, CodeUsage(np.array([50, 50]), 1), "Heading", "note")
    assert (one != renamed).any()


@pytest.fixture
def config(tmp_path):
    rows = [{**row, "codebook_size": 4} for row in THREE_PARTS]
    tokenizer = small_tokenizer(rows)
    content = {
        "soke": {"tokenizer": tokenizer.description()},
        "state_dict": {f"tokenizer.{k}": v for k, v in tokenizer.state_dict().items()},
    }
    torch.save(content, tmp_path / "tokenizer.ckpt")
    loaded = load_config(
        "configs/demo/soke.yaml",
        [
            f"TRAIN.PRETRAINED_VAE={tmp_path / 'tokenizer.ckpt'}",
            f"DATASET.H2S.ROOT={tmp_path / 'data'}",
            f"OUTPUT.VISUALIZE={tmp_path / 'visualize'}",
        ],
    )
    loaded.DEBUG = False
    loaded.PARTS = rows
    return loaded


def test_the_sheet_is_written_with_and_without_token_files(config, tmp_path, caplog):
    caplog.set_level("INFO")
    path = render_codebook(Run(config), "rhand")
    assert path == tmp_path / "visualize" / config.NAME / "codebook-rhand.png"
    assert "frequencies unknown" in caplog.text and "get_motion_code" in caplog.text
    without = np.asarray(Image.open(path))

    folder = Run(config).token_folder
    write(folder, "how2sign/a", [[0, 0, 2], [0, 1, 2], [3, 1, 1]])
    assert render_codebook(Run(config), "rhand", tmp_path / "mine").parent == tmp_path / "mine"
    assert "2 in use (50%), perplexity 1.9 over 3 steps of 1 clips" in caplog.text
    assert "does not say which tokenizer" in caplog.text
    counted = np.asarray(Image.open(tmp_path / "mine" / "codebook-rhand.png"))
    assert counted.ndim == 3 and without.ndim == 3
    # The last cell holds code 3: unused, so paler than where nothing was counted.
    dark = [(sheet[-CELL:, -CELL:].min(axis=2) < 110).mean() for sheet in (without, counted)]
    assert dark[0] > 0.03 and dark[1] < dark[0] / 5
    left = [p.name for p in (tmp_path / "mine").iterdir()]
    assert left == ["codebook-rhand.png"]


def test_what_does_not_fit_is_one_clear_error(config, tmp_path):
    with pytest.raises(ValueError, match="'face'; choose one of the parts: body, lhand, rhand"):
        render_codebook(Run(config), "face")
    folder = Run(config).token_folder
    write(folder, "how2sign/a", [[0, 0, 0]])
    manifest = {"tokenizer": "0" * 64}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ValueError, match="tokens of another tokenizer"):
        render_codebook(Run(config), "body")
    assert not (tmp_path / "visualize").exists()
    manifest["tokenizer"] = checksum(config.TRAIN.PRETRAINED_VAE)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert render_codebook(Run(config), "body").exists()


def test_the_verb_does_one_thing_at_a_time(capsys):
    parser = ArgumentParser()
    command.add_options(parser)
    assert parser.parse_args(["--codebook", "rhand"]).codebook == "rhand"
    for words in (["--text", "hello"], ["--demo_dataset", "csl"]):
        with pytest.raises(SystemExit):
            parser.parse_args(["--codebook", "rhand", *words])
        assert "not allowed with argument" in capsys.readouterr().err
