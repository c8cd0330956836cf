import gzip
import os
import pickle

import numpy as np
import pytest

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
