"""Generators that were trained under the original key names, and plain mBART checkpoints.

The original training keeps an `MBartForConditionalGeneration` under ``lm.language_model.main_lm.``
and the tokenizer's networks beside it. Its embedding rows are numbered as ours are: text rows,
language tokens, then, part by part, codebook size + 3.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from torch import Tensor, nn

from soke.checkpoints import select
from soke.generator.mbart.folder import check_rows, fill
from soke.generator.mbart.weights import Weights
from soke.generator.vocabulary import Vocabulary

log = logging.getLogger(__name__)

#: Where the original training keeps the language model.
PREFIX = "lm.language_model.main_lm."
#: The prefix of everything around it.
_ROOT = "lm."
#: What a plain `MBartForConditionalGeneration` has, such as `soke.cli.export_generator` writes.
_PLAIN = "model.encoder."
#: The tokenizer's networks; they are loaded from the tokenizer's own checkpoint.
_TOKENIZER = ("vae.", "motion_vae.", "hand_vae.", "rhand_vae.")


def is_published(state: Mapping[str, object]) -> bool:
    """Whether these are the original key names, or those of a plain mBART."""
    return any(key.startswith((PREFIX, _PLAIN)) for key in state)


def from_published(
    state: Mapping[str, Tensor], vocabulary: Vocabulary, source: object = "the checkpoint"
) -> dict[str, Tensor]:
    """Translate to the network's names, strictly; the tokenizer's tensors are left out.

    Tables that differ from the shared one stay separate, as ``head.weight`` and
    ``decoder_table.weight``. Raises ``ValueError`` that names unknown keys, or both numbers of rows
    when they differ.
    """
    known = {key: value for key, value in state.items() if not key.startswith(_TOKENIZER)}
    prefix = PREFIX if any(key.startswith(PREFIX) for key in known) else ""
    rest = sorted(key for key in known if not key.startswith(prefix))
    unknown = [key for key in rest if key.startswith(_ROOT)]
    if unknown:
        raise ValueError(f"{source} does not fit: unexpected {unknown[:5]} beside {prefix}*")
    if rest:
        log.warning(
            "%s: %d keys are neither the generator's nor the tokenizer's and were left out, such "
            "as %s",
            source,
            len(rest),
            rest[:3],
        )
    weights = Weights.from_state(select(known, prefix), source)
    check_rows(len(weights.table), vocabulary, source)
    return weights.to_network()


def load_published(model: nn.Module, state: Mapping[str, Tensor], source: object) -> None:
    """Fill a generator with a released ``state_dict``; its fusion weights stay as they are.

    The file does not say whether embeddings are scaled by sqrt(d_model): that stays as
    `soke.generator.Generator.scale_embeddings` set it. `soke.cli.embedding_scale` compares.
    """
    fill(model, from_published(state, model.vocabulary, source), source)
    log.info(
        "loaded the generator from %s, which does not say whether its embeddings are scaled: "
        "`soke embedding-scale` tells",
        source,
    )
