"""From samples to batches: text, retrieved signs and language token as one source sequence."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from soke.data.corpora import Corpus
from soke.generator.vocabulary import EOS, PAD, Vocabulary
from soke.retrieval import KeywordSearch, Retrieval, clean
from soke.structures import TokenBatch, TokenSample

log = logging.getLogger(__name__)

#: Tokens behind the text and its signs: </s> and the language.
_ENDING = 2
#: Why a sign was left out of the prompt.
NO_ROOM = "no room in the prompt"
#: What can be hidden in training.
TEXT, SIGNS = "text", "signs"
#: What a prompt template writes where the text goes.
TEXT_SLOT = "<Caption_Placeholder>"


class PromptBuilder:
    """Collates `TokenSample`s into a `TokenBatch`.

    A source is: the text in a template, per retrieved sign the corpus's keyword prompt and the
    sign's tokens (part by part within a step), ``</s>``, the spoken-language token. Signs that
    would exceed ``max_length`` are left out whole, last first; then the text is cut, which is
    logged once. Texts are first freed of control characters (`soke.retrieval.clean`); SentencePiece
    itself brings what is left into Unicode's NFKC form.

    Several ``templates`` are drawn from at random in training, the first one is used elsewhere.
    In training ``hide_text`` is the share of samples whose text becomes ``<mask>`` where signs were
    retrieved, and ``hide_signs`` the share of those without signs, so that the generator learns to
    do with either.

    Raises ``ValueError`` for a template without exactly one slot for the text, a ``max_length``
    without room for it and for shares that are none. Calling it raises ``ValueError`` that names the clip for a text without
    content, and for no samples.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        corpora: Mapping[str, Corpus],
        search: KeywordSearch,
        max_length: int = 256,
        templates: Sequence[str] = (TEXT_SLOT,),
        hide_text: float = 0.0,
        hide_signs: float = 0.0,
    ) -> None:
        wrong = [template for template in templates if template.count(TEXT_SLOT) != 1]
        if wrong or not templates:
            raise ValueError(f"a prompt template needs {TEXT_SLOT} exactly once: {wrong}")
        if max_length <= _ENDING:
            raise ValueError(
                f"model.generator.max_source is {max_length}; it has to be above {_ENDING}, the "
                "tokens behind the text"
            )
        if not (hide_text >= 0 and hide_signs >= 0 and hide_text + hide_signs <= 1):
            raise ValueError(
                f"TRAIN.HIDE_TEXT is {hide_text} and TRAIN.HIDE_SIGNS {hide_signs}; they are "
                "shares of the samples, at least 0 and at most 1 together"
            )
        if hide_text and vocabulary.mask_row is None:
            raise ValueError("TRAIN.HIDE_TEXT needs a vocabulary with <mask>; this one has none")
        self.hide_text, self.hide_signs = hide_text, hide_signs
        self.vocabulary, self.corpora, self.search = vocabulary, corpora, search
        self.max_length, self.templates = max_length, tuple(templates)
        self._cut_is_known = False

    def source(self, sample: TokenSample) -> tuple[list[int], Retrieval]:
        """Embedding rows of the source, and what was retrieved for it and fits in."""
        corpus, text = self.corpora[sample.corpus], clean(sample.text)
        if not text:
            raise ValueError(f"the clip {sample.name!r} of {corpus.name} has no text: it is empty")
        if corpus.lowercase:
            text = text.lower()
        # One draw for both: its place among the templates, and its place within that template.
        place, rest = divmod(sample.draw * len(self.templates), 1)
        hidden = self._hidden(rest) if sample.draw else None
        retrieval = self.search(text, sample.corpus, sample.name)
        if hidden == SIGNS:
            retrieval = replace(retrieval, keywords=())
        if hidden == TEXT and retrieval.keywords:
            rows = [self.vocabulary.mask_row]
        else:
            rows = self._fitting(self.templates[int(place)].replace(TEXT_SLOT, text), sample)
        fitting = 0
        for keyword in retrieval.keywords:
            prompt = corpus.keyword_prompt.format(i=fitting + 1)
            signs = self.vocabulary.motion_rows(torch.from_numpy(keyword.tokens))
            piece = [*self.vocabulary.encode_text(prompt), *signs.flatten().tolist()]
            if len(rows) + len(piece) > self.max_length - _ENDING:
                break
            rows += piece
            fitting += 1
        left = tuple((keyword.text, NO_ROOM) for keyword in retrieval.keywords[fitting:])
        retrieval = replace(
            retrieval,
            keywords=retrieval.keywords[:fitting],
            dropped=retrieval.dropped + left,
        )
        return [*rows, EOS, self.vocabulary.text_languages[corpus.text_language]], retrieval

    def _hidden(self, draw: float) -> str | None:
        """What is hidden from the generator at a draw from [0, 1)."""
        if draw < self.hide_text:
            return TEXT
        return SIGNS if draw < self.hide_text + self.hide_signs else None

    def _fitting(self, text: str, sample: TokenSample) -> list[int]:
        """The rows of a text, as many as there is room for."""
        rows = self.vocabulary.encode_text(text)
        room = self.max_length - _ENDING
        if len(rows) > room and not self._cut_is_known:
            self._cut_is_known = True
            log.warning(
                "the text of %r has %d tokens; the last %d are cut off, as of any text beyond "
                "model.generator.max_source=%d (said once)",
                sample.name, len(rows), len(rows) - room, self.max_length,
            )  # fmt: skip
        return rows[:room]

    def __call__(self, samples: Sequence[TokenSample]) -> TokenBatch:
        if not samples:
            raise ValueError("no texts: a batch needs at least one sample")
        built = [self.source(sample) for sample in samples]
        parts = len(self.vocabulary.parts)
        empty = torch.zeros(0, parts, dtype=torch.int64)
        tokens = [
            empty if sample.tokens is None else torch.from_numpy(sample.tokens.astype(np.int64))
            for sample in samples
        ]
        source, source_mask = _pad([torch.tensor(rows) for rows, _ in built], PAD)
        padded, token_mask = _pad(tokens, 0)
        languages = self.vocabulary.sign_languages
        retrievals = tuple(retrieval for _, retrieval in built)
        return TokenBatch(
            names=tuple(sample.name for sample in samples),
            corpora=tuple(sample.corpus for sample in samples),
            texts=tuple(sample.text for sample in samples),
            keywords=tuple(
                tuple(keyword.word for keyword in retrieval.keywords) for retrieval in retrievals
            ),
            source=source,
            source_mask=source_mask,
            sign_language=torch.tensor(
                [languages[self.corpora[sample.corpus].sign_language] for sample in samples]
            ),
            tokens=padded,
            token_mask=token_mask,
            retrievals=retrievals,
        )


def _pad(rows: Sequence[torch.Tensor], value: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad along the first axis; also the mask of what is real."""
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
    lengths = torch.tensor([len(row) for row in rows])
    return padded, torch.arange(padded.shape[1])[None] < lengths[:, None]
