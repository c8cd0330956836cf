"""Checkpoints of every form are read; hostile ones run nothing and fill no memory."""

import collections
import io
import logging
import os
import pickle
import resource
import struct
import zipfile

import pytest
import safetensors.torch
import torch

from benchmarks.plain_tokenizer import NAMINGS, published_networks, published_state
from soke.checkpoints import read_checkpoint, read_torch, write_safetensors, write_torch
from soke.tokenizer import load_tokenizer


class Settings(dict):
    """What a training framework likes to pickle beside the weights."""

    def __init__(self, **values):
        super().__init__(values)
        self.origin = ["somewhere"]


class Names(list):
    """Torch's own reader refuses its items even where the class is admitted."""


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
        "hyper_parameters": Settings(width=3, inner=Settings()),
        "other": slotted,
        "callbacks": {Settings: [slotted, {1, 2}, torch.Size([3]), Exception("no")]},
        "lists": [Names("ab"), collections.deque([1]), collections.defaultdict(list, a=[1])],
        **published_content(),
    }
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
        with pytest.raises(ValueError, match="not a checkpoint"):
            load_tokenizer(path)
    else:
        load_tokenizer(path, torch.zeros(133), torch.ones(133))
    assert not marker.exists()
    torch.load(path, weights_only=False)  # the attack is a real one
    assert marker.exists()


def test_tensors_of_every_kind_come_back(tmp_path):
    base = torch.arange(24.0).view(4, 6)
    tensors = {
        "strided": base[1:, ::2],
        "transposed": base.T,
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(7),
        "flag": torch.tensor(True),
        "half": base.half(),
        "bfloat": base.bfloat16(),
        "double": base.double(),
        "bytes": base.byte(),
        "parameter": torch.nn.Parameter(base),
    }
    state = collections.OrderedDict(tensors)
    state._metadata = {"version": 1}
    for beside in ({}, {"x": Settings()}):
        torch.save({"state_dict": state, "n": [1, 2.5], **beside}, tmp_path / "a.ckpt")
        content = read_checkpoint(tmp_path / "a.ckpt")
        assert content["n"] == [1, 2.5] and content["state_dict"].keys() == tensors.keys()
        for key, value in tensors.items():
            assert content["state_dict"][key].dtype == value.dtype
            assert torch.equal(content["state_dict"][key], value), key


def test_files_of_every_form_are_read(tmp_path):
    state, about = {"a.b": torch.arange(3.0), "c": torch.zeros(2, 1)}, {"name": "x", "n": [1]}
    write_torch({"state_dict": state, "soke": about, "epoch": 3}, tmp_path / "own.ckpt")
    torch.save({"state_dict": state, "x": Settings(), "soke": about}, tmp_path / "odd.ckpt")
    torch.save(state, tmp_path / "bare.bin")
    torch.save(state, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    write_safetensors(state, tmp_path / "own.safetensors", about)
    safetensors.torch.save_file(state, tmp_path / "bare.safetensors")
    for path in tmp_path.iterdir():
        content = read_checkpoint(path)
        assert content["state_dict"].keys() == state.keys(), path
        assert all(torch.equal(content["state_dict"][key], state[key]) for key in state)
        assert content["soke"] == ({} if path.stem in ("bare", "old") else about), path
    assert read_checkpoint(tmp_path / "own.ckpt")["epoch"] == 3


def test_damaged_files_are_named(tmp_path):
    for name, content in (("a.ckpt", b"no"), ("a.safetensors", b"no"), ("b.ckpt", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name} cannot be read as .*write it again"):
            read_checkpoint(tmp_path / name)
    for content in ({"epoch": 1}, {}, [1, 2]):
        torch.save(content, tmp_path / "c.ckpt")
        with pytest.raises(
            ValueError, match=r"is not a checkpoint: it holds none of \['state_dict', 'soke'\]"
        ):
            read_checkpoint(tmp_path / "c.ckpt")
    with pytest.raises(FileNotFoundError, match=r"The weights not found.*Get them"):
        read_checkpoint(tmp_path / "d.ckpt", "The weights", "Get them")


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.ckpt"
    write_torch({"epoch": 0}, path)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        write_torch({"epoch": lambda: 1}, path)
    assert read_torch(path) == {"epoch": 0}
    assert [file.name for file in tmp_path.iterdir()] == ["a.ckpt"]


def rewritten(path, change):
    """The archive at ``path`` with its entries changed by ``change(name, data)``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    path.write_bytes(buffer.getvalue())


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value


def number(value):
    data = pickle.encode_long(value)
    return b"\x8a" + bytes([len(data)]) + data


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def described(size, stride, offset=0, numel=6, foreign=False):
    """A pickle that describes one tensor, by hand, perhaps beside an unknown class."""
    storage = tuple_of(
        text(b"storage"), b"ctorch\nFloatStorage\n", text(b"0"), text(b"cpu"), number(numel)
    )
    arguments = tuple_of(
        storage + b"Q",
        number(offset),
        tuple_of(*map(number, size)),
        tuple_of(*map(number, stride)),
        b"\x89ccollections\nOrderedDict\n)R",
    )
    unknown = text(b"u") + b"csomewhere\nUnknown\ns" if foreign else b""
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"
    return b"\x80\x02}" + unknown + text(b"t") + tensor + b"s."


@pytest.fixture(params=[False, True], ids=["plain", "foreign"])
def foreign(request):
    """Files of torch's own classes, and files that are read without the unknown ones."""
    return request.param


def write_described(path, *tensor, foreign):
    data = described(*tensor, foreign=foreign)
    torch.save({"t": torch.arange(6.0)}, path)
    rewritten(path, lambda name, old: data if name.endswith("pkl") else old)


def test_the_hand_written_description_is_a_valid_one(tmp_path, foreign):
    path = tmp_path / "a.ckpt"
    write_described(path, [2, 3], [3, 1], foreign=foreign)
    state = read_checkpoint(path)["state_dict"]
    assert torch.equal(state["t"], torch.arange(6.0).view(2, 3))


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
def test_tensors_that_reach_outside_their_bytes_are_refused(
    tmp_path, foreign, size, stride, offset, numel
):
    path = tmp_path / "a.ckpt"
    write_described(path, size, stride, offset, numel, foreign=foreign)
    with pytest.raises(
        ValueError, match=r"cannot be read as a torch checkpoint|is larger than the"
    ):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda name, data: data[:20] if name.endswith("data.pkl") else data,
        lambda name, data: None if name.endswith("data.pkl") else data,
        lambda name, data: data[:-4] if name.endswith("data/0") else data,
        lambda name, data: b"odd" if name.endswith("byteorder") else data,
    ],
)
def test_damaged_archives_are_one_error(tmp_path, change):
    path = tmp_path / "a.ckpt"
    for beside in ({}, {"x": Settings()}):
        torch.save({"t": torch.arange(6.0), **beside}, path)
        rewritten(path, change)
        with pytest.raises(ValueError, match="cannot be read as a torch checkpoint"):
            read_checkpoint(path)


UNKNOWN = b"csomewhere\nUnknown\n0"


@pytest.mark.parametrize("unknown", [b"", UNKNOWN])
def test_a_memo_index_reserves_no_memory(tmp_path, unknown):
    path = tmp_path / "a.ckpt"
    torch.save({"t": torch.arange(6.0)}, path)
    # An empty dict, remembered at place 2 ** 31 - 1.
    far = b"\x80\x02" + unknown + b"}r\xff\xff\xff\x7f."
    rewritten(path, lambda name, data: far if name.endswith("data.pkl") else data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in kB
    assert read_torch(path) == {}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10**5


def test_an_array_of_bytes_reserves_no_memory(tmp_path):
    path = tmp_path / "a.ckpt"
    torch.save({"t": torch.arange(6.0)}, path)
    data = b"\x80\x05" + UNKNOWN + b"\x96" + struct.pack("<Q", 2**29) + b"."
    rewritten(path, lambda name, old: data if name.endswith("data.pkl") else old)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in kB
    with pytest.raises(ValueError, match="cannot be read as a torch checkpoint"):
        read_torch(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10**5


def test_a_pickle_changes_no_class_for_the_next(tmp_path):
    path = tmp_path / "a.ckpt"
    torch.save({"t": torch.arange(6.0)}, path)
    # Sets attributes of what stands for functions and classes.
    state = b"N}" + text(b"__new__") + b"Ns" + text(b"__defaults__") + b"Ns" + b"\x86b"
    names = (b"torch._utils\n_rebuild_tensor_v2", b"torch._utils\n_rebuild_parameter", b"a\nB")
    data = b"\x80\x02}" + b"".join(b"c" + name + b"\n" + state + b"0" for name in names) + b"."
    rewritten(path, lambda name, old: data if name.endswith("data.pkl") else old)
    assert read_torch(path) == {}
    torch.save({"t": torch.nn.Parameter(torch.arange(6.0)), "x": Settings()}, path)
    assert torch.equal(read_checkpoint(path)["state_dict"]["t"], torch.arange(6.0))


def test_code_of_torchscript_is_not_run(tmp_path):
    path = tmp_path / "a.ckpt"
    torch.save({"t": torch.zeros(1), "x": Settings()}, path)
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/constants.pkl", pickle.dumps((), 2))
    with pytest.raises(ValueError, match="TorchScript"):
        read_checkpoint(path)


def test_compressed_entries_are_refused(tmp_path):
    path = tmp_path / "a.ckpt"
    for beside in ({}, {"x": Settings()}):
        torch.save({"t": torch.zeros(1000), **beside}, path)
        with zipfile.ZipFile(path) as old:
            entries = {name: old.read(name) for name in old.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
            for name, data in entries.items():
                new.writestr(name, data)
        with pytest.raises(ValueError, match=r"entry .* is compressed"):
            read_checkpoint(path)
