"""From samples to batches: text, retrieved signs and language token as one source sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from soke.data.corpora import Corpus
from soke.generator.vocabulary import EOS, PAD, Vocabulary
from soke.retrieval import KeywordSearch
from soke.structures import TokenBatch, TokenSample

#: What a prompt template writes where the text goes.
TEXT_SLOT = "<Caption_Placeholder>"


class PromptBuilder:
    """Collates `TokenSample`s into a `TokenBatch`.

    A source is: the text in a template, per retrieved sign the corpus's keyword prompt and the
    sign's tokens (part by part within a step), ``</s>``, the spoken-language token. Signs that
    would exceed ``max_length`` are left out whole, last first; then the text is cut.
    Several ``templates`` are drawn from at random in training, the first one is used elsewhere.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        corpora: Mapping[str, Corpus],
        search: KeywordSearch,
        max_length: int = 256,
        templates: Sequence[str] = (TEXT_SLOT,),
    ) -> None:
        wrong = [template for template in templates if template.count(TEXT_SLOT) != 1]
        if wrong or not templates:
            raise ValueError(f"a prompt template needs {TEXT_SLOT} exactly once: {wrong}")
        self.vocabulary, self.corpora, self.search = vocabulary, corpora, search
        self.max_length, self.templates = max_length, tuple(templates)

    def source(self, text: str, corpus: str, template: str) -> tuple[list[int], tuple[str, ...]]:
        """Embedding rows of the source and the retrieved words that fit in."""
        if self.corpora[corpus].lowercase:
            text = text.lower()
        rows = self.vocabulary.encode_text(template.replace(TEXT_SLOT, text))
        rows = rows[: self.max_length - 2]
        words = []
        for i, keyword in enumerate(self.search(text, corpus), start=1):
            prompt = self.corpora[corpus].keyword_prompt.format(i=i)
            signs = self.vocabulary.motion_rows(torch.from_numpy(keyword.tokens))
            piece = [*self.vocabulary.encode_text(prompt), *signs.flatten().tolist()]
            if len(rows) + len(piece) > self.max_length - 2:
                break
            rows += piece
            words.append(keyword.word)
        language = self.vocabulary.text_languages[self.corpora[corpus].text_language]
        return [*rows, EOS, language], tuple(words)

    def __call__(self, samples: Sequence[TokenSample]) -> TokenBatch:
        sources, keywords = [], []
        for sample in samples:
            template = self.templates[int(sample.draw * len(self.templates))]
            rows, words = self.source(sample.text, sample.corpus, template)
            sources.append(torch.tensor(rows))
            keywords.append(words)
        parts = len(self.vocabulary.parts)
        empty = torch.zeros(0, parts, dtype=torch.int64)
        tokens = [
            empty if sample.tokens is None else torch.from_numpy(sample.tokens.astype(np.int64))
            for sample in samples
        ]
        source, source_mask = _pad(sources, PAD)
        padded, token_mask = _pad(tokens, 0)
        languages = self.vocabulary.sign_languages
        return TokenBatch(
            names=tuple(sample.name for sample in samples),
            corpora=tuple(sample.corpus for sample in samples),
            texts=tuple(sample.text for sample in samples),
            keywords=tuple(keywords),
            source=source,
            source_mask=source_mask,
            sign_language=torch.tensor(
                [languages[self.corpora[sample.corpus].sign_language] for sample in samples]
            ),
            tokens=padded,
            token_mask=token_mask,
        )


def _pad(rows: Sequence[torch.Tensor], value: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad along the first axis; also the mask of what is real."""
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
    lengths = torch.tensor([len(row) for row in rows])
    return padded, torch.arange(padded.shape[1])[None] < lengths[:, None]
