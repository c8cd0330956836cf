"""The doctor: a complete run can start, and the run itself is looked at.

That the doctor is right is checked against training itself, here and in the files beside this one.
"""

import shlex
import shutil

import pytest

from soke.cli.doctor.__main__ import check_all, main, parse
from soke.cli.doctor.rows import MISSING, NOTE, OK
from tests.prepare.patient import ROOT, stops, training_starts


def test_a_complete_tokenizer_run_can_start(patient, capsys):
    main(["--cfg", str(patient.folder / "deto.yaml")])  # would exit with 1 otherwise
    output = capsys.readouterr().out
    assert "the run can start" in output.splitlines()[-1]
    assert f"python -m train --cfg {patient.folder / 'deto.yaml'} --nodebug" in output
    rows = patient.examine("deto")
    assert stops(rows) == []
    assert rows["how2sign train"].detail == "3 clips, one pickle per clip"
    assert rows["phoenix val"].detail == "2 clips, one pickle per clip"
    assert rows["packed store"].state == NOTE and "is empty" in rows["packed store"].detail
    assert rows["checkpoint to test"].state == MISSING
    assert "not comparable" in rows["body model"].detail
    assert not {"token files", "mBART folder", "dictionary"} & set(rows)
    assert training_starts(patient, "deto")


def test_a_complete_generator_run_can_start(whole):
    rows = whole.examine("soke")
    assert stops(rows) == []
    assert rows["tokens of how2sign"].detail == "clips with tokens: train 3 of 3, val 2 of 2"
    assert "1 signs (for how2sign, phoenix)" in rows["dictionary"].detail
    assert rows["tokenizer"].detail.endswith("codes: body 16, lhand 8, rhand 12")
    assert rows["prompts"].state == OK
    assert training_starts(whole, "soke")
    # What only the tokenizer's training needs may go.
    (whole.folder / "mean.pt").unlink()
    row = whole.examine("soke")["statistics"]
    assert row.state == MISSING and not row.stops


def test_with_nothing_there_every_line_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = [f"DATASET.H2S.CSL_ROOT={tmp_path / 'a place'}", "TRAIN.BATCH_SIZE=8"]
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stopped:
        main(["--cfg", str(ROOT / "configs" / "soke.yaml"), *changes])
    assert stopped.value.code == 1
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines()[:-2])) <= 100  # options are for pasting
    assert output.splitlines()[-1] == "7 things are missing or wrong; the run could not start"
    options = shlex.split(output.splitlines()[-2].split(": ", 1)[1])
    assert options == ["--cfg", str(ROOT / "configs" / "soke.yaml"), "--nodebug", *changes]
    assert "\x1b" not in output

    sections, waiting = check_all(parse(["--cfg", str(ROOT / "configs/soke.yaml"), *changes]))
    bad = {row.what: row.detail for own in sections.values() for row in own if row.stops}
    data = ["how2sign", "csl", "phoenix"]
    assert list(bad) == [*data, "tokenizer", "token files", "dictionary", "mBART folder"]
    assert waiting > 0 and f"{waiting} things are checked once" in output
    assert "https://how2sign.github.io" in bad["how2sign"]
    assert "DATASET.H2S.ROOT=" in bad["how2sign"]
    assert "a place" in bad["csl"] and "DATASET.H2S.CSL_ROOT=" in bad["csl"]
    assert "python -m train --cfg configs/deto.yaml" in bad["tokenizer"]
    assert "python -m get_motion_code" in bad["token files"]
    assert "RETRIEVAL.MAX_KEYWORDS=0" in bad["dictionary"]
    assert "soke vocabulary" in bad["mBART folder"]


def test_the_configuration_that_makes_the_tokenizer_is_named(patient):
    row = patient.examine("soke")["tokenizer"]
    assert f"`python -m train --cfg {patient.folder / 'deto.yaml'} --nodebug`" in row.detail


def test_a_run_that_is_there_is_not_written_over(patient):
    path = patient.write_tokenizer("deto")
    rows = patient.examine("deto")
    assert stops(rows) == ["run directory"]
    assert rows["checkpoint to test"].state == OK
    resume = f"TRAIN.RESUME={path.parents[1]}"
    assert resume in rows["run directory"].detail
    rows = patient.examine("deto", resume)
    assert rows["run directory"].state == MISSING  # there is no last.ckpt
    shutil.copy(path, path.with_name("last.ckpt"))
    rows = patient.examine("deto", resume)
    assert stops(rows) == [] and "5 of 500 epochs" in rows["run directory"].detail
    rows = patient.examine("deto", resume, "TRAIN.END_EPOCH=3")
    assert stops(rows) == ["run directory"]
    assert stops(patient.examine("deto", "NAME=other")) == []


def test_the_trial_looks_into_its_own_folders(whole):
    rows = whole.examine("soke", "--trial")
    assert stops(rows) == ["token files"]
    assert "TOKENS-debug" in rows["token files"].detail
    assert "--nodebug" not in parse(["--cfg", "configs/soke.yaml", "--trial"]).options
    assert "debug" in rows["run directory"].detail


@pytest.mark.parametrize(
    ("word", "detail"),
    [
        ("DATASET.H2S.DATASET_NAME=how2sign_french", "DATASET_NAME"),
        ("CORPORA.how2sign.layout=mine", "layout"),
        ("CORPORA.how2sign.rate=3", "rate"),
        (
            "PARTS=[{name: body, columns: [[0, 400]], codebook_size: 2, fusion_weight: 1.0, "
            "token_prefix: a}]",
            "",
        ),
        ("TRAIN.OPTIM.target=torch.optim.Adamm", "Adamm"),
        ("TRAIN.OPTIM.params.momentun=1", "momentun"),
        ("TRAIN.CROP_FRAMES=7", "CROP_FRAMES"),
        ("LOSS.ABLATION.RECONS_LOSS=l3", "RECONS_LOSS"),
        ("model.tokenizer.params.depht=2", "depht"),
    ],
)
def test_a_mistake_in_the_configuration_is_one_row(patient, word, detail):
    rows = patient.examine("deto", word)
    assert list(rows) == ["configuration"] and rows["configuration"].stops
    # A wrong loss shows in the first step.
    assert "LOSS" in word or not training_starts(patient, "deto", word)
    assert detail in rows["configuration"].detail
    assert str(patient.folder / "deto.yaml") in rows["configuration"].detail


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("TRAIN.SPLIT=training", "how2sign training"),
        ("BODY.MODEL_DIR=null", "body model"),
        ("DATASET.H2S.MEAN_PATH=null", "statistics"),
        ("ACCELERATOR=abacus", "GPU"),
        ("RENDER.FONT=no-such-font.ttf", "fonts"),
    ],
)
def test_an_odd_value_never_ends_the_doctor(patient, word, what):
    rows = patient.examine("deto", word)
    assert what in stops(rows)
    assert rows["how2sign test"].state == OK and "renderer" in rows
