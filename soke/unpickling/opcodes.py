"""The opcodes of a pickle: what follows each of them, and what it does."""

from __future__ import annotations

import pickle
import struct
from codecs import escape_decode
from collections.abc import Callable
from functools import partial
from itertools import repeat

from soke.unpickling.machine import Machine
from soke.unpickling.values import UnsafePickleError

#: Opcodes of a file; a row of an annotation takes about 30.
_MAX_STEPS = 10**7
#: Digits or bytes of a number: longer ones take ever longer to convert and to print.
_MAX_NUMBER = 255


def replay(data: bytes, machine: Machine) -> object:
    """What the pickle ``data`` holds, still to be passed through `check_tree`.

    Raises `UnsafePickleError` for what is not admitted. A damaged pickle runs into errors of many
    kinds: of value, type, index, key or memory.
    """
    stack = machine.stack
    memo = machine.memo
    at = 0
    for _ in repeat(None, _MAX_STEPS):
        code = data[at]
        at += 1
        if code == _MEMOIZE:  # a third of all steps
            memo[len(memo)] = stack[-1]
            continue
        form, read, act = _OPCODES[code]
        if not form:
            act(machine)
            if code == _STOP:
                break
            continue
        if form == 1:
            act(machine, data[at])
            at += 1
            continue
        if form == -1:
            start = at + 1
            end = start + data[at]
        elif form > 1:
            start = at
            end = at + form
        elif form == _LINE:
            start = at
            end = data.index(b"\n", at) + 1
        elif form == _TWO_LINES:
            start = at
            end = data.index(b"\n", data.index(b"\n", at) + 1) + 1
        else:
            start = at - form
            end = start + int.from_bytes(data[at:start], "little")
        if end > len(data):
            raise EOFError("it ends early")
        at = end
        if not read:
            act(machine, data[start:end])
        elif read is bytes or read is bytearray:
            machine.push_bytes(read(data[start:end]), start)
        else:
            stack.append(read(data[start:end]))
    else:
        raise UnsafePickleError(f"it takes more than {_MAX_STEPS} steps")
    if len(stack) != 1 or machine.marks or at != len(data):
        raise ValueError("something is left over at its end")
    return stack[0]


def _check_protocol(version: int) -> None:
    if version > 5:
        raise UnsafePickleError(f"it is of protocol {version}, not of 0 to 5")


def _integer(line: bytes, most: int = _MAX_NUMBER) -> int | bool:
    line = line.rstrip(b"\n")
    if len(line) > most:
        raise UnsafePickleError(f"it has a number of {len(line)} digits")
    flags = {b"00": False, b"01": True}  # how protocols 0 and 1 write a bool
    return flags[line] if line in flags else int(line.removesuffix(b"L"))


def _float(line: bytes) -> float:
    if len(line) > _MAX_NUMBER:
        raise UnsafePickleError(f"it has a number of {len(line)} digits")
    return float(line)


def _quoted(line: bytes) -> str:
    line = line.strip()
    if len(line) < 2 or line[0] != line[-1] or line[:1] not in (b"'", b'"'):
        raise ValueError("a string lacks its quotes")
    return escape_decode(line[1:-1])[0].decode("latin1")


def _two_names(lines: bytes) -> list[str]:
    return lines.decode().split("\n")[:2]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def _latin1(raw: bytes) -> str:
    return raw.decode("latin1")


def _unsigned(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def _signed(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


#: What follows an opcode: that many bytes, or (negative) as many as a length of so many bytes says,
#: or a line of text, or two lines.
_LINE = -101
_TWO_LINES = -102
#: Opcodes that push the value that follows them, and how it is read.
_VALUES = {
    "INT": (_LINE, _integer),
    "LONG": (_LINE, _integer),
    "BININT": (4, _signed),
    "BININT2": (2, _unsigned),
    "LONG1": (-1, _signed),
    "FLOAT": (_LINE, _float),
    "BINFLOAT": (8, lambda raw: struct.unpack(">d", raw)[0]),
    "STRING": (_LINE, _quoted),
    "BINSTRING": (-4, _latin1),
    "SHORT_BINSTRING": (-1, _latin1),
    "UNICODE": (_LINE, lambda line: line[:-1].decode("raw-unicode-escape")),
    "BINUNICODE": (-4, _text),
    "SHORT_BINUNICODE": (-1, _text),
    "BINUNICODE8": (-8, _text),
    "BINBYTES": (-4, bytes),
    "SHORT_BINBYTES": (-1, bytes),
    "BINBYTES8": (-8, bytes),
    "BYTEARRAY8": (-8, bytearray),
}
#: Opcodes that do something to the machine.
_STEPS = {
    "PROTO": (1, lambda m, version: _check_protocol(version)),
    "FRAME": (8, lambda m, raw: None),
    "STOP": (0, lambda m: None),
    "NONE": (0, lambda m: m.stack.append(None)),
    "NEWTRUE": (0, lambda m: m.stack.append(True)),
    "NEWFALSE": (0, lambda m: m.stack.append(False)),
    "EMPTY_TUPLE": (0, lambda m: m.stack.append(())),
    "EMPTY_LIST": (0, lambda m: m.stack.append([])),
    "EMPTY_DICT": (0, lambda m: m.stack.append({})),
    "BININT1": (1, lambda m, number: m.stack.append(number)),
    "MARK": (0, Machine.mark),
    "TUPLE": (0, Machine.make_tuple),
    "TUPLE1": (0, Machine.make_tuple_of_one),
    "TUPLE2": (0, Machine.make_tuple_of_two),
    "TUPLE3": (0, Machine.make_tuple_of_three),
    "LIST": (0, lambda m: m.stack.append(m.above_mark())),
    "DICT": (0, Machine.make_dict),
    "APPEND": (0, lambda m: m.extend([m.stack.pop()])),
    "APPENDS": (0, lambda m: m.extend(m.above_mark())),
    "SETITEM": (0, lambda m: m.update(m.last_two())),
    "SETITEMS": (0, lambda m: m.update(m.above_mark())),
    "MEMOIZE": (0, lambda m: m.remember(len(m.memo))),
    "PUT": (_LINE, lambda m, line: m.remember(_integer(line, 10))),
    "BINPUT": (1, Machine.remember),
    "LONG_BINPUT": (4, lambda m, raw: m.remember(_unsigned(raw))),
    "GET": (_LINE, lambda m, line: m.recall(_integer(line, 10))),
    "BINGET": (1, Machine.recall),
    "LONG_BINGET": (4, lambda m, raw: m.recall(_unsigned(raw))),
    "GLOBAL": (_TWO_LINES, lambda m, lines: m.push_name(*_two_names(lines))),
    "INST": (_TWO_LINES, lambda m, lines: m.skip_to_mark(".".join(_two_names(lines)))),
    "OBJ": (0, Machine.skip_to_mark),
    "NEWOBJ": (0, lambda m: m.skip_instance(2)),
    "NEWOBJ_EX": (0, lambda m: m.skip_instance(3)),
    "PERSID": (_LINE, lambda m, line: m.skip("an object outside the file", 0)),
    "BINPERSID": (0, lambda m: m.skip("an object outside the file", 1)),
    "EMPTY_SET": (0, lambda m: m.skip("a set", 0)),
    "FROZENSET": (0, lambda m: m.skip_to_mark("a set")),
    "ADDITEMS": (0, lambda m: m.extend(m.above_mark())),
    "STACK_GLOBAL": (0, lambda m: m.push_name(*m.last_two())),
    "REDUCE": (0, Machine.call),
    "BUILD": (0, Machine.finish),
}


def _refuse(code: int, machine: Machine) -> None:
    for name in pickle.__all__:
        if getattr(pickle, name) == bytes([code]):
            raise UnsafePickleError(f"it uses the opcode {name}, which no admitted content needs")
    raise ValueError(f"{code:#04x} is no opcode")


def _table() -> list[tuple[int, Callable | None, Callable | None]]:
    """For each of the 256 bytes what follows it, and how that is read or what it does."""
    table = [(0, None, partial(_refuse, code)) for code in range(256)]
    for name, (form, read) in _VALUES.items():
        table[getattr(pickle, name)[0]] = form, read, None
    for name, (form, act) in _STEPS.items():
        table[getattr(pickle, name)[0]] = form, None, act
    return table


_OPCODES = _table()
_MEMOIZE = pickle.MEMOIZE[0]
_STOP = pickle.STOP[0]
