"""The tensors of an mBART in one form, and their names elsewhere.

transformers calls them ``model.encoder...``, ``model.decoder...``, ``model.shared.weight``,
``lm_head.weight``, ``final_logits_bias``. Our networks have one `MBartModel` called ``backbone``
whose encoder and decoder are fed embeddings from tables of the network's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from soke.checkpoints import select

#: What transformers calls the tables. A file may leave out all but one of those that are equal.
_SHARED = "model.shared.weight"
_HEAD = "lm_head.weight"
_ENCODER = "model.encoder.embed_tokens.weight"
_DECODER = "model.decoder.embed_tokens.weight"
_BIAS = "final_logits_bias"
#: Constants that old conversions left in their files.
_OLD_CONSTANTS = ("encoder.version", "decoder.version", "embed_positions._float_tensor")


@dataclass(frozen=True)
class Weights:
    """An mBART's tensors.

    ``layers`` has the names within `transformers.MBartModel`. ``table`` [V, D] holds the encoder's
    embeddings; ``decoder_table`` and ``head`` [V, D] are the decoder's embeddings and the output
    projection where they are tables of their own, None where they are tied. ``bias`` [V] is added
    to the logits.
    """

    layers: dict[str, Tensor]
    table: Tensor
    bias: Tensor
    decoder_table: Tensor | None = None
    head: Tensor | None = None

    @property
    def tied(self) -> bool:
        return self.decoder_table is None and self.head is None

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], source: object) -> Weights:
        """From the state of an `MBartForConditionalGeneration` (or of a bare `MBartModel`).

        Raises ``ValueError`` that names ``source`` for tensors of other names, without a table, and
        for tables that differ in shape.
        """
        state = {key: value for key, value in state.items() if not key.endswith(_OLD_CONSTANTS)}
        if any(key.startswith(("shared.", "encoder.", "decoder.")) for key in state):
            state = {f"model.{key}": value for key, value in state.items()}
        tables = {key: state.pop(key, None) for key in (_SHARED, _ENCODER, _DECODER, _HEAD)}
        found = [value for value in tables.values() if value is not None]
        if not found:
            raise ValueError(f"{source} has no embedding table {_SHARED!r}; is it of an mBART?")
        if len({tuple(table.shape) for table in found}) != 1 or found[0].ndim != 2:
            shapes = {key: tuple(t.shape) for key, t in tables.items() if t is not None}
            raise ValueError(f"{source}: the embedding tables must be of one shape, not {shapes}")
        encoder, decoder, head = (
            found[0] if tables[key] is None else tables[key] for key in (_ENCODER, _DECODER, _HEAD)
        )
        bias = state.pop(_BIAS, torch.zeros(1, len(encoder))).flatten()
        if len(bias) != len(encoder):
            raise ValueError(f"{source}: {_BIAS} has {len(bias)} numbers for {len(encoder)} rows")
        unknown = sorted(key for key in state if not key.startswith("model."))
        if unknown:
            raise ValueError(f"{source} does not fit: unexpected {unknown[:5]}")
        return cls(
            select(state, "model."),
            encoder,
            bias,
            None if torch.equal(decoder, encoder) else decoder,
            None if torch.equal(head, encoder) else head,
        )

    @classmethod
    def from_network(cls, state: Mapping[str, Tensor]) -> Weights:
        """From the state of one of our networks (fusion weights are left out)."""
        layers = select(state, "backbone.")
        table = layers.pop("shared.weight")
        return cls(
            layers,
            table,
            state["bias"],
            state.get("decoder_table.weight"),
            state.get("head.weight"),
        )

    def to_network(self) -> dict[str, Tensor]:
        """Under the names of our networks; tables that are tied are there once."""
        state = {f"backbone.{key}": value for key, value in self.layers.items()}
        state |= {"backbone.shared.weight": self.table, "bias": self.bias}
        if self.decoder_table is not None:
            state["decoder_table.weight"] = self.decoder_table
        if self.head is not None:
            state["head.weight"] = self.head
        return state

    def to_transformers(self) -> dict[str, Tensor]:
        """Under the names of transformers; all four tables where any two differ."""
        state = {f"model.{key}": value for key, value in self.layers.items()}
        state |= {_SHARED: self.table, _BIAS: self.bias[None]}
        if not self.tied:
            decoder = self.table if self.decoder_table is None else self.decoder_table
            head = self.table if self.head is None else self.head
            state |= {_ENCODER: self.table.clone(), _DECODER: decoder.clone(), _HEAD: head.clone()}
        return state

    def change_tables(
        self, change: Callable[[Tensor], Tensor], change_bias: Callable[[Tensor], Tensor]
    ) -> Weights:
        """With rows added to, or taken from, every table and the bias."""
        return replace(
            self,
            table=change(self.table),
            bias=change_bias(self.bias),
            decoder_table=None if self.decoder_table is None else change(self.decoder_table),
            head=None if self.head is None else change(self.head),
        )
