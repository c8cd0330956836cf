"""One clear error for a file or folder that cannot be written."""

from __future__ import annotations

import errno
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soke.files import atomic_path

_REMEDIES = {
    errno.ENOSPC: "Free some space, or name a folder on another disk",
    errno.EDQUOT: "Free some space, or name a folder on another disk",
    errno.EACCES: "Name a folder that you may write to",
    errno.EPERM: "Name a folder that you may write to",
    errno.EROFS: "Name a folder that you may write to",
}
_FRAME_NAME = re.compile(r"\d{5,}\.png")


class NotWrittenError(ValueError):
    """A file or folder could not be written; nothing of it is left behind."""


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` into a `NotWrittenError` that names ``path`` and a remedy."""
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno, "Name another file or folder")
        reason = error.strerror or error
        raise NotWrittenError(f"{path} could not be written: {reason}. {remedy}") from error


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Like `soke.files.atomic_path`, with clear errors for what fails before and after the block.

    The block may also draw, so it should wrap only its own writes in `clear_errors`.
    """
    if path.is_dir():
        raise NotWrittenError(f"{path} could not be written: it is a folder. Name a file")
    file = atomic_path(path)
    with clear_errors(path):
        temporary = file.__enter__()
    try:
        yield temporary
    except BaseException as error:
        file.__exit__(type(error), error, error.__traceback__)
        raise
    with clear_errors(path):
        file.__exit__(None, None, None)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``, which it replaces if the block succeeds.

    Numbered frames of an earlier run are replaced. Raises `NotWrittenError` for a folder with
    other content, which is left alone.
    """
    if path.exists():
        others = [path] if not path.is_dir() else _others(path)
        if others:
            raise NotWrittenError(
                f"{path} could not be written: there is {others[0]}, which is not a frame. Name "
                "a new folder"
            )
    with clear_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        with clear_errors(path):
            (scratch / "new").mkdir()
        yield scratch / "new"
        with clear_errors(path):
            if path.exists():
                path.replace(scratch / "old")
            (scratch / "new").replace(path)
    except BaseException:
        if (scratch / "old").exists() and not path.exists():
            (scratch / "old").replace(path)
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _others(folder: Path) -> list[Path]:
    with clear_errors(folder):
        return [path for path in sorted(folder.iterdir()) if not _FRAME_NAME.fullmatch(path.name)]
