"""What the doctor says of data sets, packed stores and statistics."""

import os
import shutil

import numpy as np
import pytest
import torch

from soke.cli.doctor.__main__ import main
from soke.cli.doctor.rows import MISSING, NOTE, OK, WRONG
from tests.data.conftest import motion
from tests.data.test_plausibility import waving
from tests.prepare.patient import CSV, follow, gone, spoiled, stops, training_starts


@pytest.mark.parametrize(
    ("change", "what", "state", "detail"),
    [
        (gone(CSV.format("train")), "how2sign train", MISSING, "annotation"),
        (gone("data/Phoenix/phoenix14t.dev"), "phoenix val", MISSING, "phoenix14t.dev"),
        (spoiled("data/Phoenix/phoenix14t.train"), "phoenix train", WRONG, "pickle"),
        (spoiled(CSV.format("val")), "how2sign val", WRONG, "no column"),
        (gone("std.pt"), "statistics", MISSING, "std.pt"),
        (spoiled("mean.pt"), "statistics", WRONG, ""),
    ],
)
def test_what_the_tokenizer_lacks_stops_it(patient, change, what, state, detail):
    change(patient)
    rows = patient.examine("deto")
    # Training reads the annotation of validation too: a clip that is in both belongs there.
    also = ["how2sign train"] if what == "how2sign val" else []
    assert stops(rows) == [*also, what]
    assert rows[what].state == state and detail in rows[what].detail
    assert not training_starts(patient, "deto")


def test_a_data_set_behind_a_link_to_nothing_is_said_to_be(patient):
    patient.phoenix.root.rename(patient.folder / "moved")
    patient.phoenix.root.symlink_to(patient.folder / "away")
    row = patient.examine("deto")["phoenix"]
    assert row.state == MISSING
    assert f"symbolic link to {patient.folder / 'away'}, which is not there" in row.detail


def test_what_only_the_test_needs_stops_nothing(patient, capsys):
    gone(CSV.format("test"))(patient)
    rows = patient.examine("deto")
    assert rows["how2sign test"].state == MISSING and stops(rows) == []
    assert training_starts(patient, "deto")
    main(["--cfg", str(patient.folder / "deto.yaml")])
    output = capsys.readouterr().out
    line = next(line for line in output.splitlines() if line.startswith("how2sign test"))
    assert "(missing)" in line and "not needed yet: for test" in " ".join(output.split())
    assert "2 things are missing or wrong for later steps only" in output


def test_clips_that_are_left_out_are_counted_by_reason(patient):
    rows = [("train0", "a", 0.0, 40.0, 24.0), ("train1", "b"), ("gone", "c"), ("train2", "d")]
    patient.how2sign.annotate(rows)
    row = patient.examine("deto")["how2sign train"]
    assert row.state == OK
    assert row.detail == "2 clips, one pickle per clip; left out: 1 30 s or longer, 1 no pose files"
    patient.how2sign.annotate([*rows, ("gone2", "e"), ("gone3", "f")])
    row = patient.examine("deto")["how2sign train"]
    assert row.state == NOTE and "are all files there" in row.detail and not row.stops
    patient.how2sign.annotate([("gone", "c")])
    rows = patient.examine("deto")
    assert stops(rows) == ["how2sign train"] and rows["how2sign train"].state == MISSING


def test_a_split_without_a_usable_clip_stops_the_run(patient):
    for writer in (patient.how2sign, patient.phoenix):
        writer.annotate([("short", "a")])
        writer.write_clip("short", motion(3))
    assert stops(patient.examine("deto")) == ["split train"]
    assert not training_starts(patient, "deto")
    patient.how2sign.annotate([("train0", "a")])
    assert stops(patient.examine("deto")) == [] and training_starts(patient, "deto")


def test_damaged_poses_are_found_when_everything_is_read(patient):
    patient.how2sign.write_clip("train1", motion(50)).write_bytes(b"\x80\x04" + b"0" * 200_000)
    assert patient.examine("deto")["how2sign train"].detail.startswith("3 clips")
    row = patient.examine("deto", "--thorough")["how2sign train"]
    assert row.state == NOTE and "train1" in row.detail
    assert row.detail.startswith(f"2 clips, one pickle per clip, {44 + 52} frames")
    rows = patient.examine("deto", "--thorough", "DATASET.CHECK_POSES=false")
    assert stops(rows) == ["how2sign train"]
    assert training_starts(patient, "deto")
    assert not training_starts(patient, "deto", "DATASET.CHECK_POSES=false")


def test_a_packed_store_is_taken_and_its_damage_found(patient, monkeypatch):
    follow(patient.examine("deto")["packed store"], patient, "deto", monkeypatch)
    rows = patient.examine("deto", "--thorough")
    assert stops(rows) == []
    detail = rows["how2sign train"].detail.splitlines()[0]
    assert detail == f"3 clips, packed store, {44 + 48 + 52} frames"
    assert rows["packed store"].state == OK

    frames = patient.folder / "packed" / "how2sign" / "train" / "frames.f32"
    content = bytearray(frames.read_bytes())
    content[100] ^= 1
    frames.write_bytes(content)
    assert stops(patient.examine("deto")) == []  # its size is right
    rows = patient.examine("deto", "--thorough")
    assert stops(rows) == ["how2sign train"]
    assert f"{frames} is damaged" in rows["how2sign train"].detail
    assert "remove the folder and run" in rows["how2sign train"].detail

    frames.write_bytes(content[:-4])
    rows = patient.examine("deto")
    assert stops(rows) == ["how2sign train"]
    assert not training_starts(patient, "deto")
    follow(rows["how2sign train"], patient, "deto", monkeypatch)
    assert stops(patient.examine("deto")) == []

    patient.phoenix.annotate([("train0", "another text")])
    rows = patient.examine("deto")
    assert stops(rows) == ["phoenix train"]
    assert "older than its source" in rows["phoenix train"].detail
    assert not training_starts(patient, "deto")

    shutil.rmtree(patient.phoenix.root)  # it may go once it is packed
    assert stops(patient.examine("deto")) == [] and training_starts(patient, "deto")


@pytest.mark.parametrize("words", [(), ("DATASET.CHECK_POSES=false",)])
def test_an_old_packed_pose_stops_the_run_where_it_stops_training(patient, monkeypatch, words):
    follow(patient.examine("deto")["packed store"], patient, "deto", monkeypatch)
    patient.how2sign.write_clip("train1", motion(60))
    starts = training_starts(patient, "deto", *words)
    assert starts == bool(words)
    assert stops(patient.examine("deto", *words)) == ([] if starts else ["how2sign train"])


def test_a_packed_store_whose_source_has_other_dates_can_be_used(patient, monkeypatch):
    follow(patient.examine("deto")["packed store"], patient, "deto", monkeypatch)
    for path in patient.how2sign.root.rglob("*.pkl"):
        os.utime(path, (1e9, 1e9))  # as a copy would have
    assert stops(patient.examine("deto")) == [] and training_starts(patient, "deto")


@pytest.mark.parametrize("packed", [False, True])
def test_odd_poses_are_noted_when_everything_is_read(patient, monkeypatch, packed):
    for writer in (patient.how2sign, patient.phoenix):
        for i in range(3):
            writer.write_clip(f"train{i}", waving(44, i))
    degrees = waving(44)
    degrees[:, :159] = np.degrees(degrees[:, :159])
    patient.how2sign.write_clip("train1", degrees)
    if packed:
        follow(patient.examine("deto")["packed store"], patient, "deto", monkeypatch)
    assert patient.examine("deto")["how2sign train"].state == OK
    rows = patient.examine("deto", "--thorough")
    row = rows["how2sign train"]
    assert row.state == NOTE and stops(rows) == []
    assert "degrees: 1 clip, first 'train1', " in row.detail and "radians" in row.detail
    assert rows["phoenix train"].state == OK
    assert training_starts(patient, "deto")


def test_statistics_of_other_poses_are_noted(patient):
    def row(*words):
        return patient.examine("deto", *words)["statistics"]

    assert row("--thorough").state == OK  # as the poses, with mean 0 and deviation 1
    torch.save(torch.full((179,), 0.05), patient.folder / "std.pt")
    assert row().state == OK
    noted = row("--thorough")
    assert noted.state == NOTE and "beyond 6 deviations" in noted.detail
    assert "soke statistics --force" in noted.detail
    torch.save(torch.full((179,), -0.05), patient.folder / "std.pt")
    assert row().state == NOTE and "swapped" in row().detail


def test_training_warns_of_statistics_of_other_poses(patient, caplog):
    assert training_starts(patient, "deto") and "other poses" not in caplog.text
    torch.save(torch.full((179,), 0.05), patient.folder / "std.pt")
    assert training_starts(patient, "deto")
    assert f"{patient.folder / 'std.pt'}: " in caplog.text and "other poses?" in caplog.text


def test_statistics_that_would_divide_by_zero_are_noted(patient, monkeypatch):
    std = torch.ones(179)
    std[40] = 0
    torch.save(std, patient.folder / "std.pt")
    row = patient.examine("deto")["statistics"]
    assert row.state == NOTE and "1 features never move" in row.detail
    row = patient.examine("deto", "DATASET.H2S.STD_FLOOR=0.2")["statistics"]
    assert row.state == OK
    torch.save(torch.ones(133), patient.folder / "std.pt")
    row = patient.examine("deto")["statistics"]
    assert row.state == WRONG and "179" in row.detail
    follow(row, patient, "deto", monkeypatch)
    assert patient.examine("deto")["statistics"].state != WRONG
