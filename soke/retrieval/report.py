"""What was retrieved over a whole run, in a few lines."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from soke.retrieval.text_search import STOP_WORD
from soke.structures import Retrieval

log = logging.getLogger(__name__)

#: Missing words that are named.
_NAMED = 10


class RetrievalReport:
    """Counts what was retrieved, for one summary a run.

    Retrieval runs in the loader's processes: give `add` the ``retrievals`` of every batch.
    """

    def __init__(self) -> None:
        self.texts = self.signs = self.kept = self.unlisted = 0
        self.matches: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()

    def add(self, retrievals: Iterable[Retrieval]) -> None:
        for retrieval in retrievals:
            self.texts += 1
            self.unlisted += not retrieval.listed
            self.kept += len(retrieval.keywords)
            left = [why for _, why in retrieval.dropped if why != STOP_WORD]
            self.signs += len(retrieval.keywords) + len(left)
            self.matches.update(keyword.match for keyword in retrieval.keywords)
            self.missing.update(word.lower() for word in retrieval.missing)

    def summary(self) -> str:
        """One line on the words and how they were found, one on the most frequent misses."""
        wanted = self.signs + self.missing.total()
        share = self.signs / wanted if wanted else 0
        ways = ", ".join(f"{way} {count:,}" for way, count in self.matches.most_common())
        lines = [
            f"retrieval: {self.texts:,} texts, {wanted:,} words looked for, {share:.1%} of them "
            f"found, {self.kept:,} signs in the prompts" + (f" ({ways})" if ways else "")
        ]
        if self.unlisted:
            lines.append(f"no keywords chosen beforehand: {self.unlisted:,} texts")
        if self.missing:
            named = ", ".join(f"{word} {n}" for word, n in self.missing.most_common(_NAMED))
            lines.append(f"most frequent words without a sign: {named}")
        return "\n".join(lines)

    def log(self) -> None:
        if self.texts:
            log.info("%s", self.summary())
