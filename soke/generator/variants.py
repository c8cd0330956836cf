"""Three decoders, which differ in how they emit the tokens of the parts.

A clip's sequence is: the sign-language token, the codes, ``</s>``; what is to be said is the codes,
``</s>``, the sign-language token.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import MBartConfig

from soke.generator.network import IGNORE, Generator
from soke.generator.vocabulary import EOS, PAD, Vocabulary
from soke.structures import TokenBatch


class MultiHeadGenerator(Generator):
    """One pass for all parts: their embeddings are added up, and every head reads the one state."""

    fused = True

    def start(self, sign_language: Tensor) -> Tensor:
        parts = len(self.vocabulary.parts)
        return self.fuse(sign_language[:, None, None].expand(-1, 1, parts))

    def fuse(self, rows: Tensor) -> Tensor:
        """Fused embeddings ``[..., D]`` of one row a part ``[..., P]``."""
        return torch.einsum("...pd,p->...d", self.embed_target(rows), self.fusion_weights)

    def decoder_input(self, batch: TokenBatch) -> Tensor:
        motion = self.vocabulary.motion_rows(batch.tokens)
        first = batch.sign_language[:, None].expand(-1, motion.shape[2])
        return self.fuse(framed(motion, _lengths(batch), first))[:, None]

    def part_states(self, states: Tensor) -> list[Tensor]:
        return [states[:, 0]] * len(self.vocabulary.parts)

    def targets(self, batch: TokenBatch) -> list[Tensor]:
        first = batch.sign_language[:, None].expand(-1, len(self.vocabulary.parts))
        return _part_targets(self.vocabulary, batch, first)


class PartGenerator(Generator):
    """A pass a part over the same weights and the same text, each with its own start token.

    A part never learns what the others said. The passes go through the decoder as one batch.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        config: MBartConfig,
        fusion: str = "table",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(vocabulary, config, fusion, label_smoothing)
        self.streams = len(vocabulary.parts)

    def start(self, sign_language: Tensor) -> Tensor:
        return self.embed_target(self.vocabulary.language_rows(sign_language))

    def decoder_input(self, batch: TokenBatch) -> Tensor:
        motion = self.vocabulary.motion_rows(batch.tokens)
        first = self.vocabulary.language_rows(batch.sign_language)
        return self.embed_target(framed(motion, _lengths(batch), first).transpose(1, 2))

    def part_states(self, states: Tensor) -> list[Tensor]:
        return list(states.unbind(dim=1))

    def targets(self, batch: TokenBatch) -> list[Tensor]:
        first = self.vocabulary.language_rows(batch.sign_language)
        return _part_targets(self.vocabulary, batch, first)


class FlattenGenerator(Generator):
    """One stream, part by part within a step, so that a part knows those before it.

    It takes as many decoder steps a frame as there are parts. The head of a place in the stream is
    that of the part whose turn it is, ``</s>`` and the closing language token included.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        config: MBartConfig,
        fusion: str = "table",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(vocabulary, config, fusion, label_smoothing)
        self.passes = len(vocabulary.parts)

    def start(self, sign_language: Tensor) -> Tensor:
        return self.embed_target(sign_language)[:, None]

    def decoder_input(self, batch: TokenBatch) -> Tensor:
        motion = self.vocabulary.motion_rows(batch.tokens).flatten(1)
        lengths = _lengths(batch) * self.passes
        return self.embed_target(framed(motion, lengths, batch.sign_language))[:, None]

    def part_states(self, states: Tensor) -> list[Tensor]:
        return [states[:, 0, p :: self.passes] for p in range(self.passes)]

    def targets(self, batch: TokenBatch) -> list[Tensor]:
        parts = self.vocabulary.parts
        lengths = _lengths(batch) * self.passes
        # In each head the shared rows lie behind its codes.
        codes = torch.tensor([part.codebook_size for part in parts], device=lengths.device)
        turns = torch.arange(batch.tokens.shape[1] * self.passes + 2, device=lengths.device)
        behind = codes[turns % self.passes]
        language = _shared_index(self.vocabulary, batch.sign_language)
        stream = closed(batch.tokens.flatten(1), lengths, behind, language)
        return [stream[:, p :: self.passes] for p in range(self.passes)]


#: The decoders by the name that the configuration gives them.
GENERATORS: dict[str, type[Generator]] = {
    "multi_head": MultiHeadGenerator,
    "part": PartGenerator,
    "flatten": FlattenGenerator,
}


def framed(rows: Tensor, lengths: Tensor, first: Tensor) -> Tensor:
    """Put ``first`` [B, ...] before and ``</s>`` behind the real rows [B, N, ...]: [B, N + 2, ...].

    What lies behind the first ``lengths`` [B] rows becomes padding.
    """
    size, steps = rows.shape[:2]
    result = rows.new_full((size, steps + 2, *rows.shape[2:]), PAD)
    places = torch.arange(steps, device=rows.device)
    real = places < lengths[:, None]
    result[:, 1:-1] = rows.where(real.view(size, steps, *[1] * (rows.ndim - 2)), PAD)
    result[:, 0] = first
    result[torch.arange(size, device=rows.device), lengths + 1] = EOS
    return result


def closed(codes: Tensor, lengths: Tensor, behind: Tensor, language: Tensor) -> Tensor:
    """Real codes [B, N], then ``</s>`` and the language token, then -100: [B, N + 2].

    Behind the codes of the head at a place [N + 2] lie the shared rows, among which the language
    token is the one at ``language`` [B].
    """
    size, steps = codes.shape
    target = codes.new_full((size, steps + 2), IGNORE)
    real = torch.arange(steps, device=codes.device) < lengths[:, None]
    target[:, :steps] = codes.masked_fill(~real, IGNORE)
    clips = torch.arange(size, device=codes.device)
    target[clips, lengths] = behind[lengths] + EOS
    target[clips, lengths + 1] = behind[lengths + 1] + language
    return target


def _lengths(batch: TokenBatch) -> Tensor:
    return batch.token_mask.sum(dim=1)


def _shared_index(vocabulary: Vocabulary, rows: Tensor) -> Tensor:
    """Where language rows [B] stand among the rows that all heads share."""
    shared = torch.tensor(vocabulary.shared_head_rows(), device=rows.device)
    return (rows[:, None] == shared).int().argmax(dim=1)


def _part_targets(vocabulary: Vocabulary, batch: TokenBatch, languages: Tensor) -> list[Tensor]:
    """Targets of heads that speak at every step; ``languages`` [B, P] close the sequences."""
    lengths = _lengths(batch)
    targets = []
    for p, part in enumerate(vocabulary.parts):
        behind = lengths.new_full((batch.tokens.shape[1] + 2,), part.codebook_size)
        language = _shared_index(vocabulary, languages[:, p])
        targets.append(closed(batch.tokens[..., p], lengths, behind, language))
    return targets
