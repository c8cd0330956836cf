"""Cutting a word into dictionary entries: letters of a spelled word, parts of a compound."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

#: A longer word is neither spelled nor taken apart.
LONGEST_WORD = 64
#: A part of a compound has at least so many letters.
SHORTEST_PART = 3


def spell(word: str, entries: Container[str], longest: int = 3) -> list[str] | None:
    """Cut ``word`` into entries, longest first; None where some letter has no entry.

    With the entries c, h, ch: "chic" is ["ch", ...] and not ["c", "h", ...].
    """
    found, at = [], 0
    while at < len(word):
        for size in range(min(longest, len(word) - at), 0, -1):
            if word[at : at + size] in entries:
                found.append(word[at : at + size])
                at += size
                break
        else:
            return None
    return found


def split_compound(
    word: str,
    links: Sequence[str],
    find: Callable[[str], str | None],
    find_last: Callable[[str], str | None] | None = None,
) -> list[str] | None:
    """Cut ``word`` into two or more entries of three letters or more, joined by ``links``.

    All of it has to be covered. The longest first part is tried first, and shorter ones where the
    rest cannot be covered then. ``find`` gives the entry of a part, or None; the last part may be
    inflected and is looked for with ``find_last``. None where the word cannot be cut.
    """
    if len(word) > LONGEST_WORD:
        return None
    hopeless: set[int] = set()

    def rest(at: int) -> list[str] | None:
        if at in hopeless:
            return None
        last = (find_last or find)(word[at:]) if at and len(word) - at >= SHORTEST_PART else None
        if last is not None:
            return [last]
        for end in range(len(word) - SHORTEST_PART, at + SHORTEST_PART - 1, -1):
            part = find(word[at:end])
            if part is None:
                continue
            for link in links:
                if word.startswith(link, end):
                    following = rest(end + len(link))
                    if following is not None:
                        return [part, *following]
        hopeless.add(at)
        return None

    return rest(0)
