"""Work that is shared by processes and survives being killed."""

import json
import subprocess
import sys

import pytest

from soke.evaluation.journal import Journal, Record, missing_portions, portions


def record(portion, system="x", run=0):
    rows = [{"corpus": "c", "name": f"{portion}é", "value": float("nan")}, {"value": 0.1 + 0.2}]
    return Record(system, run, portion, rows, {"decoding": 0.5}, 12, [[1, 2], [0, 3]])


def test_what_was_appended_is_read_by_any_process(tmp_path):
    journal = Journal(tmp_path / "work")
    journal.open({"checkpoint": "a"})
    assert journal.records() == []
    journal.append(record(1))
    Journal(tmp_path / "work", rank=1).append(record(0))
    found = Journal(tmp_path / "work", rank=7).records()
    assert [r.portion for r in found] == [0, 1]
    assert found[1].rows[1] == {"value": 0.1 + 0.2} and found[1].counts == [[1, 2], [0, 3]]
    assert found[0].frames == 12 and found[0].seconds == {"decoding": 0.5}


def test_records_of_the_same_basis_are_kept_and_others_are_not(tmp_path):
    journal = Journal(tmp_path / "work")
    journal.open({"checkpoint": "a", "seed": 1})
    journal.append(record(0))
    journal.open({"seed": 1, "checkpoint": "a"})
    assert len(journal.records()) == 1
    journal.open({"seed": 2, "checkpoint": "a"})
    assert journal.records() == []
    journal.close()
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("cut", [1, 5, 40, 120])
def test_a_torn_line_is_done_again(tmp_path, cut):
    journal = Journal(tmp_path)
    journal.open({})
    for portion in range(3):
        journal.append(record(portion))
    path = tmp_path / "records-0.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert [r.portion for r in journal.records()] == ([0, 1, 2] if cut == 1 else [0, 1])
    journal.append(record(2))  # what follows the torn line is whole
    assert [r.portion for r in journal.records()] == [0, 1, 2]


def test_a_changed_number_is_not_believed(tmp_path):
    journal = Journal(tmp_path)
    journal.open({})
    journal.append(record(0))
    path = tmp_path / "records-0.jsonl"
    path.write_text(path.read_text().replace('"frames": 12', '"frames": 13'))
    assert journal.records() == []


def test_what_a_killed_process_wrote_is_there(tmp_path):
    Journal(tmp_path).open({})
    code = (
        "import os, signal\n"
        "from soke.evaluation.journal import Journal, Record\n"
        f"journal = Journal({str(tmp_path)!r})\n"
        "journal.append(Record('x', 0, 3, [{'name': 'a'}]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -9
    assert [r.portion for r in Journal(tmp_path).records()] == [3]


def test_portions_do_not_depend_on_the_processes():
    cut = portions(10, 4)
    assert [list(p) for p in cut] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    left = missing_portions([record(1), record(0, "y")], [("x", 0), ("y", 0)], 3)
    assert left == [("x", 0, 0), ("x", 0, 2), ("y", 0, 1), ("y", 0, 2)]
    assert portions(0, 4) == []


def test_the_basis_can_be_read(tmp_path):
    Journal(tmp_path).open({"text": "Grüße"})
    assert json.loads((tmp_path / "basis.json").read_text(encoding="utf-8")) == {"text": "Grüße"}
