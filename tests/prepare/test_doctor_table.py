"""How the doctor writes down what it found."""

import io
import re

from rich.console import Console

from soke.cli.doctor.__main__ import show, summarize
from soke.cli.doctor.rows import MISSING, NOTE, OK, TRAIN, WRONG, Row


def printed(sections, **console):
    file = io.StringIO()
    rows = [row for own in sections.values() for row in own]
    show(sections, summarize(rows, 0, "--cfg a.yaml"), Console(file=file, width=70, **console))
    return file.getvalue()


def test_the_table_marks_what_stops_the_run_apart_from_the_rest():
    rows = [
        Row("a", OK, "x", TRAIN),
        Row("b", MISSING, "no [b], `python -m b` makes it", TRAIN),
        Row("c", WRONG, "y " * 60, "test"),
        Row("d", NOTE, "z\n! beware", TRAIN),
    ]
    text = printed({"One": rows[:2], "Two": rows[2:]})
    lines = text.splitlines()
    assert all(line == line.rstrip() and len(line) <= 70 for line in lines)
    assert [re.split(r"\s{2,}", line)[:2] for line in lines if re.match("[abcd]  ", line)] == [
        ["a", "ok"],
        ["b", "missing"],
        ["c", "(wrong)"],
        ["d", "note"],
    ]
    assert "no [b]" in text  # no markup
    assert "not needed yet: for test" in text
    assert lines[-3:] == [
        "1 thing is missing or wrong for later steps only.",
        "Options for the commands above: --cfg a.yaml",
        "1 thing is missing or wrong; the run could not start",
    ]
    color = printed({"One": rows}, force_terminal=True)
    red = [word.strip() for word in re.findall(r"\x1b\[1;31m(.*?)\x1b", color)]
    assert red == ["missing", "1 thing is missing or wrong; the run could not start"]
    fine = printed({"One": [rows[0], *rows[2:]]})
    assert fine.splitlines()[-1] == "the run can start: python -m train --cfg a.yaml"
