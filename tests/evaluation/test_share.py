"""What an evaluation's records belong to: which of them an interrupted one may go on with."""

import json
import logging
import subprocess
import sys

import lightning as L
import pytest

from soke.assemble.run_metadata import fingerprint, prediction_source
from soke.config import load_config, plain
from soke.evaluation.distributed import Evaluation, run_distributed
from soke.evaluation.journal import Record
from soke.evaluation.references import Reference
from soke.evaluation.results import claim_predictions


@pytest.fixture
def started(tmp_path):
    """Starts an evaluation with changes; gives how many portions an interrupted one left it."""
    path = tmp_path / "run.yaml"
    path.write_text("NAME: shared\n", encoding="utf-8")
    results = tmp_path / "results" / "shared"

    def start(interrupt=False, overrides=(), clips=("a", "b", "c"), predicts=False, **described):
        config = load_config(path, [f"TEST.FOLDER={tmp_path / 'results'}", *overrides])
        metadata = {"name": "shared", "system": "x", "body": "a body", "split": config.TEST.SPLIT}
        metadata |= {"checkpoint_sha256": "0", **described, "configuration": plain(config)}
        references = [Reference(name, "csl", "") for name in clips]
        measured = []

        def measure(portion, places):
            if interrupt and measured:
                raise KeyboardInterrupt
            measured.append(portion)
            [place] = places
            rows = [{"corpus": "csl", "name": clips[place], "length_ratio": 1.0}]
            return Record("x", 0, portion, rows)

        evaluation = Evaluation(
            results,
            metadata,
            fingerprint(metadata, references),
            references,
            {("x", 0): measure},
            portion_size=1,
            source=prediction_source(metadata) if predicts else None,
            saves_predictions=config.TEST.SAVE_PREDICTIONS,
        )
        (results / "metrics.json").unlink(missing_ok=True)
        try:
            run_distributed(evaluation, L.Fabric(accelerator="cpu", devices=1))
        except KeyboardInterrupt:
            assert not (results / "metrics.json").exists()
        else:
            found = json.loads((results / "metrics.json").read_text(encoding="utf-8"))
            assert found["clips"] == len(clips)
        return measured[0] if measured else len(clips)

    return start


def test_what_an_interrupted_evaluation_found_is_used_once(started):
    assert started(interrupt=True) == 0
    assert started(interrupt=True) == 1
    assert started() == 2
    assert started() == 0  # nothing is left of a finished one


@pytest.mark.parametrize(
    "change",
    [
        "TEST.NUM_WORKERS=1",
        "TEST.CHECKPOINTS=moved.ckpt",
        "DATASET.CACHE=true",
        "NUM_THREADS=1",
        "ACCELERATOR=cpu",
        "TRAIN.BATCH_SIZE=3",
        "RENDER.CLIPS=2",
        "LOSS.LAMBDA_CLS=2",
    ],
)
def test_what_numbers_do_not_depend_on_may_change(started, change):
    started(interrupt=True)
    assert started(overrides=[change]) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"overrides": ["METRIC.WINDOW=0.1"]},
        {"overrides": ["TRAIN.SPLIT=val"]},
        {"overrides": ["TRAIN.STAGE=lm_instruct"]},
        {"overrides": ["TEST.BATCH_SIZE=3"]},
        {"overrides": ["TEST.SAVE_PREDICTIONS=true"]},
        {"overrides": ["RETRIEVAL.MAX_KEYWORDS=1"]},
        {"clips": ("a", "c")},
        {"checkpoint_sha256": "1"},
        {"translator_sha256": "1"},
        {"retrieval_sha256": "1"},
        {"predictions_sha256": "1"},
        {"body_sha256": "1"},
        {"commit": "1"},
        {"versions": {"torch": "1"}},
    ],
)
def test_what_numbers_depend_on_starts_anew(started, change):
    started(interrupt=True)
    assert started(**change) == 0


def test_two_evaluations_of_one_name_do_not_mix(started, tmp_path):
    code = (
        "import sys\n"
        "from soke.evaluation.journal import Journal\n"
        f"with Journal({str(tmp_path / 'results' / 'shared' / 'work')!r}).locked():\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=r"another evaluation writes to .*shared"):
            started()
    finally:
        other.kill()
        other.communicate()
    assert started() == 0  # the lock went with its process


def test_predictions_of_another_evaluation_go(started, tmp_path, caplog):
    saving = "TEST.SAVE_PREDICTIONS=true"
    file = tmp_path / "results" / "shared" / "predictions" / "csl" / "a.npz"

    def predicted(**changes):
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"")
        started(predicts=True, **changes)
        return file.exists()

    started(predicts=True, overrides=[saving])
    assert predicted(overrides=[saving])
    assert predicted(overrides=["METRIC.WINDOW=0.5"])  # measured otherwise, but the same motions
    assert not predicted(overrides=["TEST.SPLIT=val"])
    assert "was of another checkpoint" in caplog.text
    started(predicts=True, overrides=[saving])
    assert not predicted(checkpoint_sha256="1")
    started(overrides=[saving], checkpoint_sha256="2")  # scored from elsewhere: nothing is claimed
    assert not file.exists()


def test_files_of_unknown_origin_are_left_alone(tmp_path, caplog):
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "x.npz").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        claim_predictions(tmp_path, {"split": "test"}, saving=False)
    assert (tmp_path / "predictions" / "x.npz").exists()
    assert "does not say what its predictions come from" in caplog.text
