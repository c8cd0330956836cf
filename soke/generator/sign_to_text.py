"""The generator's mBART turned round: tokens of all parts in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from soke.data.corpora import Corpus
from soke.generator.network import IGNORE, Generator
from soke.generator.variants import framed
from soke.generator.vocabulary import EOS, Vocabulary
from soke.structures import TokenBatch, lengths_to_mask


class SignToText(Generator):
    """Reads fused embeddings of the parts' tokens and writes pieces of text.

    It takes the same batches as the generators. The encoder reads what the decoder of
    `soke.generator.MultiHeadGenerator` reads: the sign-language token, the codes of all parts in
    one embedding a step, ``</s>``. The decoder starts with the token of the spoken language and
    writes the text of ``batch.source``, then ``</s>``; its one head sees the text rows only.

    ``batch.source`` of each clip ends with ``</s>`` and the spoken language; where the text is not
    known (`sign_batch`) there is nothing else, and only decoding makes sense.
    """

    fused = True

    def fuse(self, rows: Tensor) -> Tensor:
        """Fused embeddings ``[..., D]`` of one row a part ``[..., P]``, for the encoder."""
        return torch.einsum("...pd,p->...d", self.embed(rows), self.fusion_weights)

    def heads(self, codes_only: bool = False) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of the only head: the text rows, in their order."""
        table = self.table if self.head is None else self.head.weight
        size = self.vocabulary.text_size
        return [(table[:size], self.bias[:size])]

    def memory(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        rows, mask = self.sign_rows(batch)
        return self.encode_embedded(self.fuse(rows), mask), mask

    def sign_rows(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """What the encoder reads: rows [B, S + 2, P], and which steps are real [B, S + 2]."""
        motion = self.vocabulary.motion_rows(batch.tokens)
        lengths = batch.token_mask.sum(dim=1)
        first = batch.sign_language[:, None].expand(-1, motion.shape[2])
        rows = framed(motion, lengths, first)
        return rows, lengths_to_mask(lengths + 2, rows.shape[1])

    def start(self, language: Tensor) -> Tensor:
        """What the decoder reads first [B, 1, D], from the rows of the spoken languages [B]."""
        return self.embed_target(language)[:, None]

    def opening(self, batch: TokenBatch) -> Tensor:
        return self.start(_text_language(batch))

    def decoder_input(self, batch: TokenBatch) -> Tensor:
        language = _text_language(batch)[:, None]
        return self.embed_target(torch.cat([language, batch.source[:, :-2]], dim=1))[:, None]

    def part_states(self, states: Tensor) -> list[Tensor]:
        return [states[:, 0]]

    def targets(self, batch: TokenBatch) -> list[Tensor]:
        # The language behind </s> is known and not asked for; the mask without its first place is
        # False there, as on padding.
        return [batch.source[:, :-1].masked_fill(~batch.source_mask[:, 1:], IGNORE)]


def sign_batch(
    vocabulary: Vocabulary,
    corpora: Mapping[str, Corpus],
    tokens: Sequence[np.ndarray | Tensor],
    names: Sequence[str],
) -> TokenBatch:
    """Clips whose text is not known: tokens [S, P] and the corpus ``names`` of each.

    Raises ``ValueError`` that says which for an unknown corpus, for tokens of another shape and for
    codes that a part does not have.
    """
    if not tokens or len(tokens) != len(names):
        raise ValueError(
            f"got {len(tokens)} clips and {len(names)} names of corpora: need 1 a clip"
        )
    unknown = sorted(set(names) - set(corpora))
    if unknown:
        raise ValueError(f"no corpus {unknown[0]!r}; there are {list(corpora)}")
    rows = [_checked(vocabulary, i, clip) for i, clip in enumerate(tokens)]
    chosen = [corpora[name] for name in names]
    source = [[EOS, vocabulary.text_languages[corpus.text_language]] for corpus in chosen]
    languages = [vocabulary.sign_languages[corpus.sign_language] for corpus in chosen]
    return TokenBatch(
        names=tuple(str(i) for i in range(len(rows))),
        corpora=tuple(names),
        texts=("",) * len(rows),
        keywords=((),) * len(rows),
        source=torch.tensor(source),
        source_mask=torch.ones(len(rows), 2, dtype=torch.bool),
        sign_language=torch.tensor(languages),
        tokens=torch.nn.utils.rnn.pad_sequence(rows, batch_first=True),
        token_mask=lengths_to_mask(torch.tensor([len(row) for row in rows])),
    )


def _checked(vocabulary: Vocabulary, index: int, tokens: np.ndarray | Tensor) -> Tensor:
    """Tokens [S, P] as int64 on the CPU."""
    rows = torch.as_tensor(np.asarray(tokens.cpu() if isinstance(tokens, Tensor) else tokens))
    parts = vocabulary.parts
    if rows.ndim != 2 or rows.shape[1] != len(parts) or rows.is_floating_point():
        raise ValueError(
            f"clip {index}: tokens of shape {tuple(rows.shape)} and type {rows.dtype}; expected "
            f"whole numbers [steps, {len(parts)}] for the parts {parts.names}"
        )
    for part, column in zip(parts, rows.T):
        if len(column) and not 0 <= column.min() <= column.max() < part.codebook_size:
            raise ValueError(
                f"clip {index}: codes of part {part.name!r} run from {int(column.min())} to "
                f"{int(column.max())}; its codebook has {part.codebook_size}"
            )
    return rows.long()


def _text_language(batch: TokenBatch) -> Tensor:
    """The row [B] of the spoken language, which ends each source."""
    last = batch.source_mask.sum(dim=1, keepdim=True) - 1
    return batch.source.gather(1, last)[:, 0]
