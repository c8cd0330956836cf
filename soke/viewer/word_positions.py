"""Find retrieved and missing words in a text."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Scripts without spaces between words: a word may start anywhere.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ud7ff\uf900-\ufaff]")


def marked(text: str, keywords: Sequence[str], missing: Sequence[str]) -> list[tuple[str, str]]:
    """Split a text into spans ``(letters, kind)``; joined, the letters are the text again.

    ``kind`` is "retrieved" or "missing" for a whole word of ``keywords`` or ``missing`` in any
    case, else "". If words overlap, the longer one wins. A base form that does not occur literally
    in the text gets no span.
    """
    kinds = {word.casefold(): "missing" for word in missing if word}
    kinds |= {word.casefold(): "retrieved" for word in keywords if word}
    if not kinds:
        return [(text, "")] if text else []
    longest_first = sorted({*keywords, *missing} - {""}, key=lambda word: (-len(word), word))
    pattern = re.compile("|".join(map(_whole_word, longest_first)), re.IGNORECASE)
    spans = []
    end = 0
    for match in pattern.finditer(text):
        kind = kinds.get(match[0].casefold())
        if kind is None:  # equal for the regular expression but not after casefold()
            continue
        spans += [(text[end : match.start()], ""), (match[0], kind)]
        end = match.end()
    return [span for span in [*spans, (text[end:], "")] if span[0]]


def _whole_word(word: str) -> str:
    before = "" if _UNSPACED.match(word[0]) else r"(?<!\w)"
    after = "" if _UNSPACED.match(word[-1]) else r"(?!\w)"
    return before + re.escape(word) + after
