"""The layout of the released checkpoints: one table, used in both directions.

A released ``tokenizer.ckpt`` holds three networks in one ``state_dict``, told apart by the prefix
of their keys; the layers within are numbered as in the ``nn.Sequential`` that holds them. It has
the codebooks, but not the averages that training would continue from.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from soke.checkpoints import select
from soke.parts import PartTable
from soke.tokenizer.conv_network import DILATIONS
from soke.tokenizer.quantizers import CodebookQuantizer
from soke.tokenizer.tokenizer import PartTokenizer

log = logging.getLogger(__name__)

#: Rows of the published part table, without their codebook sizes.
_ROWS = (
    {
        "name": "body",
        "columns": [[0, 30], [120, 133]],
        "fusion_weight": 0.2,
        "token_prefix": "motion_id",
    },
    {"name": "lhand", "columns": [[30, 75]], "fusion_weight": 0.4, "token_prefix": "hand_id"},
    {"name": "rhand", "columns": [[75, 120]], "fusion_weight": 0.4, "token_prefix": "rhand_id"},
)
#: Prefixes of each row's keys; a file uses one of them. The first is what we write.
_PREFIXES = (("vae.", "motion_vae."), ("hand_vae.",), ("rhand_vae.",))


def _layers() -> dict[str, str]:
    """Our name of every layer and the published one."""
    layers = {
        "encoder.input": "encoder.model.0",
        "encoder.output": "encoder.model.4",
        "decoder.input": "decoder.model.0",
        "decoder.middle": "decoder.model.4",
        "decoder.output": "decoder.model.6",
    }
    for i, stage in enumerate(("2", "3")):
        layers[f"encoder.down.{i}"] = f"encoder.model.{stage}.0"
        layers[f"decoder.up.{i}"] = f"decoder.model.{stage}.2"
        for j in range(len(DILATIONS)):
            for ours, theirs in (("dilated", "conv1"), ("pointwise", "conv2")):
                block = f"blocks.{j}.{ours}"
                layers[f"encoder.stacks.{i}.{block}"] = (
                    f"encoder.model.{stage}.1.model.{j}.{theirs}"
                )
                layers[f"decoder.stacks.{i}.{block}"] = (
                    f"decoder.model.{stage}.0.model.{j}.{theirs}"
                )
    return layers


#: Our name of every tensor of one part and the published one, both without the part's prefix.
TRANSLATION = {
    **{
        f"{ours}.{tensor}": f"{theirs}.{tensor}"
        for ours, theirs in _layers().items()
        for tensor in ("weight", "bias")
    },
    "quantizer.codebook": "quantizer.codebook",
}


@dataclass(frozen=True)
class PublishedContent:
    """What a released file holds, under our names."""

    parts: PartTable
    state: dict[str, Tensor]  # networks.{p}.{name}, without statistics and averages


def is_published(state: Mapping[str, Tensor]) -> bool:
    """Whether any key starts with a published prefix."""
    prefixes = tuple(prefix for row in _PREFIXES for prefix in row)
    return any(key.startswith(prefixes) for key in state)


def from_published(state: Mapping[str, Tensor]) -> PublishedContent:
    """Translate a published ``state_dict`` strictly.

    Raises ``ValueError`` that names what is missing or unknown within a part. Keys outside the
    three parts do not belong to the tokenizer: a warning names them, and they are left out.
    """
    translated: dict[str, Tensor] = {}
    sizes: list[int] = []
    taken: set[str] = set()
    for p, row in enumerate(_ROWS):
        prefix = _prefix(state, p)
        own = select(state, prefix)
        wrong = {
            "lacks": sorted(set(TRANSLATION.values()) - set(own)),
            "has the unknown": sorted(set(own) - set(TRANSLATION.values())),
        }
        for verb, keys in wrong.items():
            if keys:
                raise ValueError(
                    f"the part {row['name']!r} ({prefix}*) {verb} {keys[:4]}"
                    f"{' and more' if len(keys) > 4 else ''}; released tokenizers have two "
                    "stages of three residual blocks"
                )
        for ours, theirs in TRANSLATION.items():
            translated[f"networks.{p}.{ours}"] = own[theirs]
        sizes.append(len(own["quantizer.codebook"]))
        taken |= {prefix + name for name in own}
    left = sorted(set(state) - taken - {"mean", "std"})
    if left:
        log.warning(
            "%d keys are not the tokenizer's and were left out, such as %s", len(left), left[:3]
        )
    rows = [{**row, "codebook_size": size} for row, size in zip(_ROWS, sizes)]
    return PublishedContent(PartTable.from_rows(rows), translated)


def to_published(tokenizer: PartTokenizer) -> dict[str, Tensor]:
    """The inverse of `from_published`.

    Raises ``ValueError`` for a part table or a quantizer that the published names cannot express.
    """
    columns = [part.indices for part in tokenizer.parts]
    sizes = [part.codebook_size for part in tokenizer.parts]
    wanted = PartTable.from_rows(
        {**row, "codebook_size": size} for row, size in zip(_ROWS, [*sizes, 2, 2, 2])
    )
    if columns != [part.indices for part in wanted]:
        raise ValueError(
            f"the published layout has the parts {wanted.names} with fixed columns; it cannot hold "
            f"{tokenizer.parts.names}. Export to .safetensors, which holds any"
        )
    if not all(isinstance(n.quantizer, CodebookQuantizer) for n in tokenizer.networks):
        raise ValueError(
            f"the published layout has one codebook per part; it cannot hold the quantizer "
            f"{tokenizer.arguments['quantizer']!r}. Export to .safetensors, which holds any"
        )
    own = tokenizer.state_dict()
    return {
        prefixes[0] + theirs: own[f"networks.{p}.{ours}"].clone()
        for p, prefixes in enumerate(_PREFIXES)
        for ours, theirs in TRANSLATION.items()
    }


def _prefix(state: Mapping[str, Tensor], row: int) -> str:
    found = [prefix for prefix in _PREFIXES[row] if any(key.startswith(prefix) for key in state)]
    if len(found) == 1:
        return found[0]
    raise ValueError(
        f"the part {_ROWS[row]['name']!r} is there {'twice' if found else 'not at all'}: looked "
        f"for keys that start with one of {list(_PREFIXES[row])}"
    )
