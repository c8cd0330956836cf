"""Small files that would take all memory or time, or end the process.

Each is read in a process of its own, with limits, so that one that goes off is a test that fails.
"""

import gzip
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pytest

READ = """
import resource, sys
from soke.unpickling import UnsafePickleError, safe_load_pickle
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
try:
    safe_load_pickle(sys.argv[1])
except UnsafePickleError as error:
    print(error)
else:
    print("read")
"""


def get(index):
    return b"j" + struct.pack("<I", index)


def long(number):
    raw = number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def doubled(levels, first, step, start=0):
    """Things of which each holds the one before twice, and so the first 2 ** levels times.

    They lie in the memo from ``start``.
    """
    steps = [step % (get(i), get(i)) for i in range(start, start + levels)]
    return first + b"\x94" + b"".join(steps)


DEPTH = 200_000
HUGE = struct.pack("<Q", 2**40)
MILLION = b"J" + struct.pack("<I", 10**6)
SHARED = b"B" + struct.pack("<I", 10**6) + bytes(10**6) + b"\x94"
#: A dict whose one item is, in turn, `_reconstruct`, `ndarray`, a dtype (in the memo from 0), ...
NUMPY = (
    b"}(K\x00cnumpy.core.multiarray\n_reconstruct\n\x94K\x00cnumpy\nndarray\n\x94K\x00cnumpy\ndtype\n"
    b"X\x02\0\0\0%b\x89\x88\x87R(K\x03X\x01\0\0\0|NNNK\x00K\x00K\x00tb\x94K\x00"
)
ARRAY = get(0) + get(1) + b"K\x00\x85C\x01b\x87R(K\x01%b\x85" + get(2) + b"\x89"

BOMBS = {
    "a memo index": (b"]r\xff\xff\xff\xff", "read"),
    "a memo index in text": (b"]p" + b"9" * 20 + b"\n", "20 digits"),
    "huge bytes": (b"\x8e" + HUGE, "ends early"),
    "a huge bytearray": (b"\x96" + HUGE, "ends early"),
    "a huge text": (b"\x8d" + HUGE, "ends early"),
    "a huge number": (b"\x8b\xff\xff\xff\x7f", "LONG4"),
    "a number of many digits": (b"L" + b"9" * 10**7 + b"L\n", "digits"),
    "an integer of many digits": (b"I" + b"9" * 10**7 + b"\n", "digits"),
    "a fraction of many digits": (b"F" + b"9" * 10**7 + b"\n", "digits"),
    "many steps": (b"(" + b"N" * 10**7 + b"t", "steps"),
    "many items": (b"(" + b"N" * 10**4 + b"t\x94(" + get(0) * 2000 + b"t\x86", "items"),
    "keys with one hash": (
        b"}(" + b"".join(long(i * (2**61 - 1)) + b"N" for i in range(1, 200_000)) + b"u",
        "read",
    ),
    "lists in lists": (b"]" * DEPTH + b"a" * (DEPTH - 1), "more than 32 containers"),
    "tuples in tuples": (b")" + b"\x85" * DEPTH, "more than 32 containers"),
    "dicts in dicts": (b"}N" * DEPTH + b"}" + b"s" * DEPTH, "more than 32 containers"),
    "arrays in arrays": (
        NUMPY % b"O8" + (ARRAY % b"K\x01" + b"(") * DEPTH + b"N" + b"ltb" * DEPTH + b"u",
        "array of arrays",
    ),
    "lists in arrays": (
        NUMPY % b"O8" + (ARRAY % b"K\x01" + b"((") * DEPTH + b"N" + b"lltb" * DEPTH + b"u",
        "more than 32 containers",
    ),
    "a deep key": (b"})" + b"\x85" * DEPTH + b"Ns", "read"),
    "a deep name": (b"N)" + b"\x85" * DEPTH + b"\x93", "by a tuple"),
    "a list in itself": (b"]\x94" + get(0) + b"a", "holds itself"),
    "a dict in itself": (b"}\x94N" + get(0) + b"s", "holds itself"),
    "doubled lists": (b"(" + doubled(25, b"]", b"]\x94%ba%ba") + b"t", "more than 10000000 items"),
    "doubled tuples": (b"(" + doubled(25, b")", b"%b%b\x86\x94") + b"t", "more than 10000000"),
    "doubled often": (b"(" + doubled(100, b")", b"%b%b\x86\x94") + b"t", "more than 10000000"),
    "a doubled key": (b"(" + doubled(98, b")", b"%b%b\x86\x94") + b"Nd", "read"),
    "a doubled name": (b"N" + doubled(100, b")", b"%b%b\x86\x94") + b"\x93", "by a tuple"),
    "a doubled side": (
        NUMPY % b"O8"
        + doubled(99, b")", b"%b%b\x86\x94", 3)
        + b"K\x00"
        + ARRAY % get(99)
        + b"(ltbu",
        "no size",
    ),
    "a tuple that is used again and again": (
        b"(cnumpy\ndtype\n\x94("
        + b"N" * 10**6
        + b"t\x94"
        + (get(0) + get(1) + b"R") * 10**5
        + b"t",
        "unusual way",
    ),
    "bytes that are used again and again": (
        NUMPY % b"b1" + SHARED + (b"K\x00" + ARRAY % MILLION + get(3) + b"tb") * 10**5 + b"u",
        "larger than the file",
    ),
    "text that is used again and again": (
        b"(c_codecs\nencode\n\x94X\x06\0\0\0latin1\x94X"
        + SHARED[1:]
        + (get(0) + get(2) + get(1) + b"\x86R") * 10**5
        + b"t",
        "larger than the file",
    ),
}


def read(path):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", READ, str(path)]
    root = Path(__file__).parents[2]
    run = subprocess.run(
        command, env=environment, cwd=root, timeout=120, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-1000:]
    return run.stdout


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_do_not_go_off(tmp_path, bomb):
    path = tmp_path / "bomb.pkl"
    content, reason = BOMBS[bomb]
    path.write_bytes(b"\x80\x04" + content + b".")
    said = read(path)
    assert reason in said and len(said) < len(str(path)) + 400


def test_compressed_bombs_do_not_go_off(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(pickle.dumps(bytes(2**28)), compresslevel=1))
    assert path.stat().st_size < 2**23 and "unpacks to more than" in read(path)
    path.write_bytes(gzip.compress(pickle.dumps(bytes(2**27)), compresslevel=1))
    assert read(path) == "read\n"


def test_files_that_are_too_large_are_not_read(tmp_path):
    path = tmp_path / "large.pkl"
    with path.open("wb") as file:
        file.truncate(2**30 + 1)  # takes no room on the disk
    assert "bytes" in read(path)
