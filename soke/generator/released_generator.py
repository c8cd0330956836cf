"""Generators that were trained under the original key names, and plain mBART checkpoints.

The original training keeps an `MBartForConditionalGeneration` under ``lm.language_model.main_lm.``
and the tokenizer's networks beside it. Its embedding rows are numbered as ours are: text rows,
language tokens, then, part by part, codebook size + 3.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from soke.files import require
from soke.generator.mbart.folder import check_rows, fill
from soke.generator.mbart.weights import Weights
from soke.generator.vocabulary import Vocabulary
from soke.tokenizer.archive import read_tensors

log = logging.getLogger(__name__)

#: Where the original training keeps the language model, and everything of it.
PREFIX, _ROOT = "lm.language_model.main_lm.", "lm."
#: What a plain `MBartForConditionalGeneration` has, such as `soke.cli.export_generator` writes.
_PLAIN = "model.encoder."
#: The tokenizer's networks; they are loaded from the tokenizer's own checkpoint.
_TOKENIZER = ("vae.", "motion_vae.", "hand_vae.", "rhand_vae.")
#: What is read of a checkpoint.
_ENTRIES = ("state_dict", "soke")


def read_checkpoint(
    path: str | Path, entries: Collection[str] = _ENTRIES
) -> dict[str, Mapping[str, object]]:
    """The ``entries`` of a checkpoint, as far as it has them; tensors are under ``state_dict``.

    Reads ``.safetensors`` and torch checkpoints. A torch checkpoint that pickles objects of unknown
    classes is read without them, and nothing of it is executed. A file that is nothing but named
    tensors is taken for a ``state_dict``. Raises `soke.files.MissingAssetError` and ``ValueError``.
    """
    path = require(path, "The checkpoint", "Correct the configured path")
    if path.suffix == ".safetensors":
        try:
            return {"state_dict": load_file(path)}
        except SafetensorError as error:
            raise ValueError(f"{path} cannot be read as safetensors: {error}") from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        content = read_tensors(path, entries)
        log.warning("%s pickles other objects beside its tensors; they were ignored", path)
    except (RuntimeError, EOFError, OSError, KeyError) as error:
        raise ValueError(f"{path} cannot be read as a torch checkpoint: {error}") from None
    content = content if isinstance(content, Mapping) else {}
    found = {key: content[key] for key in entries if isinstance(content.get(key), Mapping)}
    if not found and any(isinstance(value, Tensor) for value in content.values()):
        found = {"state_dict": dict(content)}
    if not found:
        raise ValueError(f"{path} is not a checkpoint: it holds none of {list(entries)}")
    return found


def is_published(state: Mapping[str, object]) -> bool:
    """Whether these are the original key names, or those of a plain mBART."""
    return any(key.startswith((PREFIX, _PLAIN)) for key in state)


def from_published(
    state: Mapping[str, object], vocabulary: Vocabulary, source: object = "the checkpoint"
) -> dict[str, Tensor]:
    """Translate to the network's names, strictly; the tokenizer's tensors are left out.

    Tables that differ from the shared one stay tables of their own: ``head.weight`` and
    ``decoder_table.weight``. Raises ``ValueError`` that names what is unknown, and both numbers of
    rows when they differ.
    """
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    prefix = PREFIX if any(key.startswith(PREFIX) for key in tensors) else ""
    own = {
        key.removeprefix(prefix): value
        for key, value in tensors.items()
        if key.startswith(prefix) and not key.startswith(_TOKENIZER)
    }
    rest = sorted(key for key in tensors if prefix and not key.startswith((prefix, *_TOKENIZER)))
    unknown = [key for key in rest if key.startswith(_ROOT)]
    if unknown:
        raise ValueError(f"{source} does not fit: unexpected {unknown[:5]} beside {prefix}*")
    if rest:
        log.warning(
            "%s: %d keys are neither the generator's nor the tokenizer's and were left out, such "
            "as %s",
            source, len(rest), rest[:3],
        )  # fmt: skip
    weights = Weights.from_state(own, source)
    check_rows(len(weights.table), vocabulary, source)
    return weights.to_network()


def load_published(model: nn.Module, state: Mapping[str, object], source: object) -> None:
    """Fill a generator with a published ``state_dict``; its fusion weights stay as they are.

    Whether embeddings are scaled by sqrt(d_model) is not in the file: it stays as
    `soke.generator.Generator.scale_embeddings` was told. `soke.cli.embedding_scale` compares.
    """
    fill(model, from_published(state, model.vocabulary, source), source)
    log.info(
        "loaded the generator from %s, which does not say whether its embeddings are scaled: "
        "`python -m prepare.embedding_scale` tells",
        source,
    )
