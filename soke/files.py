"""Files that have to be there, and writing files that are never half there."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class MissingAssetError(FileNotFoundError):
    """Something that the user has to fetch or make is not there; the message says how."""

    def __init__(self, what: str, looked_for: str | Path, remedy: str) -> None:
        super().__init__(
            f"{what} not found: looked for {looked_for}{dangling(looked_for)}. {remedy}"
        )


def dangling(path: str | Path) -> str:
    """Words to put behind a missing path where it, or a folder above it, is a link to nothing."""
    path = Path(path)
    for place in (path, *path.parents):
        if place.is_symlink() and not place.exists():
            which = "this" if place == path else place
            return f" ({which} is a symbolic link to {place.readlink()}, which is not there)"
    return ""


def require(path: str | Path, what: str, remedy: str) -> Path:
    """Return ``path`` if it exists, else raise `MissingAssetError` with the remedy."""
    path = Path(path)
    if not path.exists():
        raise MissingAssetError(what, path, remedy)
    return path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes the final name only if the block succeeds.

    The suffix is kept, since writers choose the format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: str | Path, refusal: str) -> Iterator[None]:
    """Hold the lock file ``path`` during the block; its folder is made.

    Raises ``ValueError`` with ``refusal`` where another process holds it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            # Given back by the system when the process is killed; unlike `flock` it is not
            # inherited by the processes that read clips.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise ValueError(refusal) from None
        yield


def checksum(path: str | Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
