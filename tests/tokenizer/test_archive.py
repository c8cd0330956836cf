"""Checkpoints that pickle more than tensors are read without running anything."""

import collections
import io
import logging
import os
import pickle
import resource
import zipfile

import pytest
import torch

from soke.tokenizer import load_tokenizer
from soke.tokenizer.archive import read_tensors
from tests.tokenizer.published import NAMINGS, published_networks, published_state


class Settings(dict):
    """What a training framework likes to pickle beside the weights."""

    def __init__(self, **values):
        super().__init__(values)
        self.origin = ["somewhere"]


class Slotted:
    __slots__ = ("value",)


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


class HostileState:
    """Runs in its state rather than as itself."""

    def __init__(self, marker):
        self.marker = marker

    def __getstate__(self):
        return {"inner": Hostile(self.marker)}


class Attacker(collections.OrderedDict):
    """A state dict whose items are hostile too."""


def published_content():
    return {"state_dict": published_state(published_networks(), NAMINGS[0])}


def test_unknown_classes_are_ignored(tmp_path, caplog):
    slotted = Slotted()
    slotted.value = 3
    content = {
        "hyper_parameters": Settings(width=3, inner=Settings()), "other": slotted,
        "callbacks": {Settings: [slotted, {1, 2}, torch.Size([3]), Exception("no")]},
        **published_content(),
    }  # fmt: skip
    path = tmp_path / "a.ckpt"
    torch.save(content, path)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    with caplog.at_level(logging.WARNING):
        tokenizer = load_tokenizer(path, torch.zeros(133), torch.ones(133))
    assert "were ignored" in caplog.text
    plain = tmp_path / "plain.ckpt"
    torch.save(published_content(), plain)
    expected = load_tokenizer(plain, torch.zeros(133), torch.ones(133)).state_dict()
    for key, value in tokenizer.state_dict().items():
        assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize("attack", [Hostile, HostileState])
@pytest.mark.parametrize("where", ["beside", "inside", "first"])
def test_a_hostile_checkpoint_runs_nothing(tmp_path, attack, where):
    marker, path = tmp_path / "executed", tmp_path / "a.ckpt"
    content = published_content()
    if where == "inside":
        content["state_dict"] = Attacker(content["state_dict"], extra=attack(marker))
        content["state_dict"].attribute = attack(marker)
    elif where == "first":
        content = {"a": attack(marker), **content}
    else:
        content["z"] = attack(marker)
    torch.save(content, path)
    if where == "inside":  # the dict of the weights is of an unknown class: there are none
        with pytest.raises(ValueError, match="not a tokenizer checkpoint"):
            load_tokenizer(path)
    else:
        load_tokenizer(path, torch.zeros(133), torch.ones(133))
    assert not marker.exists()
    torch.load(path, weights_only=False)  # the attack is a real one
    assert marker.exists()


def test_tensors_of_every_kind_come_back(tmp_path):
    base = torch.arange(24.0).view(4, 6)
    tensors = {
        "strided": base[1:, ::2], "transposed": base.T, "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(7), "flag": torch.tensor(True), "half": base.half(),
        "bfloat": base.bfloat16(), "double": base.double(), "bytes": base.byte(),
        "parameter": torch.nn.Parameter(base),
    }  # fmt: skip
    path = tmp_path / "a.ckpt"
    torch.save(
        {"state_dict": collections.OrderedDict(tensors), "x": Settings(), "n": [1, 2.5]}, path
    )
    content = read_tensors(path, ["state_dict", "n", "absent"])
    assert set(content) == {"state_dict", "n"} and content["n"] == [1, 2.5]
    for key, value in tensors.items():
        assert content["state_dict"][key].dtype == value.dtype
        assert torch.equal(content["state_dict"][key], value), key


def rewritten(path, change):
    """The archive at ``path`` with its entries changed by ``change(name, data)``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    path.write_bytes(buffer.getvalue())


def described(size, stride, offset=0, numel=6):
    """A pickle that describes one tensor, by hand."""
    return (
        b"\x80\x02}X\x01\x00\x00\x00tctorch._utils\n_rebuild_tensor_v2\n("
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        + number(numel) + b"tQ" + number(offset)
        + b"(" + b"".join(map(number, size)) + b"t(" + b"".join(map(number, stride)) + b"t"
        + b"\x89}tRs."
    )  # fmt: skip


def number(value):
    return f"I{value}\n".encode()


def test_the_hand_written_description_is_a_valid_one(tmp_path):
    path = tmp_path / "a.ckpt"
    torch.save({"t": torch.arange(6.0)}, path)
    rewritten(path, lambda name, data: described([2, 3], [3, 1]) if name.endswith("pkl") else data)
    assert torch.equal(read_tensors(path, ["t"])["t"], torch.arange(6.0).view(2, 3))


@pytest.mark.parametrize(
    ("size", "stride", "offset", "numel"),
    [
        ([2, 4], [3, 1], 0, 6),  # more elements than there are
        ([2, 3], [6, 1], 0, 6),  # beyond the end
        ([2, 3], [3, 1], 1, 6),
        ([2, 3], [3, 1], -1, 6),
        ([-2, -3], [3, 1], 0, 6),
        ([2, 3], [-3, 1], 5, 6),
        ([10**12], [0], 0, 6),  # an expanded tensor that would fill the memory
        ([2, 3], [3], 0, 6),
        ([6], [1], 0, 10**12),  # a storage larger than its bytes
        ([2], [1], 0, 5),
    ],
)
def test_tensors_that_reach_outside_their_bytes_are_refused(tmp_path, size, stride, offset, numel):
    path = tmp_path / "a.ckpt"
    torch.save({"t": torch.arange(6.0)}, path)
    data = described(size, stride, offset, numel)
    rewritten(path, lambda name, old: data if name.endswith("pkl") else old)
    with pytest.raises(ValueError, match="cannot be read as a torch checkpoint"):
        read_tensors(path, ["t"])


@pytest.mark.parametrize(
    "change",
    [
        lambda name, data: data[:20] if name.endswith("data.pkl") else data,
        lambda name, data: None if name.endswith("data.pkl") else data,
        lambda name, data: data[:-4] if name.endswith("data/0") else data,
        lambda name, data: b"big" if name.endswith("byteorder") else data,
        lambda name, data: pickle.dumps([1]) if name.endswith("data.pkl") else data,
    ],
)
def test_damaged_archives_are_one_error(tmp_path, change):
    path = tmp_path / "a.ckpt"
    torch.save({"t": torch.arange(6.0)}, path)
    rewritten(path, change)
    with pytest.raises(ValueError, match="cannot be read as a torch checkpoint"):
        read_tensors(path, ["t"])


def test_a_memo_index_reserves_no_memory(tmp_path):
    path = tmp_path / "a.ckpt"
    torch.save({"t": torch.arange(6.0)}, path)
    far = b"\x80\x02}r\xff\xff\xff\x7f."  # an empty dict, remembered at place 2 ** 31 - 1
    rewritten(path, lambda name, data: far if name.endswith("data.pkl") else data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in kB
    assert read_tensors(path, ["t"]) == {}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10**5


def test_compressed_entries_are_refused(tmp_path):
    path = tmp_path / "a.ckpt"
    torch.save({"t": torch.zeros(1000)}, path)
    with zipfile.ZipFile(path) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in entries.items():
            new.writestr(name, data)
    with pytest.raises(ValueError, match="compressed or larger"):
        read_tensors(path, ["t"])
