"""What a pickle may hold, and how its arrays are built."""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np

#: Containers within containers (what people write has a handful), and the items of all of them.
_MAX_DEPTH = 32
_MAX_ITEMS = 10**7
#: Bytes that an array without elements would have if its empty sides were one long.
_MAX_EMPTY = 2**24

_CONTAINERS = {dict, list, tuple}
#: Only these become keys. Tuples, complex and long numbers can be chosen to share one hash.
_KEYS = {type(None), bool, int, float, str, bytes}
_KEYS |= {np.dtype(code).type for code in "?bhilqBHILQefdSU"}
_LEAVES = _KEYS | {bytearray} | {np.dtype(code).type for code in "gFDG"}
_CONTENTS = {bytes, bytearray, str, list}
_DTYPES = {type(np.dtype(code)) for code in "?bhilqBHILQefdgFDGSUO"}
#: numpy's names for bool, numbers and strings, and for objects that are listed one by one.
_DTYPE = re.compile(r"[biufcSUO]\d{1,9}")


class Unread:
    """Stands for a value of a kind that is not read, such as a torch tensor or a set.

    ``name`` says what the file calls it. Nothing of it was called, and nothing of it is kept.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name[:100]

    def __repr__(self) -> str:
        return f"<not read: {self.name}>"


class Name(Unread):
    """A function or class whose calls the machine carries out itself."""

    __slots__ = ()


_ADMITTED = _LEAVES | _CONTAINERS | _DTYPES | {np.ndarray, Unread, Name}


class UnsafePickleError(ValueError):
    """A pickle that is damaged, forged or too large."""


def admitted_keys(keys: list) -> list:
    """``keys`` with an `Unread` for each that could make a dict slow or end the process."""
    if set(map(type, keys)) <= _KEYS and not any(map(_is_long, keys)):
        return keys
    return [
        key if type(key) in _KEYS and not _is_long(key) else Unread(f"a {type(key).__name__}")
        for key in keys
    ]


def _is_long(key: object) -> bool:
    return type(key) is int and key.bit_length() > 64


def check_tree(value: object) -> None:
    """Walk ``value`` level by level, a shared thing once for each mention.

    Raises `UnsafePickleError` for types that are not admitted, and for what nests too deep (as
    does whatever holds itself) or has too many items.
    """
    level = [[value]]
    room = _MAX_ITEMS
    for _ in range(_MAX_DEPTH + 1):
        inner = []
        for container in level:
            items = _items(container)
            room -= len(items) + 1
            if room < 0:
                raise UnsafePickleError(f"written out, it has more than {_MAX_ITEMS} items")
            kinds = set(map(type, items))
            if kinds <= _LEAVES:
                continue
            if not kinds <= _ADMITTED:
                odd = next(item for item in items if type(item) not in _ADMITTED)
                raise UnsafePickleError(f"it holds {odd.name}")
            inner += [item for item in items if type(item) in _CONTAINERS or _lists_objects(item)]
        if not inner:
            return
        level = inner
    raise UnsafePickleError(f"it holds itself, or more than {_MAX_DEPTH} containers in each other")


def _lists_objects(value: object) -> bool:
    return type(value) is np.ndarray and value.dtype.hasobject


def _items(container: dict | list | tuple | np.ndarray) -> Collection[object]:
    if type(container) is dict:  # its keys were checked before they were hashed
        return container.values()
    return container.ravel().tolist() if type(container) is np.ndarray else container


def build_dtype(name: str, order: str) -> np.dtype | Unread:
    """A numpy dtype from its name and byte order; `Unread` for records, dates and raw bytes.

    Nothing else of its state is believed: numpy would take flags that declare raw bytes to be
    object pointers.
    """
    if type(name) is not str or type(order) is not str:
        raise UnsafePickleError(f"it describes an array by a {type(name).__name__}")
    if not _DTYPE.fullmatch(name):
        return Unread(f"an array of {name!r}")
    dtype = np.dtype(name)
    return dtype.newbyteorder(order) if order in ("<", ">") else dtype


def build_array(
    shape: tuple, dtype: np.dtype, content: bytes | bytearray | str | list, order: str = "C"
) -> np.ndarray:
    """An array from its bytes (a str holds bytes that Python 2 wrote) or its list of objects."""
    kind = type(content)
    if not isinstance(dtype, np.dtype) or kind not in _CONTENTS or type(shape) is not tuple:
        raise UnsafePickleError(f"it makes an array of {type(dtype).__name__} from {kind.__name__}")
    if (kind is list) != dtype.hasobject:
        raise UnsafePickleError(f"it makes an array of {dtype} from a {kind.__name__}")
    _check_shape(shape, 1 if kind is list else dtype.itemsize, len(content))
    if kind is list:
        return _object_array(content).reshape(shape)  # numpy lists them in C order always
    if kind is str:
        content = content.encode("latin1")
    # A bytearray is a copy that can be written to.
    return np.ndarray(shape, dtype, bytearray(content), order=order)


def _object_array(content: list) -> np.ndarray:
    array = np.empty(len(content), dtype=object)
    for i, item in enumerate(content):
        # Nested deep, such arrays would overflow the C stack when they are deleted.
        if _lists_objects(item):
            raise UnsafePickleError("it holds an array of arrays of objects")
        array[i] = item
    return array


def _check_shape(shape: tuple, itemsize: int, size: int) -> None:
    """Raise `UnsafePickleError` unless such an array has ``size`` bytes (or objects)."""
    declared = unless_empty = itemsize
    for side in shape[:64]:  # numpy's limit
        if type(side) is not int or side < 0:
            raise UnsafePickleError("it declares an array with a side that is no size")
        declared *= side
        unless_empty *= side or 1
    if declared != size or len(shape) > 64 or not (unless_empty or shape == ()):
        raise UnsafePickleError(f"it declares an array of shape {shape[:9]} for {size} bytes")
    if unless_empty > max(size, _MAX_EMPTY):
        raise UnsafePickleError(f"it declares an empty array of shape {shape[:9]}")
