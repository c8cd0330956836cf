"""Cutting a word into dictionary entries."""

from __future__ import annotations

from collections.abc import Container


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
