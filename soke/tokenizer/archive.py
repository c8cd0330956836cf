"""Tensors out of a torch checkpoint that pickles objects of unknown classes beside them.

``torch.load(weights_only=True)`` refuses such a file as a whole, and anything less strict would run
whatever the file says. Here the file's pickle is replayed with a stand-in for every class and
function but the few that describe tensors, so nothing of the file is ever called.
"""

from __future__ import annotations

import math
import operator
import pickle
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

_STORAGES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}  # fmt: skip
#: The largest pickle that is replayed; tensors lie outside it.
_MAX_PICKLE = 2**30


class _Inert:
    """Stands for an object of a class that is not admitted: whatever is done to it, it is nothing.

    Each mention of a class gets a subclass of its own, so that a file cannot change this one.
    """

    def __new__(cls, *_: object, **__: object) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def nothing(self, *_: object, **__: object) -> _Inert:
        return _Inert()

    __call__ = __setstate__ = __setitem__ = append = extend = add = nothing


class _Dict(dict):
    """A dict whose attributes a file cannot set."""

    def __setstate__(self, state: object) -> None:
        pass


@dataclass(frozen=True)
class _Storage:
    dtype: torch.dtype
    key: str
    numel: int


@dataclass(frozen=True)
class _Described:
    """A tensor that has been described but not read."""

    storage: object
    offset: object
    size: object
    stride: object


class _Maker:
    """Stands for the functions that rebuild tensors: notes what they are called with."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: object) -> object:
        if self.name == "_rebuild_parameter":
            return arguments[0]
        return _Described(*arguments[:4])

    def __setstate__(self, state: object) -> None:
        pass


# The one in Python: the one in C reserves memory for whatever memo index a file names.
class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
            return _Maker(name)
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) == ("collections", "OrderedDict"):
            return _Dict
        return type("Inert", (_Inert,), {})

    def persistent_load(self, pid: object) -> object:
        match pid:
            case ("storage", torch.dtype() as dtype, str(key), str(), int(numel)):
                return _Storage(dtype, key, numel)
        return _Inert()


class _Archive:
    def __init__(self, file: zipfile.ZipFile) -> None:
        self.file = file
        (pickled,) = (name for name in file.namelist() if name.endswith("/data.pkl"))
        self.root = pickled.removesuffix("data.pkl")
        order = f"{self.root}byteorder"
        if order in file.namelist() and self._read(order, 16) != b"little":
            raise ValueError("it was written on a big-endian machine")
        self.content = _Unpickler(file.open(self._entry(pickled, _MAX_PICKLE))).load()

    def _entry(self, name: str, most: int) -> zipfile.ZipInfo:
        entry = self.file.getinfo(name)
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > most:
            raise ValueError(f"{name} is compressed or larger than {most} bytes")
        return entry

    def _read(self, name: str, most: int) -> bytes:
        return self.file.read(self._entry(name, most))

    def build(self, value: object) -> object:
        """Containers, numbers, strings and tensors; None in place of anything else."""
        if isinstance(value, _Described):
            return self._tensor(value)
        if isinstance(value, dict):
            return {key: self.build(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.build(item) for item in value)
        return value if isinstance(value, bool | int | float | str) else None

    def _tensor(self, described: _Described) -> Tensor:
        storage = described.storage
        if not isinstance(storage, _Storage):
            raise ValueError("it describes a tensor of an unknown kind")
        offset = operator.index(described.offset)
        size, stride = (
            [operator.index(n) for n in ns] for ns in (described.size, described.stride)
        )
        last = offset + sum((n - 1) * step for n, step in zip(size, stride))
        nbytes = storage.numel * storage.dtype.itemsize
        if (
            len(size) != len(stride)
            or min(offset, storage.numel, *size, *stride) < 0
            or math.prod(size) > storage.numel
            or (math.prod(size) and last >= storage.numel)
        ):
            raise ValueError(f"a tensor of shape {size} does not fit its {nbytes} bytes")
        if not math.prod(size):
            return torch.empty(size, dtype=storage.dtype)
        data = self._read(f"{self.root}data/{storage.key}", nbytes)
        flat = torch.frombuffer(bytearray(data), dtype=storage.dtype)
        if len(flat) != storage.numel:
            raise ValueError(f"a storage has {len(data)} bytes instead of {nbytes}")
        return flat.as_strided(size, stride, offset).clone()


def read_tensors(path: str | Path, keys: Collection[str]) -> dict[str, object]:
    """The entries ``keys`` of a checkpoint in torch's zip format, as far as it has them.

    Tensors, containers, numbers and strings are read; any other object becomes None. Nothing in the
    file is executed; a hostile one, nested millions deep, can still end the process. Raises
    ``ValueError`` for a file of another format or a damaged one.
    """
    try:
        with zipfile.ZipFile(path) as file:
            archive = _Archive(file)
            if not isinstance(archive.content, dict):
                raise ValueError("it does not hold a dict")
            return {
                key: archive.build(archive.content[key]) for key in keys if key in archive.content
            }
    except Exception as error:
        # A damaged or hostile pickle can raise almost anything from inside the replaying machine.
        raise ValueError(
            f"{path} cannot be read as a torch checkpoint ({type(error).__name__}: {error})"
        ) from error
