"""Weights on disk: the one place that reads and writes checkpoints.

Two formats are read: torch's (``.ckpt``, ``.bin``, ``.pt``) and ``.safetensors``. Nothing in a file
is executed.

Many trainings pickle objects of their own beside the tensors. `torch.load` with ``weights_only``
refuses such a file at the first class it does not know. Admitting stand-ins through `safe_globals`
is not enough: it then refuses the items of every subclass of dict or list, such as the settings of
a training framework. So the file is read a second time, with each unknown class replaced by one
that does nothing.
"""

from __future__ import annotations

import json
import logging
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from soke.files import MissingAssetError, atomic_path, require

log = logging.getLogger(__name__)

#: Entries of a checkpoint: its named tensors, and what it says about itself.
STATE = "state_dict"
ABOUT = "soke"
#: How transformers names the weights of a model folder, and the suffix of a list of shards.
SAFETENSORS = "model.safetensors"
TORCH = "pytorch_model.bin"
INDEX = ".index.json"


def read_checkpoint(
    path: str | Path,
    what: str = "The checkpoint",
    remedy: str = "Correct the configured path",
) -> dict[str, Any]:
    """Everything a checkpoint holds, by entry.

    ``state_dict`` (named tensors, on the CPU) and ``soke`` (what we wrote about them) are always
    there, if only empty. A file that is nothing but named tensors is taken for a ``state_dict``.
    Objects of unknown classes are replaced by inert ones, with a warning.

    Raises `soke.files.MissingAssetError`, made of ``what`` and ``remedy``, when there is no such
    file and ``ValueError`` when it is damaged, of another format or no checkpoint.
    """
    path = require(path, what, remedy)
    content = _read_safetensors(path) if path.suffix == ".safetensors" else read_torch(path)
    entries = dict(content) if isinstance(content, Mapping) else {}
    if not any(isinstance(entries.get(key), Mapping) for key in (STATE, ABOUT)):
        entries = {STATE: entries}
        if not any(isinstance(value, Tensor) for value in entries[STATE].values()):
            raise ValueError(
                f"{path} is not a checkpoint: it holds none of {[STATE, ABOUT]}, and no tensors "
                f"by name. {remedy}"
            )
    for key in (STATE, ABOUT):
        if not isinstance(entries.get(key), Mapping):
            entries[key] = {}
    state = {key: value for key, value in entries[STATE].items() if isinstance(value, Tensor)}
    for key, value in state.items():
        if value.layout == torch.strided and value.nbytes > value.untyped_storage().nbytes():
            raise ValueError(
                f"{path}: the tensor {key!r} of shape {tuple(value.shape)} is larger than the "
                f"{value.untyped_storage().nbytes()} bytes that the file has for it. The file is "
                "damaged, or made to fill the memory: do not use it"
            )
    return {**entries, STATE: state}


def select(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with ``prefix``, without it."""
    return {
        key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)
    }


def read_torch(path: Path) -> Any:
    """What a file of `torch.save` holds, on the CPU. Raises ``ValueError`` for any other file."""
    try:
        _refuse_compressed(path)
        return _load(path)
    except Exception as error:  # a damaged or hostile pickle can raise almost anything
        raise ValueError(
            f"{path} cannot be read as a torch checkpoint ({type(error).__name__}: {error}). "
            "Expected a file of torch.save; if it should be one, it is damaged: fetch or write it "
            "again"
        ) from None


def write_torch(content: Mapping[str, Any], path: str | Path) -> None:
    """Write a file of `torch.save`; if interrupted, it leaves what was there before."""
    # An open file, since torch writes the name of one that it opens itself into it.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save(content, file)


def write_safetensors(
    state: Mapping[str, Tensor], path: str | Path, about: Mapping[str, Any] | None = None
) -> None:
    """Write named tensors and, as metadata, what `read_checkpoint` returns under ``soke``.

    If interrupted, it leaves what was there before.
    """
    metadata = {f"{ABOUT}.{key}": json.dumps(value) for key, value in (about or {}).items()}
    contiguous = {key: value.contiguous() for key, value in state.items()}
    with atomic_path(path) as temporary:
        safetensors.torch.save_file(contiguous, temporary, {"format": "pt", **metadata})


def read_folder(folder: str | Path, what: str, remedy: str) -> dict[str, Tensor]:
    """All tensors of a folder's ``model.safetensors`` or ``pytorch_model.bin``, or their shards.

    Raises `soke.files.MissingAssetError`, made of ``what`` and ``remedy``, when there are none and
    ``ValueError`` when files are damaged.
    """
    folder = Path(folder)
    for name in (SAFETENSORS, TORCH):
        if (folder / name).exists():
            return read_checkpoint(folder / name)[STATE]
        if (folder / f"{name}{INDEX}").exists():
            return _read_shards(folder / f"{name}{INDEX}")
    raise MissingAssetError(what, folder / f"{SAFETENSORS} (or {TORCH})", remedy)


def _read_shards(index: Path) -> dict[str, Tensor]:
    try:
        shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(shards.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{index} names no shards ({type(error).__name__}: {error})") from None
    state: dict[str, Tensor] = {}
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise ValueError(f"{index}: the shard {name!r} is not a file beside it")
        shard = read_checkpoint(index.parent / name, "A shard of the weights", "Fetch it again")
        state |= shard[STATE]
    missing = sorted(set(shards) - set(state))
    if missing:
        raise ValueError(f"{index} promises {missing[:3]}, which its shards do not hold")
    return state


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        about = {
            key.removeprefix(f"{ABOUT}."): json.loads(value)
            for key, value in metadata.items()
            if key.startswith(f"{ABOUT}.")
        }
    except (SafetensorError, ValueError, OSError) as error:
        raise ValueError(
            f"{path} cannot be read as safetensors ({error}). It is damaged or of another format: "
            "fetch or write it again"
        ) from None
    return {STATE: state, ABOUT: about}


def _refuse_compressed(path: Path) -> None:
    """Refuse compressed entries: a small file could fill the memory, and torch writes none."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > entry.compress_size:
                raise ValueError(f"its entry {entry.filename} is compressed")


def _load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is neither a zip archive nor a pickle of tensors") from None
    # By now torch has refused TorchScript, which runs code. With our own unpickler this is as safe
    # as weights_only: `find_class` is all that gives a pickle anything to call.
    content = torch.load(path, map_location="cpu", weights_only=False, pickle_module=_KnownClasses)
    log.warning("%s pickles other objects beside its tensors; they were ignored", path)
    return content


class _Inert:
    """Stands for an object of an unknown class, and for the class: whatever is done has no effect.

    Since it has a ``__setstate__``, a pickle cannot set its attributes either.
    """

    def __new__(cls, *_: object, **__: object) -> Any:
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def nothing(self, *_: object, **__: object) -> None:
        pass

    __call__ = __setstate__ = __setitem__ = append = extend = add = nothing


class _RebuildTensor(_Inert):
    def __new__(cls, storage: Any, offset: Any, size: Any, stride: Any, *_: object) -> Any:
        return torch._utils._rebuild_tensor(storage, offset, size, stride)


class _RebuildParameter(_Inert):
    def __new__(cls, tensor: Any, *_: object) -> Any:
        return tensor


# The one in Python: the one in C reserves memory for whatever memo index a file names.
class _Unpickler(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)
    del dispatch[pickle.BYTEARRAY8[0]]  # reserves whatever memory it names; torch writes none

    def find_class(self, module: str, name: str) -> Any:
        """Storages do not come here: torch finds them itself."""
        match module, name:
            case "torch._utils", "_rebuild_tensor_v2":
                return _RebuildTensor
            case "torch._utils", "_rebuild_parameter":
                return _RebuildParameter
            case "collections", "OrderedDict":
                return OrderedDict
        return _Inert


class _KnownClasses:
    """What `torch.load` needs of a pickle module."""

    Unpickler = _Unpickler
