"""The clips that generated ones are compared with, and simple ways of finding a motion."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import extractOne
from torch import Tensor

from soke.data.listing.annotations import Clip
from soke.structures import Retrieval


@dataclass(frozen=True)
class Reference:
    """A text whose signing is known."""

    name: str
    corpus: str
    text: str


def references_of(clips: Iterable[Clip]) -> list[Reference]:
    return [Reference(clip.name, clip.corpus, clip.text) for clip in clips]


@dataclass(frozen=True)
class Signing:
    """What a system signs for a text.

    ``samples`` are further draws for the same text, for their diversity.
    """

    motion: Tensor  # [T, 133], SMPL-X parameters
    tokens: np.ndarray | None = None  # [S, P]
    retrieval: Retrieval = field(default_factory=Retrieval)
    samples: tuple[Tensor, ...] = ()

    @property
    def keywords(self) -> tuple[str, ...]:
        """The retrieved dictionary words."""
        return tuple(keyword.word for keyword in self.retrieval.keywords)


@dataclass(frozen=True)
class System:
    """A way of finding a motion for texts. ``sign`` takes places of references.

    ``run`` tells repetitions with other seeds apart.
    """

    name: str
    sign: Callable[[Sequence[int]], list[Signing]]
    run: int = 0

    @property
    def key(self) -> tuple[str, int]:
        return self.name, self.run


def random_clips(references: Sequence[Reference], train: Sequence[Clip], seed: int) -> list[Clip]:
    """Baseline: for each reference a random training clip of its corpus."""
    draw = random.Random(seed)
    pools = _by_corpus(references, train)
    return [draw.choice(pools[reference.corpus]) for reference in references]


def nearest_clips(references: Sequence[Reference], train: Sequence[Clip]) -> list[Clip]:
    """Baseline: the training clip of the corpus whose text is nearest by edit distance."""
    pools = _by_corpus(references, train)
    texts = {corpus: [clip.text for clip in clips] for corpus, clips in pools.items()}
    chosen = []
    for reference in references:
        match = extractOne(
            reference.text, texts[reference.corpus], scorer=Levenshtein.distance, processor=None
        )
        chosen.append(pools[reference.corpus][match[2]])
    return chosen


def _by_corpus(references: Sequence[Reference], train: Sequence[Clip]) -> dict[str, list[Clip]]:
    """Training clips of every corpus of the references.

    Raises ``ValueError`` for a corpus without any.
    """
    pools: dict[str, list[Clip]] = {reference.corpus: [] for reference in references}
    for clip in train:
        pools.setdefault(clip.corpus, []).append(clip)
    empty = [corpus for corpus, clips in pools.items() if not clips]
    if empty:
        raise ValueError(
            f"the baselines need training clips of {empty}, and there are none: leave baselines "
            "out of METRIC.TYPE or provide them"
        )
    return pools
