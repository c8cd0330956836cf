"""The stack and the memo of a pickle that is replayed, and what its steps do to them.

No function is lent to a file. What it names is noted, and the few calls that numpy writes are
carried out here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from soke.unpickling.values import UnsafePickleError, build_array, build_dtype, check_keys

#: Everything that a file may name. numpy moved its internals from ``numpy.core`` to ``numpy._core``
#: in 2.0; protocols up to 2 write bytes by calling ``encode`` and ``bytes``.
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


class Name:
    """A function or class that a file names, never the thing itself."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Unfinished:
    """A dtype or an array between the call for it and its state, from which ``make`` makes it."""

    __slots__ = ("make", "result")
    name = "an unfinished array"

    def __init__(self, make: Callable[..., object]) -> None:
        self.make, self.result = make, None


class Machine:
    """What a pickle of ``size`` bytes has built so far; a method for each step it may take."""

    def __init__(self, size: int) -> None:
        self.stack, self.marks, self.memo = [], [], {}
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
        if type(target) is not list:
            raise UnsafePickleError(f"it appends to a {type(target).__name__}")
        target.extend(items)

    def update(self, items: list) -> None:
        target, keys = self.stack[-1], items[::2]
        if type(target) is not dict or len(items) % 2:
            raise UnsafePickleError(f"it sets {len(items)} items of a {type(target).__name__}")
        check_keys(keys)
        target.update(zip(keys, items[1::2]))

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
        if (module, name) not in _NAMES:
            raise UnsafePickleError(
                f"it asks for {f'{module}.{name}'[:100]!r}; only numpy arrays, plain containers, "
                "numbers and strings are admitted"
            )
        self.stack.append(Name(name))

    def make_instance(self, module: str, name: str) -> None:
        self.push_name(module, name)
        raise UnsafePickleError(f"it makes an instance of {name}")

    def call(self) -> None:
        """Carry out a call, or note it where the content is still to come."""
        target, arguments = self.last_two()
        name = target.name if type(target) is Name else f"a {type(target).__name__}"
        if name not in _CALLS or not _is_short_tuple(arguments):
            raise UnsafePickleError(f"it calls {name} in an unusual way")
        try:
            self.stack.append(_CALLS[name](self, *arguments))
        except TypeError:
            raise UnsafePickleError(f"it calls {name} in an unusual way") from None

    def finish(self) -> None:
        """Give an unfinished dtype or array its state."""
        target, state = self.last_two()
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


def _is_short_tuple(value: object) -> bool:
    # numpy gives up to nine arguments; a long tuple, used again and again, would take long.
    return type(value) is tuple and len(value) <= 9


# What the calls do, with the arguments as a file gives them.


def _array(
    machine: Machine,
    content: bytes | bytearray | str | list,
    dtype: np.dtype,
    shape: tuple,
    order: str = "C",
    axes: tuple | None = None,
) -> np.ndarray:
    """An array; in the order "K" its content is in C order and ``axes`` transpose it."""
    if type(order) is not str:
        raise UnsafePickleError(f"it orders an array by a {type(order).__name__}")
    machine.spend(len(content))
    if order == "K" and type(axes) is tuple:
        array = build_array(shape, dtype, content).transpose(axes)
    else:
        array = build_array(shape, dtype, content, order)
    machine.contents[id(array)] = content, order
    return array


def _scalar(machine: Machine, dtype: np.dtype, content: bytes | str) -> np.generic:
    machine.made_scalars = True
    return _array(machine, content, dtype, ())[()]


def _fill(
    machine: Machine, version: int, shape: tuple, dtype: np.dtype, is_fortran: bool, content: object
) -> np.ndarray:
    return _array(machine, content, dtype, shape, "F" if is_fortran is True else "C")


def _dtype(machine: Machine, name: str, *flags: bool) -> Unfinished:
    def make(
        machine: Machine, version: int, order: str, base: None, names: None, fields: None, *_: int
    ) -> np.dtype:
        if type(order) is not str or not (base is names is fields is None):
            raise UnsafePickleError("it holds an array of records")
        return build_dtype(name, order)

    return Unfinished(make)


def _encode(machine: Machine, text: str, codec: str) -> bytes:
    if type(text) is not str or type(codec) is not str or codec != "latin1":
        raise UnsafePickleError("it encodes in an unusual way")
    machine.spend(len(text))
    return text.encode("latin1")


_CALLS = {
    "_reconstruct": lambda machine, kind, shape, code: Unfinished(_fill),
    "_frombuffer": _array,
    "scalar": _scalar,
    "dtype": _dtype,
    "encode": _encode,
    "bytes": lambda machine: b"",
    "OrderedDict": lambda machine: {},
}
