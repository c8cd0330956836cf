"""Reading and writing trained tokenizers: our checkpoints, released ones, and safetensors."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from soke.checkpoints import read_checkpoint, select, write_safetensors, write_torch
from soke.parts import FEATURE_SIZE, FRAME_SIZE, PartTable, frames_to_features
from soke.tokenizer.released_tokenizer import from_published, is_published, to_published
from soke.tokenizer.tokenizer import PartTokenizer

log = logging.getLogger(__name__)

#: Keys of a Lightning checkpoint that is written in training: the tokenizer is a submodule.
_PREFIX = "tokenizer."


def load_tokenizer(
    checkpoint: str | Path, mean: Tensor | None = None, std: Tensor | None = None
) -> PartTokenizer:
    """Load a trained tokenizer, in evaluation mode.

    ``checkpoint`` is one of `python -m train`, a released one, or an export of
    `soke export tokenizer`. The networks have the sizes of its tensors.

    The checkpoint's own statistics are used: ours keep them in the tokenizer's buffers, released
    ones as tensors ``mean`` and ``std`` in the ``state_dict`` or beside it. If it has none, the
    arguments ``mean`` and ``std`` are used, and without these mean 0 and deviation 1, with a
    warning. 179 numbers are statistics of whole frames as they are released: they are cut to the
    133 features, and 1e-10 is added to the deviation. 133 numbers are used as they are.

    Files that pickle objects of unknown classes beside their tensors are read too; such objects
    are ignored and nothing of them is executed.

    Raises `soke.files.MissingAssetError` when there is no such file and ``ValueError`` when it
    holds no tokenizer, or one whose tensors do not fit its part table.
    """
    content = read_checkpoint(
        checkpoint,
        "The tokenizer's checkpoint",
        "Train one with `python -m train --cfg configs/deto.yaml --nodebug`, or name another in "
        "TRAIN.PRETRAINED_VAE",
    )
    state = content["state_dict"]
    description = content["soke"].get("tokenizer")
    if not isinstance(description, Mapping) and not is_published(state):
        raise ValueError(
            f"{checkpoint} is not a tokenizer checkpoint of SOKE: it has no description, and no "
            "keys of the released layout"
        )
    try:
        if isinstance(description, Mapping):
            return _own(state, description).eval()
        carried = {key: state.get(key, content.get(key)) for key in ("mean", "std")}
        return _published(state, carried, {"mean": mean, "std": std}).eval()
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        # Besides our own errors: a description of another form, and what load_state_dict refuses.
        raise ValueError(f"{checkpoint} cannot be loaded as a tokenizer: {error}") from error


def save_safetensors(tokenizer: PartTokenizer, path: str | Path) -> None:
    """Write all state of a tokenizer and, as metadata, its description."""
    write_safetensors(tokenizer.state_dict(), path, {"tokenizer": tokenizer.description()})


def save_published(tokenizer: PartTokenizer, path: str | Path) -> None:
    """Write a tokenizer with the keys of the released checkpoints, its statistics beside them.

    Raises ``ValueError`` for what these keys cannot express.
    """
    statistics = {"mean": tokenizer.mean.clone(), "std": tokenizer.std.clone()}
    write_torch({"state_dict": to_published(tokenizer), **statistics}, path)


def _own(state: Mapping[str, Tensor], description: Mapping[str, Any]) -> PartTokenizer:
    # A .safetensors file holds the tokenizer alone, without the prefix.
    state = select(state, _PREFIX) or dict(state)
    parts = PartTable.from_rows(description.get("parts") or [])
    tokenizer = PartTokenizer.from_description({**description, **_sizes(state, parts)})
    for key in ("mean", "std"):
        if key in state:
            state[key] = _cut(key, state[key])
    tokenizer.load_state_dict(state)
    return tokenizer


def _published(
    state: Mapping[str, Tensor], carried: dict[str, Any], given: dict[str, Tensor | None]
) -> PartTokenizer:
    content = from_published(state)
    sizes = _sizes(content.state, content.parts)
    statistics = given if all(value is None for value in carried.values()) else carried
    missing = [key for key, value in statistics.items() if value is None]
    if len(missing) == 1:
        raise ValueError(f"statistics come as a pair; {missing[0]} is missing")
    if missing:
        log.warning(
            "the checkpoint has no statistics: its normalised motion is taken for SMPL-X "
            "parameters. Give load_tokenizer the mean and the deviation it was trained with"
        )
        statistics = {}
    cut = {key: _cut(key, value) for key, value in statistics.items()}
    tokenizer = PartTokenizer(content.parts, **sizes, **cut)
    learned = {key: tokenizer.get_buffer(key) for key in ("mean", "std")}
    for p, network in enumerate(tokenizer.networks):
        # The averages that training went on from are not released. Steady use of a code amounts to
        # this many counts: a codebook that is trained further is not reset at once.
        count = 1 / (1 - network.quantizer.decay)
        name = f"networks.{p}.quantizer"
        codebook = content.state[f"{name}.codebook"]
        learned[f"{name}.code_count"] = torch.full((len(codebook),), count)
        learned[f"{name}.code_sum"] = codebook * count
        learned[f"{name}.started"] = torch.tensor(True)
        learned[f"{name}.updates"] = torch.tensor(0)
    tokenizer.load_state_dict({**content.state, **learned})
    return tokenizer


def _sizes(state: Mapping[str, Tensor], parts: PartTable) -> dict[str, int]:
    """Width and code size from the tensors; checks the part table against them."""
    found = set()
    for p, part in enumerate(parts):
        first = state.get(f"networks.{p}.encoder.input.weight")
        last = state.get(f"networks.{p}.encoder.output.weight")
        codebook = state.get(f"networks.{p}.quantizer.codebook")
        if first is None or last is None:
            raise ValueError(
                f"it has no network for part {part.name!r}, number {p} of {parts.names}"
            )
        width, features = first.shape[:2]
        if features != part.size:
            raise ValueError(
                f"the network of part {part.name!r} takes {features} features, its row of the part "
                f"table has {part.size} columns"
            )
        if codebook is not None and len(codebook) != part.codebook_size:
            raise ValueError(
                f"part {part.name!r} has {len(codebook)} codes, its row of the part table says "
                f"{part.codebook_size}"
            )
        found.add((width, len(last)))
    if len(found) != 1:
        raise ValueError(f"the parts' networks differ in width and code size: {sorted(found)}")
    width, code_dim = found.pop()
    return {"width": width, "code_dim": code_dim}


def _cut(name: str, value: Tensor) -> Tensor:
    """Statistics of whole frames or of features, as features [133]."""
    value = torch.as_tensor(value)
    if value.shape == (FRAME_SIZE,):
        value = frames_to_features(value.float()) + (1e-10 if name == "std" else 0.0)
    if value.shape != (FEATURE_SIZE,) or not value.isfinite().all():
        raise ValueError(
            f"{name} must be {FRAME_SIZE} or {FEATURE_SIZE} finite numbers, got shape "
            f"{tuple(value.shape)}"
        )
    if name == "std" and not (value > 0).all():
        raise ValueError("std must be positive")
    return value.float()
