"""From samples to batches: text, retrieved signs and language token as one source sequence."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from soke.data.corpora import Corpus
from soke.generator.vocabulary import EOS, PAD, Vocabulary
from soke.retrieval import KeywordSearch, Retrieval
from soke.structures import TokenBatch, TokenSample

log = logging.getLogger(__name__)

#: Tokens behind the text and its signs: </s> and the language.
_ENDING = 2
#: Why a sign was left out of the prompt.
NO_ROOM = "no room in the prompt"
#: What can be hidden in training.
TEXT = "text"
SIGNS = "signs"
#: What a prompt template writes where the text goes.
TEXT_SLOT = "<Caption_Placeholder>"
#: What it writes where the clip's gloss goes, if it has one.
GLOSS_SLOT = "<Gloss_Placeholder>"


class PromptBuilder:
    """Collates `TokenSample`s into a `TokenBatch`.

    A source is: the text in a template, per retrieved sign the corpus's keyword prompt and the
    sign's tokens (part by part within a step), ``</s>``, the spoken-language token. Signs that
    would exceed ``max_length`` are left out whole, last first; then the text is cut, which is
    logged once. Texts and glosses come in clean (`soke.retrieval.clean`); SentencePiece itself
    brings them into Unicode's NFKC form.

    Several ``templates`` are drawn from at random in training, the first one is used elsewhere.
    In training ``hide_text`` is the share of samples whose text becomes ``<mask>`` where signs were
    retrieved, and ``hide_signs`` the share of those without signs, so that the generator learns to
    do with either. ``swap_codes`` is the share of samples in which codes of the retrieved signs
    change places with other codes of their part, in the prompt and in the motion alike: what such a
    sign looks like can then be known from the prompt alone, so that the generator learns to copy
    it, and does so for signs that it has never seen.

    Raises ``ValueError`` for a template without exactly one slot for the text, a ``max_length``
    without room for it and for shares that are none. Calling it raises ``ValueError`` that names
    the clip for a text without content, and for no samples.
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
        swap_codes: float = 0.0,
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
        if not 0 <= swap_codes <= 1:
            raise ValueError(f"TRAIN.SWAP_CODES is {swap_codes}; it is a share, from 0 to 1")
        if hide_text and vocabulary.mask_row is None:
            raise ValueError("TRAIN.HIDE_TEXT needs a vocabulary with <mask>; this one has none")
        self.hide_text = hide_text
        self.hide_signs = hide_signs
        self.swap_codes = swap_codes
        self.vocabulary = vocabulary
        self.corpora = corpora
        self.search = search
        self.max_length = max_length
        self.templates = tuple(templates)
        self._cut_is_known = False

    def source(self, sample: TokenSample) -> tuple[list[int], Retrieval]:
        """Embedding rows of the source, and what was retrieved for it and fits in."""
        rows, retrieval, _ = self._built(sample)
        return rows, retrieval

    def _built(self, sample: TokenSample) -> tuple[list[int], Retrieval, np.ndarray | None]:
        """Source, retrieval, and the motion's tokens [S, P] if there are any."""
        corpus = self.corpora[sample.corpus]
        text = sample.text
        if not text.strip():
            raise ValueError(f"the clip {sample.name!r} of {corpus.name} has no text: it is empty")
        if corpus.lowercase:
            text = text.lower()
        # One draw for both: its place among the templates, and its place within that template.
        place, rest = divmod(sample.draw * len(self.templates), 1)
        hidden = self._hidden(rest) if sample.draw else None
        retrieval = self.search(text, sample.corpus, sample.name)
        if hidden == SIGNS:
            retrieval = replace(retrieval, keywords=())
        retrieval, tokens = self._swapped(sample, retrieval)
        if hidden == TEXT and retrieval.keywords:
            rows = [self.vocabulary.mask_row]
        else:
            template = self.templates[int(place)].replace(GLOSS_SLOT, sample.gloss)
            rows = self._fitting(template.replace(TEXT_SLOT, text).strip(), sample)
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
        rows += [EOS, self.vocabulary.text_languages[corpus.text_language]]
        return rows, retrieval, tokens

    def _swapped(
        self, sample: TokenSample, retrieval: Retrieval
    ) -> tuple[Retrieval, np.ndarray | None]:
        """The retrieval and the motion's tokens, in some samples with codes that changed places."""
        tokens = sample.tokens
        keywords = retrieval.keywords
        if not sample.draw or not self.swap_codes or tokens is None or not keywords:
            return retrieval, tokens
        draws = np.random.default_rng(int(sample.draw * 2**53))
        if draws.random() >= self.swap_codes:
            return retrieval, tokens
        signs = np.concatenate([keyword.tokens for keyword in keywords])
        share, places = draws.random(), []  # from a few codes to all of them
        for part, column in zip(self.vocabulary.parts, signs.T):
            place = np.arange(part.codebook_size)
            used = np.unique(column)
            for code in used[draws.random(len(used)) < share]:
                other = draws.integers(part.codebook_size)
                place[[code, other]] = place[[other, code]]
            places.append(place)

        def moved(codes: np.ndarray) -> np.ndarray:
            return np.stack([place[column] for place, column in zip(places, codes.T)], axis=1)

        keywords = tuple(replace(keyword, tokens=moved(keyword.tokens)) for keyword in keywords)
        return replace(retrieval, keywords=keywords), moved(tokens)

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
                sample.name,
                len(rows),
                len(rows) - room,
                self.max_length,
            )
        return rows[:room]

    def __call__(self, samples: Sequence[TokenSample]) -> TokenBatch:
        if not samples:
            raise ValueError("no texts: a batch needs at least one sample")
        built = [self._built(sample) for sample in samples]
        parts = len(self.vocabulary.parts)
        empty = torch.zeros(0, parts, dtype=torch.int64)
        tokens = [
            empty if codes is None else torch.from_numpy(codes.astype(np.int64))
            for _, _, codes in built
        ]
        source, source_mask = _pad([torch.tensor(rows) for rows, _, _ in built], PAD)
        padded, token_mask = _pad(tokens, 0)
        languages = self.vocabulary.sign_languages
        retrievals = tuple(retrieval for _, retrieval, _ in built)
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
