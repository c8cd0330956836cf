import gzip
import pickle
import pickletools
from collections import OrderedDict

import numpy as np
import pytest

from soke.unpickling import UnsafePickleError, alike, opcodes, safe_load_pickle

RANDOM = np.random.default_rng(0)
SIZES = {"smplx_root_pose": 3, "smplx_body_pose": 63, "smplx_jaw_pose": 3, "smplx_expr": 10}


@pytest.fixture(autouse=True)
def no_file_was_read_before():
    alike._PATTERNS.clear()


def frame(dtype=np.float32, shape=()):
    return {key: RANDOM.normal(size=(*shape, n)).astype(dtype) for key, n in SIZES.items()}


def load(folder, content):
    path = folder / "file.pkl"
    path.write_bytes(content)
    return safe_load_pickle(path)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("age", ["numpy 1", "numpy 2"])
def test_contents_of_the_release_are_admitted(tmp_path, protocol, age):
    rows = [{"name": "test/ü", "text": "我 \U0001f91f", "num_frames": 70000, "fps": 23.976}]
    rows.append({"name": "b", "gloss": None, "signer": ["x", -1, True, 2**70], "empty": [{}, ()]})
    for value in (frame(), frame(np.float64), frame(shape=(40,)), frame(np.float64, (2,)), rows):
        content = pickle.dumps(value, protocol)
        if age == "numpy 1":  # up to protocol 3 in a line, then with its length before it
            content = content.replace(b"cnumpy._core.", b"cnumpy.core.")
            content = content.replace(b"\x16numpy._core.multi", b"\x15numpy.core.multi")
            content = content.replace(b"\x13numpy._core.num", b"\x12numpy.core.num")
            assert b"_core" not in content
        np.testing.assert_equal(load(tmp_path, content), value)
        np.testing.assert_equal(load(tmp_path, gzip.compress(content)), value)


ARRAYS = [
    np.arange(6, dtype=">f8").reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2),
    np.arange(10)[::2],
    np.array(3.5),
    np.zeros((0, 179), np.float32),
    np.array([True, False]),
    np.array([1j]),
    np.array(["ab", "ü"]),
    np.array([b"a", b""]),
    np.array([{"a": 1}, None, "text", (1, 2), [np.ones(2), "x"]], dtype=object),
    np.asfortranarray(np.array([["a", None, 1], [2, 3.5, b""]], dtype=object)),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.dtype))
def test_arrays_come_back_as_they_were(tmp_path, protocol, array):
    content = pickle.dumps({"key": array}, protocol)
    for _ in range(2):  # the second time perhaps as a file like the first
        loaded = load(tmp_path, content)["key"]
        assert type(loaded) is np.ndarray and loaded.dtype == array.dtype
        assert loaded.shape == array.shape and loaded.flags.writeable
        np.testing.assert_equal(loaded.tolist(), array.tolist())


@pytest.mark.parametrize("protocol", range(6))
def test_containers_and_scalars_come_back_as_they_were(tmp_path, protocol):
    values = [b"", b"a\xff", 2**70, -1, 256, 1e300, "ü\n'\"\\", ((), (1,), (1, 2), (1, 2, 3, 4))]
    scalars = [
        np.float16(2),
        np.str_("ab"),
        np.str_(""),
        np.int64(3),
        np.bool_(True),
        np.longdouble(1),
    ]
    keys = {None: 1, 2.5: (), b"k": 2, np.int64(5): 3, np.str_("s"): 4, -1: 5, True: 6}
    shared = [np.ones(2)]
    long = list(range(3000))
    written = [values, scalars, keys, long, OrderedDict(a=1), shared, shared]
    loaded = load(tmp_path, pickle.dumps(written, protocol))
    assert loaded[:5] == written[:5] and loaded[5] is loaded[6] and type(loaded[4]) is dict
    assert [type(item) for item in loaded[1]] == [type(item) for item in scalars]
    assert [type(key) for key in loaded[2]] == [type(key) for key in keys]
    np.testing.assert_array_equal(loaded[5][0], shared[0])


def test_files_that_python_2_wrote(tmp_path):
    data = np.arange(3, dtype="<f4").tobytes()
    array = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x03\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x0c" + data + b"tb."
    )
    np.testing.assert_array_equal(load(tmp_path, array), np.arange(3, dtype=np.float32))
    text = b"(dp1\nS'a\\xff\\n'\np2\nI01\nsS\"b'\"\np3\n(lp4\nL12L\naF1.5\nag2\nas."
    assert load(tmp_path, text) == {"aÿ\n": True, "b'": [12, 1.5, "aÿ\n"]}
    text = b"\x80\x01(U\x01aT\x02\x00\x00\x00b\xffK\x05M\x01\x02J\xfe\xff\xff\xffV\\u00fc\nd."
    assert load(tmp_path, text) == {"a": "bÿ", 5: 513, -2: "ü"}


def test_opcodes_have_the_arguments_that_python_documents():
    refused = "LONG4 NEXT_BUFFER READONLY_BUFFER POP DUP POP_MARK EXT1 EXT2 EXT4"
    lines = {"stringnl_noescape_pair": -102}
    counted = {-2: -1, -3: -4, -4: -4, -5: -8, -1: -101}
    for opcode in pickletools.opcodes:
        form, read, act = opcodes._OPCODES[ord(opcode.code)]
        if opcode.name in refused.split():
            with pytest.raises(UnsafePickleError, match=f"opcode {opcode.name}, "):
                act(None)
            continue
        size = opcode.arg.n if opcode.arg else 0
        name = opcode.arg.name if opcode.arg else ""
        assert form == lines.get(name, counted.get(size, size)), opcode.name
        assert (read is None) != (act is None)


def test_files_alike_are_read_alike(tmp_path, monkeypatch):
    frames = [frame() for _ in range(3)] + [dict.fromkeys(SIZES, None)]
    frames[3] = {key: np.zeros(n, np.float32) for key, n in SIZES.items()}
    for protocol in (3, 4, 5):
        load(tmp_path, pickle.dumps(frames[0], protocol))
        with monkeypatch.context() as patch:
            patch.setattr("soke.unpickling.replay", None)  # not needed any more
            read = [load(tmp_path, pickle.dumps(value, protocol)) for value in frames]
        np.testing.assert_equal(read, frames)
        read[0]["smplx_body_pose"][:] = 7  # memory of its own
        np.testing.assert_equal(load(tmp_path, pickle.dumps(frames[0], protocol)), frames[0])


one, two, three = (np.array([n], np.int8) for n in (1, 2, 3))
same = np.arange(4.0)
PAIRS = {
    "keys": ({"a": same}, {"b": same}),
    "shapes": ({"a": np.ones((2, 3))}, {"a": np.ones((3, 2))}),
    "orders": ({"a": np.ones((2, 3))}, {"a": np.asfortranarray(np.arange(6.0).reshape(2, 3))}),
    "dtypes": ({"a": np.ones(2, "<f4")}, {"a": np.ones(2, "<i4")}),
    "byte orders": ({"a": np.ones(2, "<f4")}, {"a": np.ones(2, ">f4")}),
    "single bytes": ({"a": one, "b": np.array([1], np.int8)}, {"a": two, "b": three}),
    "shared arrays": ({"a": same, "b": same}, {"a": same + 1, "b": same + 1}),
    "scalars": ({"a": np.float64(1), "b": same}, {"a": np.float64(2), "b": same}),
    "other values": ({"a": same, "b": 1}, {"a": same + 1, "b": 2}),
    "bytes": ({"a": same, "b": b"xx"}, {"a": same + 1, "b": b"yy"}),
    "objects": ({"a": np.array(["x"], object)}, {"a": np.array(["y"], object)}),
    "lists": ([same], [same + 1]),
    "a long text": ({"a": same, "b": "x" * 2**15}, {"a": same + 1, "b": "x" * 2**15}),
    "sizes": ({"a": np.zeros(2), "b": np.zeros(3)}, {"a": np.ones(3), "b": np.ones(2)}),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("pair", PAIRS)
def test_files_that_only_seem_alike_are_not_confused(tmp_path, pair, protocol):
    for value in (*PAIRS[pair], *PAIRS[pair]):
        loaded = load(tmp_path, pickle.dumps(value, protocol))
        np.testing.assert_equal(loaded, value)
        if pair == "shared arrays":
            assert (loaded["a"] is loaded["b"]) == (value["a"] is value["b"])
