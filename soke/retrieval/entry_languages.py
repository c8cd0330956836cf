"""Which language an entry of a shared dictionary is of.

The published ``word2code.json`` holds Chinese, English and German entries in one file and does not
say which is which. The rule:

1. Letters: an entry with Chinese characters is Chinese, one without is not; English and German
   entries have Latin letters.
2. Of the languages that remain, the one in which the entry is most frequent has it, by general word
   lists, and each other in which it is at most three times rarer (`MARGIN`). "Regen" and "Haus" are
   German, "house" and "see" English; "Hand", "Wind" and "Name" may be both.
3. An entry that no list has (a name, an abbreviation) may be of any of them, and any entry of a
   language without a list.

Its limits: of words that both languages use ("Kind", "Bad", "Art") the sign may be the other
language's, and a word that is much more frequent in the other language (German "See" and "Not",
English "die") is not found in the rarer one. A dictionary for each language, named in ``CORPORA``,
has neither fault.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from soke.retrieval.frequency import UNKNOWN, is_listed, zipf
from soke.retrieval.languages import Language
from soke.retrieval.words import Word

#: Difference in Zipf frequency (powers of ten) up to which an entry may be of the rarer language.
MARGIN = math.log10(3)


def entry_languages(words: Sequence[Word], shared: Sequence[Language]) -> list[str]:
    """Codes of those of ``shared`` that an entry, cut into words, may be of."""
    possible = [language for language in shared if language.allows(list(words))]
    if len(possible) < 2:
        return [language.code for language in possible]
    keys = [word.key for word in words]
    frequencies = {row.code: zipf(keys, row.code) for row in possible if is_listed(row.code)}
    best = max(frequencies.values(), default=UNKNOWN)
    if best == UNKNOWN:
        return [row.code for row in possible]
    return [
        row.code for row in possible
        if row.code not in frequencies or UNKNOWN != frequencies[row.code] >= best - MARGIN
    ]  # fmt: skip
