"""Reading files that may be hostile and writing files that are never half there."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class MissingAssetError(FileNotFoundError):
    """Something that the user has to fetch or make is not there; the message says how."""

    def __init__(self, what: str, looked_for: str | Path, remedy: str) -> None:
        super().__init__(f"{what} is missing: looked for {looked_for}. {remedy}")


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


def checksum(path: str | Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class UnsafePickleError(ValueError):
    """A pickle that is damaged, or that asks for anything but arrays and plain containers."""


#: Everything a pose, annotation or side file may name. numpy moved its internals from
#: ``numpy.core`` to ``numpy._core`` in 2.0, so files of both ages are admitted.
_ADMITTED = {
    (module, name)
    for module, names in {
        "numpy": ("dtype", "ndarray"),
        "numpy.core.multiarray": ("_reconstruct", "scalar"),
        "numpy._core.multiarray": ("_reconstruct", "scalar"),
        "numpy.core.numeric": ("_frombuffer",),
        "numpy._core.numeric": ("_frombuffer",),
        "_codecs": ("encode",),
        "collections": ("OrderedDict",),
    }.items()
    for name in names
}


class _SafeUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _ADMITTED:
            raise UnsafePickleError(
                f"it asks for {module}.{name}; only numpy arrays, plain containers, numbers and "
                "strings are admitted"
            )
        return super().find_class(module, name)

    def persistent_load(self, pid: object) -> object:
        raise UnsafePickleError(f"it refers to an object outside the file ({pid!r})")


def safe_load_pickle(path: str | Path) -> object:
    """Read a pickle (plain or gzip'd) from an untrusted source without executing it.

    Admitted are numpy arrays and scalars, dict, list, tuple, set, str, bytes, numbers, bool and
    None. Raises `UnsafePickleError` (a ``ValueError``) that names the file and the reason for
    anything else, and for truncated, empty or damaged files; ``FileNotFoundError`` if there is
    no such file.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return _SafeUnpickler(io.BytesIO(data), encoding="latin1").load()
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path} is not a file that SOKE reads: {error}") from None
    except Exception as error:
        # A damaged pickle can raise almost anything from inside the machine that replays it.
        raise UnsafePickleError(
            f"{path} cannot be read as a pickle ({type(error).__name__}: {error}). It is probably "
            "truncated or of another format: fetch it again"
        ) from error
