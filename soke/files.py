"""Reading files that may be hostile and writing files that are never half there."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import operator
import os
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


class MissingAssetError(FileNotFoundError):
    """Something that the user has to fetch or make is not there; the message says how."""

    def __init__(self, what: str, looked_for: str | Path, remedy: str) -> None:
        super().__init__(f"{what} not found: looked for {looked_for}. {remedy}")


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


#: Everything a pose, annotation or side file may ask for. numpy moved its internals from
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
        "builtins": ("set", "frozenset", "bytes"),
        "__builtin__": ("set", "frozenset", "bytes"),
    }.items()
    for name in names
}
_PLAIN = {type(None), bool, int, float, str, bytes, bytearray}
_SEQUENCES = {list, tuple, set, frozenset}
#: Kinds of array elements: bool, numbers, strings, and objects that are listed one by one.
_ELEMENTS = "biufcSUO"
#: Bytes that a compressed file may unpack to.
_MAX_UNPACKED = 4 * 2**30


class _Call:
    """A call that a pickle asks for, noted while it is replayed and carried out by `_Builder`.

    The functions themselves cannot be lent to a file: ``numpy.dtype.__setstate__`` believes flags
    that declare raw bytes to be object pointers, and an array's memory can be swapped under a view.
    """

    def __init__(self, name: str, arguments: tuple | None = None) -> None:
        self.name, self.arguments, self.state = name, arguments, None

    def __call__(self, *arguments: object) -> _Call:
        return _Call(self.name, arguments)

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _ADMITTED:
            raise UnsafePickleError(
                f"it asks for {module}.{name}; only numpy arrays, plain containers, numbers and "
                "strings are admitted"
            )
        return dict if name == "OrderedDict" else _Call(name)

    def persistent_load(self, pid: object) -> object:
        raise UnsafePickleError("it refers to an object outside the file")


class _Builder:
    """Turns what was replayed into plain containers and arrays, each checked as it is built."""

    def __init__(self) -> None:
        self.built: dict[int, object] = {}  # by id, since a file may share objects

    def build(self, value: object) -> object:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if id(value) not in self.built:
            if kind is _Call:
                built = self._carry_out(value)
            elif kind is dict:
                built = {self.build(key): self.build(item) for key, item in value.items()}
            elif kind in _SEQUENCES:
                built = kind([self.build(item) for item in value])
            else:
                raise UnsafePickleError(f"it holds an object of type {kind.__name__}")
            self.built[id(value)] = built
        return self.built[id(value)]

    def _carry_out(self, call: _Call) -> object:
        if call.arguments is None:
            raise UnsafePickleError(f"it holds {call.name} itself")
        if call.name == "_reconstruct":  # its arguments describe an empty array
            _, shape, dtype, is_fortran, data = call.state
            return _array(shape, self.build(dtype), self.build(data), "F" if is_fortran else "C")
        arguments = [self.build(argument) for argument in call.arguments]
        match call.name, arguments:
            case "dtype", [str(name), *_]:
                return _dtype(name, call.state)
            case "_frombuffer", [data, dtype, shape, order]:
                return _array(shape, dtype, data, order)
            case "scalar", [dtype, data]:
                return _array((), dtype, data)[()]
            case "encode", [str(text), "latin1"]:
                return text.encode("latin1")  # how protocols 0 to 2 write bytes
            case "set", [list(items)]:
                return set(items)
            case "frozenset", [list(items)]:
                return frozenset(items)
            case "bytes", []:
                return b""
        raise UnsafePickleError(f"it uses {call.name} in an unusual way")


def _dtype(name: str, state: tuple | None) -> np.dtype:
    """A numpy dtype from its name; of the state only the byte order is believed."""
    dtype = np.dtype(name)
    _, order, *composite = (state or (3, "|"))[:5]
    if dtype.kind not in _ELEMENTS or any(item is not None for item in composite):
        raise UnsafePickleError(f"it holds an array of {name!r}")
    return dtype.newbyteorder(order) if order in ("<", ">") else dtype


def _array(
    shape: tuple, dtype: np.dtype, data: bytes | bytearray | str | list, order: str = "C"
) -> np.ndarray:
    """An array from its bytes (a str holds bytes that Python 2 wrote) or its list of objects."""
    if isinstance(data, list):
        if dtype.kind != "O":
            raise UnsafePickleError(f"it lists the elements of an array of {dtype}")
        array = np.empty(len(data), dtype=object)
        for i, item in enumerate(data):
            array[i] = item
        return array.reshape(shape, order=order)
    data = data.encode("latin1") if isinstance(data, str) else data
    size = math.prod(map(operator.index, shape)) * dtype.itemsize
    if dtype.kind == "O" or len(data) != size or (shape and not dtype.itemsize):
        raise UnsafePickleError(f"{len(data)} bytes are no array of {size} bytes of {dtype}")
    # A bytearray is a copy that can be written to.
    return np.ndarray(shape, dtype, bytearray(data), order=order)


def _unpack(data: bytes) -> bytes:
    """Decompress gzip'd content, but not beyond `_MAX_UNPACKED`; leave any other as it is."""
    if data[:2] != b"\x1f\x8b":
        return data
    with gzip.open(io.BytesIO(data)) as file:
        data = file.read(_MAX_UNPACKED + 1)
    if len(data) > _MAX_UNPACKED:
        raise UnsafePickleError(f"it unpacks to more than {_MAX_UNPACKED} bytes")
    return data


def safe_load_pickle(path: str | Path) -> object:
    """Read a pickle (plain or gzip'd) from an untrusted source without executing it.

    Admitted are numpy arrays and scalars, dict, list, tuple, set, str, bytes, numbers, bool and
    None. Raises `UnsafePickleError` (a ``ValueError``) that names the file and the reason for
    anything else, and for truncated, empty or damaged files; ``FileNotFoundError`` if there is
    no such file. A hostile file cannot run code; it can still ask for much memory or, nested
    millions deep, end the process.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        replayed = _Unpickler(io.BytesIO(_unpack(data)), encoding="latin1").load()
        return _Builder().build(replayed)
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path} is not a file that SOKE reads: {error}") from None
    except Exception as error:
        # A damaged pickle can raise almost anything from inside the machine that replays it.
        raise UnsafePickleError(
            f"{path} cannot be read as a pickle ({type(error).__name__}: {error}). It is probably "
            "truncated or of another format: fetch it again"
        ) from error
