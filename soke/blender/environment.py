"""Blender's own Python environment, since it needs exactly Python 3.11 and an older numpy.

Nothing here imports Blender, which is under the GNU General Public License: it runs as a separate
program that reads files and writes pictures.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

from soke.files import require

log = logging.getLogger(__name__)

#: The environment's default folder, relative to the working directory.
FOLDER = Path("deps/blender")
PACKAGES = ("bpy==5.0.1", "numpy<2")
VERSION = (3, 11)
#: Libraries that Blender links to; machines without a screen often lack some.
LIBRARIES = "libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libice6 libxext6 libgl1"
_REMEDY = "`python vis_blender.py --setup` makes it (about 1 GB)"


class BlenderError(ValueError):
    """Blender could not be installed, or stopped while drawing; the message says why."""


def blender_python(folder: str | Path = FOLDER) -> Path:
    """The environment's interpreter; `soke.files.MissingAssetError` if there is none."""
    return require(Path(folder) / "bin" / "python", "Blender's own environment", _REMEDY)


def set_up(folder: str | Path = FOLDER) -> Path:
    """Create the environment, or complete an unfinished one. Returns its interpreter.

    Raises `BlenderError` without Python 3.11, if a package cannot be installed, or if Blender lacks
    a library.
    """
    folder = Path(folder)
    if not (folder / "bin" / "python").exists():
        _run([_python(), "-m", "venv", "--clear", str(folder)], "the environment cannot be made")
    python = folder / "bin" / "python"
    log.info("installing %s into %s", " ".join(PACKAGES), folder)
    _run([str(python), "-m", "pip", "install", "-q", *PACKAGES], "pip cannot install Blender")
    _run(
        [str(python), "-c", "import bpy"],
        f"Blender is installed but does not start. Its libraries on Debian: {LIBRARIES}",
    )
    return python


def _python() -> str:
    """A Python interpreter of the version that Blender's wheel needs."""
    name = ".".join(map(str, VERSION))
    if sys.version_info[:2] == VERSION:
        return sys.executable
    found = shutil.which(f"python{name}")
    if found is None:
        raise BlenderError(f"Blender's wheel needs Python {name}, and no python{name} was found")
    return found


def _run(command: list[str], failure: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BlenderError(f"{failure}:\n{_last_lines(result.stderr or result.stdout)}")


def _last_lines(text: str, count: int = 6) -> str:
    return "\n".join(text.strip().splitlines()[-count:])
