"""How the doctor writes down what it found."""

import io
import re
import shlex
import subprocess

from rich.console import Console

from soke.cli.doctor import table
from soke.cli.doctor.rows import Row, State


def test_a_command_that_is_broken_into_lines_is_the_same_for_a_shell():
    words = ["printf", "%s|", "--cfg", "a b.yaml", *[f"KEY{i}=['x', \"y\"]" for i in range(6)]]
    command = shlex.join(words)
    text = table.pasteable(command, 40)
    assert len(text.splitlines()) > 4
    assert max(map(len, text.splitlines())) <= 40
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.split("|")[:-1] == words[2:]
    assert table.pasteable("python -m train", 40) == "python -m train"
    both = table.pasteable("false && printf 'one two'", 12)
    assert len(both.splitlines()) > 1
    assert subprocess.run(["bash", "-c", both], capture_output=True, check=False).stdout == b""


def test_the_table_marks_what_stops_the_run_apart_from_the_rest():
    rows = [
        Row("a", State.FOUND, "x"),
        Row("b", State.MISSING, "no [b]", "get it:", "python -m b"),
        Row("c", State.WRONG, "y", needed_for="test"),
        Row("d", State.NOTE, "z"),
    ]
    plain = io.StringIO()
    table.show({"One": rows[:2], "Two": rows[2:]}, "start", Console(file=plain, width=70))
    lines = plain.getvalue().splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert [re.split(r"\s{2,}", line)[:2] for line in lines if re.match("[abcd]  ", line)] == [
        ["a", "found"], ["b", "missing"], ["c", "(wrong)"], ["d", "note"]
    ]  # fmt: skip
    assert "no [b]" in plain.getvalue()  # no markup
    assert lines[-2:] == [
        "1 thing is missing or wrong for later steps only.",
        "1 thing is missing or wrong; the run could not start",
    ]
    color = io.StringIO()
    table.show({"One": rows}, "start", Console(file=color, width=70, force_terminal=True))
    red = [word.strip() for word in re.findall(r"\x1b\[1;31m(.*?)\x1b", color.getvalue())]
    assert red == ["missing", "1 thing is missing or wrong; the run could not start"]
    fine = io.StringIO()
    table.show({"One": [rows[0], *rows[2:]]}, "start", Console(file=fine, width=70))
    assert fine.getvalue().splitlines()[-1] == "the run can start: start"
