import numpy as np
import pytest
import torch

from soke.viewer.array_block import Block, unpack
from soke.viewer.skin import TOLERANCE, PageSkin, principal_directions
from tests.viewer.clips import waving


def worst(body, skin, motion):
    """Largest distance (metres) of the page's vertices from the body model's."""
    motion = torch.as_tensor(motion)
    shown = skin.vertices(skin.motion(body, motion))
    return float((shown - body.vertices(motion)).norm(dim=-1).max())


def test_a_body_without_correctives_is_met_exactly(body):
    motion = waving()
    moved = body.vertices(torch.as_tensor(motion)) - body.template
    assert moved.abs().max() > 0.1
    assert worst(body, PageSkin(body, [motion]), motion) < 1e-6


def test_correctives_are_met_where_few_directions_span_them(bending_body):
    motion = waving(20)
    assert worst(bending_body, PageSkin(bending_body, [motion]), motion) < TOLERANCE + 1e-6


def test_correctives_count(bending_body):
    """Without them the vertices would be off by far more than what is tolerated."""
    motion = waving(6)
    skin = PageSkin(bending_body, [motion])
    stored = skin.motion(bending_body, torch.as_tensor(motion))
    stored.coefficients[:, 10:] = 0
    off = skin.vertices(stored) - bending_body.vertices(torch.as_tensor(motion))
    assert off.norm(dim=-1).max() > 20 * TOLERANCE


def test_principal_directions_are_orthonormal_and_few():
    draw = torch.Generator().manual_seed(0)
    offsets = torch.randn(50, 6, generator=draw) @ torch.randn(6, 300, generator=draw)
    found = principal_directions(offsets)
    assert found.shape == (6, 300)  # the rank of the offsets
    assert torch.allclose(found @ found.T, torch.eye(6), atol=1e-4)
    assert torch.allclose(offsets @ found.T @ found, offsets, atol=1e-3)


def test_principal_directions_of_rest():
    assert principal_directions(torch.zeros(4, 30)).shape == (0, 30)


def test_what_is_packed_is_what_was_given():
    block = Block()
    arrays = {
        "odd": np.arange(5, dtype=np.uint8),
        "table": np.arange(6, dtype=np.float32).reshape(2, 3),
        "turned": np.arange(6, dtype=np.int16).reshape(2, 3).T,
        "none": np.zeros((0, 3), np.float32),
    }
    for name, array in arrays.items():
        block.add(name, array)
    read = unpack(block.text(), block.index)
    assert all(entry["start"] % 4 == 0 for entry in block.index.values())
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


def test_only_types_that_a_page_has_are_packed():
    with pytest.raises(KeyError):
        Block().add("wide", np.zeros(3))
