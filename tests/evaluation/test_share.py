"""What an evaluation's records belong to: which of them an interrupted one may go on with."""

import logging
import subprocess
import sys

import lightning as L
import pytest

from soke.config import load_config, plain
from soke.evaluation.journal import Record
from soke.evaluation.results import claim_predictions
from soke.tasks.common import share


@pytest.fixture
def started(tmp_path):
    """Starts an evaluation with changes; tells what an interrupted one has left for it."""
    path = tmp_path / "run.yaml"
    path.write_text("NAME: shared\n", encoding="utf-8")

    def start(interrupt=False, overrides=(), clips=("a", "b"), predicts=False, **described):
        changes = [f"TEST.FOLDER={tmp_path / 'results'}", *overrides]
        config = load_config(path, changes)
        found = {"split": config.TEST.SPLIT, "checkpoint_sha256": "0", **described}
        found["configuration"] = plain(config)
        before, written = [], []

        def work(journal, records):
            before.extend(records)
            journal.append(Record("generated", 0, len(records), [{"name": "a"}]))
            if interrupt:
                raise KeyboardInterrupt

        fabric = L.Fabric(accelerator="cpu", devices=1)
        try:
            share(config, fabric, found, clips, work, written.extend, predicts)
        except KeyboardInterrupt:
            assert not written
        else:
            assert len(written) == len(before) + 1
        return len(before)

    return start


def test_what_an_interrupted_evaluation_found_is_used_once(started):
    assert started(interrupt=True) == 0
    assert started(interrupt=True) == 1
    assert started() == 2
    assert started() == 0  # nothing is left of a finished one


@pytest.mark.parametrize(
    "change",
    [
        "TEST.NUM_WORKERS=1", "TEST.CHECKPOINTS=moved.ckpt", "DATASET.CACHE=true", "NUM_THREADS=1",
        "ACCELERATOR=cpu", "TRAIN.BATCH_SIZE=3", "RENDER.CLIPS=2", "LOSS.LAMBDA_CLS=2",
    ],
)  # fmt: skip
def test_what_numbers_do_not_depend_on_may_change(started, change):
    started(interrupt=True)
    assert started(overrides=[change]) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"overrides": ["METRIC.WINDOW=0.1"]}, {"overrides": ["TRAIN.SPLIT=val"]},
        {"overrides": ["TRAIN.STAGE=lm_instruct"]}, {"overrides": ["TEST.BATCH_SIZE=3"]},
        {"overrides": ["TEST.SAVE_PREDICTIONS=true"]}, {"overrides": ["RETRIEVAL.MAX_KEYWORDS=1"]},
        {"clips": ("a", "c")}, {"checkpoint_sha256": "1"}, {"translator_sha256": "1"},
        {"retrieval_sha256": "1"}, {"predictions_sha256": "1"}, {"body_sha256": "1"},
        {"commit": "1"}, {"versions": {"torch": "1"}},
    ],
)  # fmt: skip
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
