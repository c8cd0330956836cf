"""Files that are out to do harm: each ends in one clear error, and soon."""

import collections
import datetime
import gzip
import io
import os
import pickle
import random
import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch

from soke.unpickling import Unread, UnsafePickleError, safe_load_pickle, values


def load(folder, content):
    path = folder / "file.pkl"
    path.write_bytes(content)
    return safe_load_pickle(path)


def refusal(folder, content):
    with pytest.raises(UnsafePickleError) as error:
        load(folder, content)
    message = str(error.value)
    assert message.count(f"{folder / 'file.pkl'} ") == 1
    assert "\n" not in message and len(message) < len(str(folder)) + 400
    return message


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_attacks_are_not_run(tmp_path, protocol):
    marker = tmp_path / "executed"
    attacks = {
        "posix.system": Evil(os.system, f"touch {marker}"),
        "eval": Evil(eval, f"open({str(marker)!r}, 'w')"),
        "getattr": Evil(getattr, "text", "upper"),
    }
    for name, attack in attacks.items():
        assert name in refusal(tmp_path, pickle.dumps(attack, protocol))
        assert name in refusal(tmp_path, gzip.compress(pickle.dumps(attack, protocol)))
        rows = [{"name": "a", "sign": attack, "more": {"b": [attack, 1]}}]
        for content in (pickle.dumps(rows, protocol), gzip.compress(pickle.dumps(rows, protocol))):
            [row] = load(tmp_path, content)
            assert type(row["sign"]) is Unread and name in repr(row["sign"])
            assert row["name"] == "a" and row["more"]["b"][1] == 1
        array = load(tmp_path, pickle.dumps(np.array([attack, None], object), protocol))
        assert type(array[0]) is Unread and array[1] is None
    assert not marker.exists()


class Record:
    def __init__(self):
        self.values = [1, 2]


class Arguments(tuple):
    def __new__(cls, *, key):
        return super().__new__(cls, (key,))

    def __getnewargs_ex__(self):
        return (), {"key": self[0]}


@pytest.mark.parametrize("protocol", range(6))
def test_other_objects_are_left_unread(tmp_path, protocol):
    others = {
        "scipy.sparse": scipy.sparse.csc_matrix(np.eye(2)),
        "torch": torch.zeros(3),
        "parameter": torch.nn.Parameter(torch.zeros(1, 1)),
        "set": {1, 2},
        "frozenset": frozenset("a"),
        "pathlib": Path("a"),
        "datetime": datetime.datetime(2020, 1, 1),
        "complex": 1j,
        "masked": np.ma.array([1]),
        "record array": np.rec.array([(1.0,)], [("a", "f4")]),
        "M8": np.array(["2020-01-01"], "M8[D]"),
        "records": np.zeros(2, [("a", "f4")]),
        "class": Record,
        "instance": Record(),
        "deque": collections.deque([1]),
        "defaultdict": collections.defaultdict(list, a=[1]),
        "a key": {(1, 2): 3},
    }
    if protocol >= 2:
        others["keyword arguments"] = Arguments(key=1)
    value = {"before": np.arange(3.0), **others, "after": ["x"]}
    read = load(tmp_path, pickle.dumps(value, protocol))
    assert read["after"] == ["x"] and read["before"].tolist() == [0, 1, 2]
    for name in others:
        if name == "a key":
            [(key, kept)] = read[name].items()
            assert type(key) is Unread and kept == 3
        else:
            assert type(read[name]) is Unread, name
    # A type is a name, and a dtype is as harmless as the array that has it.
    for inert in (np.dtype("f4"), np.float32, collections.OrderedDict):
        assert list(load(tmp_path, pickle.dumps({"x": inert}, protocol))) == ["x"]


def test_objects_that_a_file_only_refers_to(tmp_path):
    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return "a storage" if value is Record else None

    for protocol in range(6):
        stream = io.BytesIO()
        Pickler(stream, protocol).dump({"storage": Record, "name": "a"})
        read = load(tmp_path, stream.getvalue())
        assert type(read["storage"]) is Unread and read["name"] == "a"


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR"
DTYPE = b"cnumpy\ndtype\n(X\x02\x00\x00\x00%bI00\nI01\ntR"
#: The state of a dtype with all flags off: an object array would take raw bytes for pointers.
FLAGS = b"(K\x03X\x01\x00\x00\x00|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
STATE = b"(K\x01(%bt%bI00\n%btb"
DOUBLE, EIGHT = DTYPE % b"f8" + FLAGS, b"C\x08AAAAAAAA"
FRACTION = b"G" + struct.pack(">d", 1.0)
SCALAR = b"cnumpy.core.multiarray\nscalar\n(" + DTYPE % b"i8" + FLAGS + b"C\x08\1\0\0\0\0\0\0\0tR"

FORGED = {
    "pointers": ARRAY + STATE % (b"K\x01", DTYPE % b"O8" + FLAGS, EIGHT),
    "a list of doubles": ARRAY + STATE % (b"K\x01", DOUBLE, b"(K\x01l"),
    "pointers by buffer": b"cnumpy\nndarray\n((K\x01t" + DTYPE % b"O8" + FLAGS + EIGHT + b"tR",
    "unchecked pointers": ARRAY + STATE % (b"K\x01", DTYPE % b"O8", EIGHT),
    "void": ARRAY + STATE % (b"K\x01", DTYPE % b"V8" + FLAGS, EIGHT),
    "fields": ARRAY
    + STATE % (b"K\x01", DTYPE % b"f8" + FLAGS.replace(b"NNN", b"N(X\x01\0\0\0at}N", 1), EIGHT),
    "too few bytes": ARRAY + STATE % (b"K\x02", DOUBLE, EIGHT),
    "a huge shape": ARRAY + STATE % (b"J\xff\xff\xff\x7f" * 3, DOUBLE, EIGHT),
    "a shape that overflows": ARRAY + STATE % (b"\x8a\x09" + b"\0" * 8 + b"\1", DOUBLE, b"C\x00"),
    "a huge empty shape": ARRAY + STATE % (b"K\x00J\xff\xff\xff\x7f", DOUBLE, b"C\x00"),
    "a huge empty element": ARRAY
    + STATE % (b"K\x00", DTYPE.replace(b"\2", b"\x0a") % b"U268435456" + FLAGS, b"C\x00"),
    "sides below zero": ARRAY + STATE % (b"J\xff\xff\xff\xff" * 2, DOUBLE, EIGHT),
    "a fraction of a side": ARRAY + STATE % (FRACTION, DOUBLE, EIGHT),
    "a side that is an array": ARRAY + STATE % (SCALAR, DOUBLE, EIGHT),
    "too many sides": ARRAY + STATE % (b"K\x01" * 65, DOUBLE, EIGHT),
    "objects of another shape": ARRAY + STATE % (b"K\x02", DTYPE % b"O8" + FLAGS, b"(NNNl"),
    "empty elements": ARRAY + STATE % (b"J\xff\xff\xff\x7f", DTYPE % b"S0" + FLAGS, b"C\x00"),
    "memory of nobody": b"cnumpy\nndarray\n((K\x09ttR",
    "an array within itself": ARRAY
    + b"\x94"
    + STATE % (b"K\x01", DTYPE % b"O8" + FLAGS, b"(h\x00l"),
    "an array that is finished twice": ARRAY + STATE % (b"K\x01", DOUBLE, EIGHT) * 2,
    "an altered function": b"cnumpy.core.numeric\n_frombuffer\nN}X\x01\x00\x00\x00aK\x01s\x86b",
    "an altered class": b"ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb",
    "an altered list": b"]}X\x01\x00\x00\x00aK\x01sb",
    "a class": b"ccollections\nOrderedDict\n",
    "an unfinished array": ARRAY,
    "any codec": b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x08\x00\x00\x00punycodetR",
    "zeros by the number": b"cbuiltins\nbytes\n(J\xff\xff\xff\x7ftR",
    "a memory that was not written": b"h\x07",
    "an object outside": b"Pname\n",
    "an instance": b"(ios\nsystem\n",
    "an admitted instance": b"(icollections\nOrderedDict\n",
    "an object": b"(cnumpy\ndtype\no",
    "a new object": b"cnumpy\ndtype\n)\x81",
    "a number of the registry": b"\x82\x01",
    "a buffer outside": b"\x97",
    "a key without a value": b"}(K\x01u",
    "items of a list": b"](K\x01Nu",
    "items that a number takes": b"K\x01(K\x01e",
    "a tuple of nothing": b"\x87",
    "more than one value": b"K\x01K\x02",
    "a mark at the end": b"(K\x01",
    "another protocol": b"\x80\x06N",
}


@pytest.mark.parametrize("forged", FORGED)
def test_forged_content_is_refused(tmp_path, forged):
    refusal(tmp_path, b"\x80\x04" + FORGED[forged] + b".")


def test_damaged_files_name_themselves(tmp_path):
    content = pickle.dumps({"a": np.ones(9), "b": ["text", 1.5, 2**70]}, 4)
    for size in range(len(content)):
        refusal(tmp_path, content[:size])
    packed = gzip.compress(content)
    for size in range(1, len(packed)):
        refusal(tmp_path, packed[:size])
    refusal(tmp_path, packed[:-8] + b"\0" * 4 + packed[-4:])  # a wrong checksum
    for other in (
        b"not a pickle",
        b"version https://git-lfs",
        b"<!DOCTYPE html>",
        b"\x1f\x8bbroken",
    ):
        assert "fetch it again" in refusal(tmp_path, other)
    for two in (content + content, content + b"\n", packed + packed, packed + b"x"):
        refusal(tmp_path, two)
    np.testing.assert_equal(load(tmp_path, packed + b"\0\0"), pickle.loads(content))
    with pytest.raises(FileNotFoundError):
        safe_load_pickle(tmp_path / "none.pkl")


def test_altered_files_are_refused_or_hold_what_is_admitted(tmp_path):
    chance = random.Random(0)
    value = {
        "a": np.ones((2, 3)),
        "b": [np.float32(1), ("ü", None, True)],
        "c": {1: 2.5, "d": b"e"},
    }
    value["e"] = np.array(["x", {"y": 1}], object)
    refused = 0
    for protocol in range(6):
        content = pickle.dumps(value, protocol)
        for _ in range(300):
            altered = bytearray(content)
            for _ in range(chance.randint(1, 3)):
                altered[chance.randrange(len(altered))] = chance.randrange(256)
            try:
                values.check_tree(load(tmp_path, bytes(altered)))
            except UnsafePickleError:
                refused += 1
    assert 300 < refused < 1800
