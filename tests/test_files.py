import gzip
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import soke.files
from soke.files import UnsafePickleError, atomic_path, safe_load_pickle


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def write(path, value, protocol=pickle.DEFAULT_PROTOCOL):
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_pose_and_annotation_contents_are_admitted(tmp_path, protocol):
    value = {
        "smplx_root_pose": np.arange(3, dtype=np.float32),
        "scalar": np.float64(0.5),
        "nested": [("a", 1, 2.5, True, None), {"b": np.zeros((2, 3))}],
    }
    loaded = safe_load_pickle(write(tmp_path / "a.pkl", value, protocol))
    np.testing.assert_equal(loaded, value)
    (tmp_path / "b.gz").write_bytes(gzip.compress(pickle.dumps(value, protocol)))
    np.testing.assert_equal(safe_load_pickle(tmp_path / "b.gz"), value)


def test_attacks_are_refused_by_name_and_not_run(tmp_path):
    marker = tmp_path / "executed"
    attacks = {
        "posix.system": Evil(os.system, f"touch {marker}"),
        "builtins.eval": Evil(eval, f"open({str(marker)!r}, 'w')"),
        "builtins.getattr": Evil(getattr, "text", "upper"),
    }
    for name, attack in attacks.items():
        for value in (attack, [attack], np.array([attack, None], dtype=object)):
            path = write(tmp_path / "attack.pkl", value)
            with pytest.raises(UnsafePickleError, match=name) as error:
                safe_load_pickle(path)
            assert str(path) in str(error.value)
    assert not marker.exists()


ARRAYS = [
    np.arange(6, dtype=">f8").reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    np.arange(10)[::2],
    np.array(3.5),
    np.zeros((0, 179), np.float32),
    np.array([True, False]),
    np.array([1j]),
    np.array(["ab", "ü"]),
    np.array([b"a", b""]),
    np.array([{"a": 1}, None, "text", (1, 2)], dtype=object),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.dtype))
def test_arrays_come_back_as_they_were(tmp_path, protocol, array):
    loaded = safe_load_pickle(write(tmp_path / "a.pkl", array, protocol))
    assert type(loaded) is np.ndarray and loaded.dtype == array.dtype and loaded.flags.writeable
    np.testing.assert_array_equal(loaded, array)


@pytest.mark.parametrize("protocol", range(6))
def test_containers_come_back_as_they_were(tmp_path, protocol):
    value = [{1, 2}, frozenset("ab"), b"", b"a\xff", 2**70, "ü", ((), (1,)), {(1, "a"): None}]
    scalars = [np.float16(2), np.str_("ab"), np.str_(""), np.int64(3), np.bool_(True)]
    shared = [np.ones(2)]
    written = [value, scalars, OrderedDict(a=1), shared, shared]
    loaded = safe_load_pickle(write(tmp_path / "a.pkl", written, protocol))
    assert loaded[:3] == [value, scalars, {"a": 1}] and loaded[3] is loaded[4]
    assert [type(item) for item in loaded[1]] == [type(item) for item in scalars]


def test_bytes_that_python_2_wrote(tmp_path):
    data = np.arange(3, dtype="<f4").tobytes()
    path = tmp_path / "old.pkl"
    path.write_bytes(
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x03\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x0c" + data + b"tb."
    )
    np.testing.assert_array_equal(safe_load_pickle(path), np.arange(3, dtype=np.float32))


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR"
DTYPE = b"cnumpy\ndtype\n(X\x02\x00\x00\x00%bI00\nI01\ntR"
#: The state of a dtype with all flags off: an object array would take raw bytes for pointers.
FLAGS = b"(K\x03X\x01\x00\x00\x00|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
STATE = b"(K\x01(K\x01t%bI00\nC\x08AAAAAAAAtb"

FORGED = {
    "pointers": ARRAY + STATE % (DTYPE % b"|O" + FLAGS),
    "pointers by buffer": b"cnumpy\nndarray\n((K\x01t" + DTYPE % b"|O" + FLAGS + b"C\x08AAAAAAAAtR",
    "records": ARRAY + STATE % (DTYPE % b"V8"),
    "fields": ARRAY
    + STATE % (DTYPE % b"f8" + FLAGS.replace(b"NNN", b"N(X\x01\x00\x00\x00at}N", 1)),
    "too few bytes": ARRAY + b"(K\x01(K\x02t" + DTYPE % b"f8" + b"I00\nC\x08AAAAAAAAtb",
    "empty elements": ARRAY + b"(K\x01(J\xff\xff\xff\x7ft" + DTYPE % b"S0" + b"I00\nC\x00tb",
    "memory of nobody": b"cnumpy\nndarray\n((K\x09ttR",
    "an altered function": b"cnumpy.core.numeric\n_frombuffer\nN}X\x01\x00\x00\x00aK\x01s\x86b",
    "an altered class": b"ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb",
    "a class": b"ccollections\nOrderedDict\n",
    "an unfinished array": ARRAY,
    "any codec": b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x08\x00\x00\x00punycodetR",
    "zeros by the number": b"cbuiltins\nbytes\n(J\xff\xff\xff\x7ftR",
}


@pytest.mark.parametrize("forged", FORGED)
def test_forged_arrays_and_functions_are_refused(tmp_path, forged):
    path = tmp_path / "forged.pkl"
    path.write_bytes(b"\x80\x04" + FORGED[forged] + b".")
    with pytest.raises(UnsafePickleError, match=r"forged\.pkl"):
        safe_load_pickle(path)


def test_bombs_do_not_go_off(tmp_path, monkeypatch):
    path = tmp_path / "bomb.pkl"
    # Nested ever deeper, and doubled again and again.
    path.write_bytes(b"\x80\x04" + b"]" * 10**6 + b"a" * (10**6 - 1) + b".")
    with pytest.raises(UnsafePickleError, match=r"bomb\.pkl.*RecursionError"):
        safe_load_pickle(path)
    value = []
    for _ in range(100):
        value = [value, value]
    value = safe_load_pickle(write(path, value))
    assert value[0] is value[1]
    # Larger than it says.
    monkeypatch.setattr(soke.files, "_MAX_UNPACKED", 1000)
    path.write_bytes(gzip.compress(pickle.dumps(bytes(900))))
    assert safe_load_pickle(path) == bytes(900)
    path.write_bytes(gzip.compress(pickle.dumps(bytes(10**6))))
    with pytest.raises(UnsafePickleError, match="unpacks to more than 1000"):
        safe_load_pickle(path)


@pytest.mark.parametrize(
    "content", [b"", b"not a pickle", b"\x1f\x8bbroken", pickle.dumps(np.ones(9))[:-20]]
)
def test_damaged_files_name_themselves(tmp_path, content):
    path = tmp_path / "damaged.pkl"
    path.write_bytes(content)
    with pytest.raises(UnsafePickleError, match=r"damaged\.pkl"):
        safe_load_pickle(path)


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "kept.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with atomic_path(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]
