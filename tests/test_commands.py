"""The command `soke`: its table, and that help comes without the weight of what is helped with."""

import subprocess
import sys
from pathlib import Path

import pytest

from prepare import OLD_COMMANDS
from soke.assemble.evaluation import TASKS
from soke.cli import test as evaluate
from soke.cli.main import COMMANDS
from soke.cli.show import command as show
from soke.cli.show.test_clips import CHOICES
from soke.data.motion.hands import CONVENTIONS
from soke.exports import EXPORTS
from soke.visualization.clip_video import FORMATS, VIEWS, Look

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "lightning", "transformers", "numba", "scipy", "pandas", "matplotlib", "smplx")


def soke(*words, **more):
    command = [sys.executable, "-m", "soke", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **more)


def test_the_table_lists_every_command():
    result = soke("--help")
    assert result.returncode == 0
    for name, command in COMMANDS.items():
        assert f"  {name} " in result.stdout and command.summary in result.stdout


def test_an_unknown_command_is_named_with_the_nearest():
    result = soke("trian")
    assert result.returncode == 2
    assert "soke has no command 'trian'; did you mean 'train'?" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_help_imports_nothing_heavy(name):
    code = (
        "import sys\n"
        f"sys.argv = ['soke', {name!r}, '--help']\n"
        "from soke.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit as error:\n    assert not error.code, error.code\n"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert f"usage: soke {name}" in result.stdout
    assert "heavy: []" in result.stdout


@pytest.mark.parametrize("verb", ["train", "test", "get_motion_code", "vis_mesh"])
def test_verbs_keep_their_form(verb):
    command = [sys.executable, "-m", verb, "--help"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--nodebug" in result.stdout and "KEY=VALUE" in result.stdout


def test_choices_are_those_of_their_owners():
    assert tuple(sorted(TASKS)) == evaluate.NAMES
    assert show.CHOICES == CHOICES
    assert show.HANDS == CONVENTIONS == evaluate.HANDS
    assert tuple(VIEWS) == show.VIEWS and show.VIEWS[0] == Look().view
    assert tuple(sorted(FORMATS)) == show.FORMATS
    assert {name: row.about for name, row in EXPORTS.items()} == show.EXPORTS


@pytest.mark.parametrize("module", OLD_COMMANDS)
def test_names_of_earlier_versions_still_run(module):
    command = OLD_COMMANDS[module]
    assert command.split()[0] in COMMANDS
    result = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"usage: soke {command}" in result.stdout
    assert f"now called `soke {command}`" in result.stderr


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        ("soke.assemble.pack_poses", ()),
        ("soke.assemble.measure_poses", ()),
        ("soke.assemble.dictionaries", ("numba",)),
        ("soke.cli.show.motions", ("numba",)),
        ("soke.cli.plot", ()),
    ],
)
def test_a_command_imports_what_it_needs(module, wanted):
    """Lightning takes 7 seconds to import, of which torchmetrics takes 3; transformers 1."""
    heavy = ("lightning", "transformers", "torchmetrics", "torch._dynamo", "pandas", "numba")
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == str(list(wanted))
