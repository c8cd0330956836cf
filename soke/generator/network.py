"""What all generators share: one embedding table, mBART's layers, heads, loss and weights.

How the parts go through the decoder is the matter of the subclasses in `soke.generator.variants`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import MBartConfig, MBartModel

from soke.generator.mbart.folder import backbone_state, fill
from soke.generator.vocabulary import EOS, PAD, Vocabulary
from soke.structures import TokenBatch

IGNORE = -100
#: Tables that may be parted from the shared one: the decoder's input and the heads.
OWN_TABLES = ("decoder_table", "head")
#: Whose embeddings are multiplied by sqrt(d_model): both sides', neither's, the encoder's alone.
ScaleEmbedding = bool | Literal["encoder"]
SCALE_EMBEDDING: tuple[ScaleEmbedding, ...] = (True, False, "encoder")


class Generator(nn.Module, ABC):
    """mBART whose heads each see the rows of one part only.

    ``config`` describes the architecture (its vocabulary size is that of the text rows); weights
    are random until `load_backbone` or a checkpoint fills them. Embeddings are scaled by
    sqrt(d_model) where the configuration says ``scale_embedding``, or as `scale_embeddings` is
    told, explicitly here rather than by whatever the installed transformers version does.

    ``fusion`` is for decoders that add the parts' embeddings up: ``table`` takes the fusion weights
    of the part table; ``learned`` starts from them and trains them as free numbers that need not
    sum to one. Both keep them in the checkpoint under one name, so that either loads the other's.
    """

    bias: Tensor
    _head_rows: Tensor
    fusion_weights: Tensor

    #: Sequences of a clip that go through the decoder side by side.
    streams: int = 1
    #: Decoder steps that one step of all parts takes.
    passes: int = 1
    #: Whether one state serves all heads, after the parts' embeddings were added up.
    fused: ClassVar[bool] = False

    def __init__(
        self,
        vocabulary: Vocabulary,
        config: MBartConfig,
        fusion: str = "table",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be at least 0 and below 1: {label_smoothing}")
        self.label_smoothing = label_smoothing
        config = MBartConfig.from_dict({**config.to_dict(), "vocab_size": vocabulary.size})
        config.pad_token_id = PAD
        config.eos_token_id = EOS
        config.bos_token_id = 0
        self.backbone = MBartModel(config)
        # One table: encoder and decoder are fed embeddings, so they need none of their own.
        self.backbone.encoder.embed_tokens = None
        self.backbone.decoder.embed_tokens = None
        for name in OWN_TABLES:
            self.register_module(name, None)
        self.register_load_state_dict_pre_hook(_untie_as_stored)
        self.scale_embeddings(None)
        self.register_buffer("bias", torch.zeros(vocabulary.size))
        self._set_fusion(fusion)
        rows = vocabulary.head_rows()
        self._head_sizes = [len(head) for head in rows]
        self.register_buffer("_head_rows", torch.cat(rows), persistent=False)

    def _set_fusion(self, fusion: str) -> None:
        kinds = ("table", "learned") if self.fused else ("table",)
        if fusion not in kinds:
            raise ValueError(f"{type(self).__name__} has fusion {kinds}, not {fusion!r}")
        if not self.fused:
            return
        weights = torch.tensor(self.vocabulary.parts.fusion_weights)
        if fusion == "learned":
            self.fusion_weights = nn.Parameter(weights)
        else:
            self.register_buffer("fusion_weights", weights)

    # Tables

    @property
    def table(self) -> Tensor:
        """The embedding table [V, D]: the encoder's input and, unless untied, everything's."""
        return self.backbone.shared.weight

    def untie(self, *names: str) -> None:
        """Give ``decoder_table`` or ``head`` a table of its own, a copy of the shared one.

        It is trained by itself from then on. Do so before the optimizer is made.
        """
        for name in names:
            if name not in OWN_TABLES:
                raise ValueError(f"untie {' or '.join(OWN_TABLES)}, not {name!r}")
            if getattr(self, name) is None:
                copy = self.table.detach().clone()
                setattr(self, name, nn.Embedding(*copy.shape, _weight=copy))

    def scale_embeddings(self, which: ScaleEmbedding | None) -> None:
        """Choose whose embeddings are multiplied by sqrt(d_model); None: as ``config`` says.

        Weights do not tell how they were trained. A decoder that is fed embeddings, as here, gets
        them unscaled in some releases of transformers, which scale where they look rows up: weights
        that were trained there need ``encoder``. Raises ``ValueError`` for another value.
        """
        config = self.backbone.config
        which = config.scale_embedding if which is None else which
        if which not in SCALE_EMBEDDING:
            raise ValueError(
                f"model.generator.scale_embedding is {which!r}; choose true (encoder and decoder), "
                "false (neither), encoder, or null (as config.json says)"
            )
        factor = config.d_model**0.5
        self.encoder_scale = factor if which else 1.0
        self.decoder_scale = factor if which and which != "encoder" else 1.0

    def heads(self, codes_only: bool = False) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of each part's head, optionally cut to the part's codes and ``</s>``."""
        table = self.table if self.head is None else self.head.weight
        # One look-up for all heads: its gradient is as large as the table.
        weights = F.embedding(self._head_rows, table).split(self._head_sizes)
        biases = self.bias[self._head_rows].split(self._head_sizes)
        heads = list(zip(weights, biases))
        if codes_only:
            for p, part in enumerate(self.vocabulary.parts):
                rows = [*range(part.codebook_size), part.codebook_size + EOS]
                heads[p] = (weights[p][rows], biases[p][rows])
        return heads

    def embed(self, rows: Tensor) -> Tensor:
        """Scaled embeddings ``[..., D]`` of rows ``[...]`` for the encoder."""
        return F.embedding(rows, self.table) * self.encoder_scale

    def embed_target(self, rows: Tensor) -> Tensor:
        """Scaled embeddings ``[..., D]`` of rows ``[...]`` for the decoder."""
        table = self.table if self.decoder_table is None else self.decoder_table.weight
        return F.embedding(rows, table) * self.decoder_scale

    # The way through

    @abstractmethod
    def start(self, sign_language: Tensor) -> Tensor:
        """What the decoder reads first [B, streams, D], from the sign languages' rows [B]."""

    def opening(self, batch: TokenBatch) -> Tensor:
        """What the decoder reads first for a batch [B, streams, D]."""
        return self.start(batch.sign_language)

    @abstractmethod
    def decoder_input(self, batch: TokenBatch) -> Tensor:
        """What the decoder reads under teacher forcing [B, streams, T, D]."""

    @abstractmethod
    def part_states(self, states: Tensor) -> list[Tensor]:
        """For each part the states that its head reads [B, T_p, D], from [B, streams, T, D]."""

    @abstractmethod
    def targets(self, batch: TokenBatch) -> list[Tensor]:
        """What each head should say, as indices of that head [B, T_p]; -100 is ignored."""

    def encode(self, source: Tensor, mask: Tensor) -> Tensor:
        """Encoder states [B, L, D] of source rows [B, L]."""
        return self.encode_embedded(self.embed(source), mask)

    def encode_embedded(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """Encoder states [B, L, D] of scaled embeddings [B, L, D]."""
        self.check_positions(embedded.shape[1], "The longest source")
        return self.backbone.encoder(inputs_embeds=embedded, attention_mask=mask).last_hidden_state

    def memory(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """Encoder states [B, L, D] of what a batch gives, and which of them are real [B, L]."""
        return self.encode(batch.source, batch.source_mask), batch.source_mask

    def check_positions(self, count: int, what: str) -> None:
        """Raise ``ValueError`` if there are fewer positions than ``what`` has tokens."""
        limit = self.backbone.config.max_position_embeddings
        if count > limit:
            raise ValueError(
                f"{what} has {count} tokens, but the model has positions for {limit} "
                "(max_position_embeddings in its config.json): shorten it or use a model with more"
            )

    def states(self, batch: TokenBatch) -> list[Tensor]:
        """For each part the decoder's states under teacher forcing [B, T_p, D]."""
        memory, mask = self.memory(batch)
        inputs = self.decoder_input(batch)
        size, streams, length, _ = inputs.shape
        self.check_positions(length, "The longest target")
        if streams > 1:
            memory, mask = (x.repeat_interleave(streams, dim=0) for x in (memory, mask))
        # No mask of the target: padding lies behind all that is real, and attention looks back.
        states = self.backbone.decoder(
            inputs_embeds=inputs.flatten(0, 1),
            encoder_hidden_states=memory,
            encoder_attention_mask=mask,
            use_cache=False,
        ).last_hidden_state
        return self.part_states(states.view(size, streams, length, -1))

    def forward(self, batch: TokenBatch) -> list[Tensor]:
        """Logits of every step under teacher forcing, [B, T_p, V_p] a part."""
        return [F.linear(x, *head) for x, head in zip(self.states(batch), self.heads())]

    def loss(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """Cross-entropy a part [P] (train on their sum) and accuracy a part [P].

        Both are means over the real steps of the batch.
        """
        losses = []
        accuracies = []
        for states, target, head in zip(self.states(batch), self.targets(batch), self.heads()):
            if states.device.type == "cpu":  # elsewhere the count of real steps is waited for
                real = target != IGNORE
                states = states[real]
                target = target[real]
            logits = F.linear(states, *head).flatten(0, -2)
            target = target.flatten()
            losses.append(
                F.cross_entropy(
                    logits, target, ignore_index=IGNORE, label_smoothing=self.label_smoothing
                )
            )
            right = (logits.detach().argmax(dim=1) == target).sum()
            accuracies.append(right / (target != IGNORE).sum())
        return torch.stack(losses), torch.stack(accuracies)

    # Layers

    @property
    def layers(self) -> list[nn.Module]:
        """The layers of the encoder, then those of the decoder."""
        return [*self.backbone.encoder.layers, *self.backbone.decoder.layers]

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """All parameters, each once: those of ``embeddings``, ``encoder`` and ``decoder``."""
        stacks = {"encoder": self.backbone.encoder, "decoder": self.backbone.decoder}
        groups = {name: list(stack.parameters()) for name, stack in stacks.items()}
        layers = {id(parameter) for group in groups.values() for parameter in group}
        return {"embeddings": [p for p in self.parameters() if id(p) not in layers], **groups}

    def checkpoint_activations(self) -> None:
        """In training compute each layer again on the way back, which takes less memory."""
        self.backbone.config.use_cache = False  # never used here, but transformers warns of it
        self.backbone.activation_checkpointing_enable({"use_reentrant": False})

    def compile_networks(self) -> None:
        """Compile the layers in place (`torch.compile`); names in checkpoints stay as they are."""
        for layer in self.layers:
            layer.compile()

    # Weights

    def load_backbone(self, folder: str | Path) -> None:
        """Fill all layers and the text rows from an mBART folder; new rows are drawn like these.

        Raises `soke.files.MissingAssetError` without weights, ``ValueError`` where names or shapes
        do not fit.
        """
        fill(self, backbone_state(folder, self.vocabulary), folder)


def _untie_as_stored(
    model: Generator, state: Mapping[str, Tensor], prefix: str, *_: object
) -> None:
    """A checkpoint with tables of their own loads into a model that was built tied."""
    model.untie(*(name for name in OWN_TABLES if f"{prefix}{name}.weight" in state))
