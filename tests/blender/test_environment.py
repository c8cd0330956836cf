import sys

import pytest

from soke.blender import BlenderError, blender_python, environment, set_up
from soke.files import MissingAssetError


def interpreter(folder, script):
    """Something that is started as the environment's Python."""
    path = folder / "bin" / "python"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return folder


def test_without_an_environment_the_command_that_makes_it_is_named(tmp_path):
    with pytest.raises(MissingAssetError, match=r"python vis_blender\.py --setup"):
        blender_python(tmp_path)


def test_another_python_cannot_make_it(tmp_path, monkeypatch):
    monkeypatch.setattr(environment.sys, "version_info", (3, 12, 1))
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)
    with pytest.raises(BlenderError, match=r"needs Python 3\.11, and no python3\.11 was found"):
        set_up(tmp_path / "x")


def test_the_right_python_is_looked_for(monkeypatch):
    monkeypatch.setattr(environment.sys, "version_info", (3, 12, 1))
    monkeypatch.setattr(environment.shutil, "which", lambda name: f"/somewhere/{name}")
    assert environment._python() == "/somewhere/python3.11"
    monkeypatch.setattr(environment.sys, "version_info", (3, 11, 9))
    assert environment._python() == sys.executable


def test_what_pip_says_is_passed_on(tmp_path):
    folder = interpreter(tmp_path / "env", "echo 'no matching distribution' >&2; exit 1")
    with pytest.raises(BlenderError, match="pip cannot install Blender:\nno matching distribution"):
        set_up(folder)


def test_a_missing_library_is_explained(tmp_path):
    script = 'if [ "$1" = -c ]; then echo "libXi.so.6: cannot open" >&2; exit 1; fi'
    folder = interpreter(tmp_path / "env", script)
    with pytest.raises(BlenderError, match=r"(?s)does not start.*libxi6.*libXi\.so\.6"):
        set_up(folder)


def test_what_is_installed(tmp_path):
    log = tmp_path / "log"
    folder = interpreter(tmp_path / "env", f'echo "$@" >> {log}')
    assert set_up(folder) == folder / "bin" / "python"
    assert log.read_text().splitlines() == ["-m pip install -q bpy==5.0.1 numpy<2", "-c import bpy"]
