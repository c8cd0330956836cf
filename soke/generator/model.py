"""The multi-head mBART: text in, one token per part per step out.

The decoder's input at a step is the weighted sum of the parts' token embeddings; one decoder pass
gives one hidden state, which each part's head projects onto that part's rows of the tied embedding
table only.
"""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import MBartConfig, MBartModel

from soke.files import MissingAssetError, require
from soke.generator.vocabulary import EOS, PAD, Vocabulary
from soke.structures import TokenBatch

IGNORE = -100


class MultiHeadGenerator(nn.Module):
    """mBART with fused part embeddings and one head a part.

    ``config`` describes the architecture (its vocabulary size is that of the text rows); weights
    are random until `load_backbone` or a checkpoint fills them. Embeddings are scaled by
    sqrt(d_model) where the configuration says ``scale_embedding``, on both sides, explicitly here
    rather than by whatever the installed transformers version does.
    """

    def __init__(self, vocabulary: Vocabulary, config: MBartConfig) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        config = MBartConfig.from_dict({**config.to_dict(), "vocab_size": vocabulary.size})
        config.pad_token_id, config.eos_token_id, config.bos_token_id = PAD, EOS, 0
        self.backbone = MBartModel(config)
        # One table: encoder and decoder are fed embeddings, so they need none of their own.
        self.backbone.encoder.embed_tokens = None
        self.backbone.decoder.embed_tokens = None
        self.scale = config.d_model**0.5 if config.scale_embedding else 1.0
        self.register_buffer("bias", torch.zeros(vocabulary.size))
        weights = torch.tensor(vocabulary.parts.fusion_weights)
        self.register_buffer("fusion_weights", weights)
        self._head_names = []
        for part, rows in zip(vocabulary.parts, vocabulary.head_rows()):
            self._head_names.append(f"head_rows_{part.name}")
            self.register_buffer(self._head_names[-1], rows, persistent=False)

    @property
    def table(self) -> Tensor:
        """The embedding table [V, D]."""
        return self.backbone.shared.weight

    def heads(self, codes_only: bool = False) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of each part's head, optionally cut to the part's codes and ``</s>``."""
        heads = []
        for part, name in zip(self.vocabulary.parts, self._head_names):
            rows = getattr(self, name)
            if codes_only:
                rows = rows[[*range(part.codebook_size), part.codebook_size + EOS]]
            heads.append((self.table[rows], self.bias[rows]))
        return heads

    def embed(self, rows: Tensor) -> Tensor:
        """Scaled embeddings ``[..., D]`` of rows ``[...]``."""
        return F.embedding(rows, self.table) * self.scale

    def fuse(self, rows: Tensor) -> Tensor:
        """Fused embeddings ``[..., D]`` of one row a part ``[..., P]``."""
        return torch.einsum("...pd,p->...d", self.embed(rows), self.fusion_weights)

    def encode(self, source: Tensor, mask: Tensor) -> Tensor:
        """Encoder states [B, L, D] of source rows [B, L]."""
        return self.backbone.encoder(
            inputs_embeds=self.embed(source), attention_mask=mask
        ).last_hidden_state

    def forward(self, batch: TokenBatch) -> list[Tensor]:
        """Logits of every step under teacher forcing, [B, S + 2, V_p] a part."""
        states = self.encode(batch.source, batch.source_mask)
        rows, mask = self.decoder_input(batch)
        hidden = self.backbone.decoder(
            inputs_embeds=self.fuse(rows),
            attention_mask=mask,
            encoder_hidden_states=states,
            encoder_attention_mask=batch.source_mask,
            use_cache=False,
        ).last_hidden_state
        return [F.linear(hidden, weight, bias) for weight, bias in self.heads()]

    def decoder_input(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """Rows [B, S + 2, P] (language token, codes, ``</s>``) and their mask [B, S + 2]."""
        size, steps, parts = batch.tokens.shape
        rows = batch.tokens.new_full((size, steps + 2, parts), PAD)
        motion = self.vocabulary.motion_rows(batch.tokens)
        rows[:, 1:-1] = torch.where(batch.token_mask[..., None], motion, PAD)
        rows[:, 0] = batch.sign_language[:, None]
        lengths = batch.token_mask.sum(dim=1)
        rows[torch.arange(size, device=rows.device), lengths + 1] = EOS
        mask = torch.arange(steps + 2, device=rows.device)[None] < lengths[:, None] + 2
        return rows, mask

    def targets(self, batch: TokenBatch) -> list[Tensor]:
        """What each head should say, as indices of that head; [B, S + 2] a part, -100 ignored.

        The sequence is the part's codes, ``</s>``, the sign-language token.
        """
        size, steps, _ = batch.tokens.shape
        lengths = batch.token_mask.sum(dim=1)
        clips = torch.arange(size, device=lengths.device)
        shared = torch.tensor(self.vocabulary.shared_head_rows(), device=lengths.device)
        language = (batch.sign_language[:, None] == shared).int().argmax(dim=1)
        targets = []
        for p, part in enumerate(self.vocabulary.parts):
            target = batch.tokens.new_full((size, steps + 2), IGNORE)
            target[:, :steps] = batch.tokens[..., p].masked_fill(~batch.token_mask, IGNORE)
            target[clips, lengths] = part.codebook_size + EOS
            target[clips, lengths + 1] = part.codebook_size + language
            targets.append(target)
        return targets

    def loss(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """Cross-entropy a part [P] (train on their sum) and accuracy a part [P]."""
        losses, accuracies = [], []
        for logits, target in zip(self(batch), self.targets(batch)):
            losses.append(F.cross_entropy(logits.flatten(0, 1), target.flatten()))
            real = target != IGNORE
            accuracies.append((logits.argmax(-1) == target)[real].float().mean())
        return torch.stack(losses), torch.stack(accuracies)

    def load_backbone(self, folder: str | Path) -> None:
        """Fill the text rows and all layers from an mBART folder; new rows stay as they are.

        Raises `soke.files.MissingAssetError` without weights, ``ValueError`` where names or shapes
        do not fit.
        """
        state = _read_weights(Path(folder))
        table = state.pop("model.shared.weight")
        if table.shape[0] != self.vocabulary.text_size:
            raise ValueError(
                f"{folder}: the embedding has {table.shape[0]} rows but map_ids.pkl names "
                f"{self.vocabulary.text_size}"
            )
        bias = state.pop("final_logits_bias", torch.zeros(1, len(table)))
        copies = ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")
        for name in (*copies, "lm_head.weight"):
            state.pop(name, None)
        own = {f"model.{key}" for key in self.backbone.state_dict()} - {"model.shared.weight"}
        if own != set(state):
            raise ValueError(
                f"{folder} does not fit: missing {sorted(own - set(state))[:5]}, unexpected "
                f"{sorted(set(state) - own)[:5]}"
            )
        with torch.no_grad():
            self.table[: len(table)] = table
            self.bias[: len(table)] = bias[0, : len(table)]
        state = {key.removeprefix("model."): value for key, value in state.items()}
        self.backbone.load_state_dict({**state, "shared.weight": self.table.data})


def read_config(folder: str | Path) -> MBartConfig:
    """The ``config.json`` of an mBART folder."""
    path = require(
        Path(folder) / "config.json",
        "The mBART configuration",
        "Put a trimmed mBART there, or run `python -m prepare.small_mbart` for the demo",
    )
    return MBartConfig.from_json_file(str(path))


def _read_weights(folder: Path) -> dict[str, Tensor]:
    if (folder / "model.safetensors").exists():
        return safetensors.torch.load_file(folder / "model.safetensors")
    if (folder / "pytorch_model.bin").exists():
        return torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True)
    raise MissingAssetError(
        "The mBART weights",
        folder / "model.safetensors (or pytorch_model.bin)",
        "Put the trimmed mBART there, or train from scratch with model.generator.pretrained=false",
    )
