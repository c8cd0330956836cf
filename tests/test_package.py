"""The wheel: built, installed away from the checkout, and used to sign a text."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib.metadata import packages_distributions, version
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from tests.runs import small_run

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def third_party_imports(*folders):
    """Top-level names that the sources below ``folders`` import, but for the standard library's."""
    names = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"soke", "prepare"}


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_is_imported_is_declared():
    declared = {normal(Requirement(line).name) for line in PROJECT["dependencies"]}
    # Of Blender, a logger of choice, and of type checkers alone.
    optional = {"bpy", "mathutils", "wandb", "_typeshed"}
    packages = packages_distributions()
    for name in third_party_imports("soke") - optional:
        assert {normal(package) for package in packages[name]} & declared, name


def test_pins_lie_within_the_declared_ranges():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    extras = PROJECT["optional-dependencies"]
    for line in PROJECT["dependencies"] + extras["demo"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[requirement.name]), line
    for line in extras["dev"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(version(requirement.name)), line


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The commands of an environment with the wheel, and with this one's packages for the rest."""
    folder = tmp_path_factory.mktemp("package")
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("soke-*.whl")
    venv.create(folder / "venv", with_pip=False)
    commands = folder / "venv" / "bin"
    install = [sys.executable, "-m", "pip", "--python", commands / "python", "install", "-q"]
    subprocess.run([*install, "--no-deps", wheel], check=True, capture_output=True)
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return commands


@pytest.mark.slow
def test_the_wheel_signs_a_text_away_from_the_checkout(installed, tmp_path):
    run = small_run(tmp_path)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    say = {"cwd": tmp_path, "env": environment, "check": True, "capture_output": True, "text": True}
    assert "train" in subprocess.run([installed / "soke", "--help"], **say).stdout
    code = "import soke, sys; sys.stdout.write(soke.__file__)"
    where = subprocess.run([installed / "python", "-c", code], **say).stdout
    assert Path(where).is_relative_to(installed.parent)
    words = ["--text", "fox", "--lang", "en", "--out", tmp_path / "shown", "--format"]
    command = [installed / "soke", "show", "--cfg", run, "--nodebug", *words, "--export", "npz"]
    subprocess.run([*command, "--html"], **say)
    (page,) = (tmp_path / "shown").rglob("*.html")
    assert "fox" in page.read_text(encoding="utf-8")
    files = list((tmp_path / "shown").rglob("*.npz"))
    motion = [np.load(path) for path in files if "poses" in np.load(path)]
    assert motion and all(np.isfinite(file["poses"]).all() for file in motion)
