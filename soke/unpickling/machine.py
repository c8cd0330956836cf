"""The stack and the memo of a pickle that is replayed, and what its steps do to them.

No function is lent to a file. What it names is noted, and the few calls that numpy writes are
carried out here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from soke.unpickling.values import (
    Name,
    Unread,
    UnsafePickleError,
    admitted_keys,
    build_array,
    build_dtype,
)

#: The names that mean something here; any other becomes an `Unread` value. numpy moved its
#: internals from ``numpy.core`` to ``numpy._core`` in 2.0; protocols up to 2 write bytes by calling
#: ``encode`` and ``bytes``.
_NAMES = {
    (module, name)
    for module, names in {
        "numpy": ("dtype", "ndarray"),
        "numpy.core.multiarray": ("_reconstruct", "scalar"),
        "numpy._core.multiarray": ("_reconstruct", "scalar"),
        "numpy.core.numeric": ("_frombuffer",),
        "numpy._core.numeric": ("_frombuffer",),
        "_codecs": ("encode",),
        "collections": ("OrderedDict",),
        "builtins": ("bytes",),
        "__builtin__": ("bytes",),
    }.items()
    for name in names
}


class Unfinished:
    """A dtype or an array between the call for it and its state, from which ``make`` makes it."""

    __slots__ = ("make", "result")
    name = "an unfinished array"

    def __init__(self, make: Callable[..., object]) -> None:
        self.make = make
        self.result = None


class Machine:
    """What a pickle of ``size`` bytes has built so far; a method for each step it may take."""

    def __init__(self, size: int) -> None:
        self.stack = []
        self.marks = []
        self.memo = {}
        self.room = 2 * size  # bytes to copy; those of old files are encoded, then copied
        # For `alike`, by their ids: where bytes lie in the file, and what arrays were made of.
        self.places: dict[int, tuple[bytes | bytearray, int]] = {}
        self.contents: dict[int, tuple[object, str]] = {}
        self.made_scalars = False

    def push_bytes(self, raw: bytes | bytearray, start: int) -> None:
        self.places[id(raw)] = raw, start
        self.stack.append(raw)

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def above_mark(self) -> list:
        at = self.marks.pop()
        items = self.stack[at:]
        del self.stack[at:]
        return items

    def last_two(self) -> list:
        last = self.stack.pop()
        return [self.stack.pop(), last]

    def make_tuple(self) -> None:
        self.stack.append(tuple(self.above_mark()))

    def make_tuple_of_one(self) -> None:
        self.stack[-1] = (self.stack[-1],)

    def make_tuple_of_two(self) -> None:
        self.stack.append(tuple(self.last_two()))

    def make_tuple_of_three(self) -> None:
        last = self.stack.pop()
        self.stack.append((*self.last_two(), last))

    def make_dict(self) -> None:
        items = self.above_mark()
        self.stack.append({})
        self.update(items)

    def extend(self, items: list) -> None:
        target = self.stack[-1]
        if type(target) is Unread:
            return
        if type(target) is not list:
            raise UnsafePickleError(f"it appends to a {type(target).__name__}")
        target.extend(items)

    def update(self, items: list) -> None:
        target = self.stack[-1]
        if type(target) is Unread:
            return
        if type(target) is not dict or len(items) % 2:
            raise UnsafePickleError(f"it sets {len(items)} items of a {type(target).__name__}")
        target.update(zip(admitted_keys(items[::2]), items[1::2]))

    def skip(self, name: str, count: int) -> None:
        """Put an `Unread` value in place of the last ``count`` values."""
        del self.stack[len(self.stack) - count :]
        self.stack.append(Unread(name))

    def skip_instance(self, count: int) -> None:
        """Put an `Unread` value in place of a class and the rest of the last ``count`` values."""
        self.skip(_name_of(self.stack[-count]), count)

    def skip_to_mark(self, name: str | None = None) -> None:
        """Put an `Unread` value in place of all since the mark; the class is the first of them."""
        items = self.above_mark()
        self.stack.append(Unread(name or _name_of(items[0])))

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> None:
        value = self.memo[index]
        if type(value) is Unfinished:
            value = value.result
            if value is None:
                raise UnsafePickleError("it holds an array that holds itself")
        self.stack.append(value)

    def push_name(self, module: str, name: str) -> None:
        if type(module) is not str or type(name) is not str:  # before they are hashed
            raise UnsafePickleError(f"it names something by a {type(name).__name__}")
        known = (module, name) in _NAMES
        self.stack.append(Name(name) if known else Unread(f"{module}.{name}"))

    def call(self) -> None:
        """Carry out a call of a known name, or note it where the content is still to come."""
        target, arguments = self.last_two()
        if type(target) is Unread:
            self.stack.append(target)
            return
        name = _name_of(target)
        if name not in _CALLS or not _is_short_tuple(arguments):
            raise UnsafePickleError(f"it calls {name} in an unusual way")
        try:
            self.stack.append(_CALLS[name](self, *arguments))
        except TypeError:
            raise UnsafePickleError(f"it calls {name} in an unusual way") from None

    def finish(self) -> None:
        """Give an unfinished dtype or array its state."""
        target, state = self.last_two()
        if type(target) is Unread:
            self.stack.append(target)
            return
        if type(target) is not Unfinished or not _is_short_tuple(state):
            raise UnsafePickleError(f"it sets the state of a {type(target).__name__}")
        try:
            target.result = target.make(self, *state)
        except TypeError:
            raise UnsafePickleError("it finishes an array in an unusual way") from None
        self.stack.append(target.result)

    def spend(self, size: int) -> None:
        self.room -= size
        if self.room < 0:
            raise UnsafePickleError("its arrays are larger than the file")


def _name_of(value: object) -> str:
    return value.name if isinstance(value, Unread) else f"a {type(value).__name__}"


def _is_short_tuple(value: object) -> bool:
    # numpy gives up to nine arguments; a long tuple, used again and again, would take long.
    return type(value) is tuple and len(value) <= 9


# What the calls do, with the arguments as a file gives them.


def _array(
    machine: Machine,
    content: bytes | bytearray | str | list,
    dtype: np.dtype | Unread,
    shape: tuple,
    order: str = "C",
    axes: tuple | None = None,
) -> np.ndarray | Unread:
    """An array; in the order "K" its content is in C order and ``axes`` transpose it."""
    if type(dtype) is Unread:
        return dtype
    if type(order) is not str:
        raise UnsafePickleError(f"it orders an array by a {type(order).__name__}")
    machine.spend(len(content))
    if order == "K" and type(axes) is tuple:
        array = build_array(shape, dtype, content).transpose(axes)
    else:
        array = build_array(shape, dtype, content, order)
    machine.contents[id(array)] = content, order
    return array


def _scalar(
    machine: Machine, dtype: np.dtype | Unread, content: bytes | str
) -> np.generic | Unread:
    machine.made_scalars = True
    array = _array(machine, content, dtype, ())
    return array if type(array) is Unread else array[()]


def _reconstruct(machine: Machine, kind: object, shape: object, code: object) -> object:
    # Subclasses of arrays (matrices, records) have states of their own.
    return kind if type(kind) is Unread else Unfinished(_fill)


def _fill(
    machine: Machine,
    version: int,
    shape: tuple,
    dtype: np.dtype | Unread,
    is_fortran: bool,
    content: object,
) -> np.ndarray | Unread:
    return _array(machine, content, dtype, shape, "F" if is_fortran is True else "C")


def _dtype(machine: Machine, name: str, *flags: bool) -> Unfinished:
    def make(
        machine: Machine, version: int, order: str, base: None, names: None, fields: None, *_: int
    ) -> np.dtype | Unread:
        if not (base is names is fields is None):
            return Unread("an array of records")
        return build_dtype(name, order)

    return Unfinished(make)


def _encode(machine: Machine, text: str, codec: str) -> bytes:
    if type(text) is not str or type(codec) is not str or codec != "latin1":
        raise UnsafePickleError("it encodes in an unusual way")
    machine.spend(len(text))
    return text.encode("latin1")


_CALLS = {
    "_reconstruct": _reconstruct,
    "_frombuffer": _array,
    "scalar": _scalar,
    "dtype": _dtype,
    "encode": _encode,
    "bytes": lambda machine: b"",
    "OrderedDict": lambda machine: {},
}
