"""Which words are spelled, and in which split each of them is."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from wordfreq import top_n_list

from prepare.fingerspelling.languages import Language

#: How far down the frequency list words are looked for.
LIST_DEPTH = 30_000


@dataclass(frozen=True)
class Word:
    """A written word, the units it is spelled with, and its rank among the suitable words."""

    text: str
    units: tuple[str, ...]
    rank: int


def seeded(*key: object) -> np.random.Generator:
    """A generator that depends on ``key`` alone, not on what was drawn before."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def suitable_words(language: Language, lengths: tuple[int, int]) -> Iterator[Word]:
    """Words of ``lengths`` units (both included), most frequent first.

    A word that is spelled like one before it, or that differs in case or in ß/ss alone, is left
    out, so that no two splits can share it.
    """
    alphabet = set(language.alphabet)
    known = set()
    rank = 0
    for listed in top_n_list(language.word_list, LIST_DEPTH):
        if listed in language.left_out or not language.is_word(listed):
            continue
        text = language.spelling.get(listed, listed)
        units = language.spell(text)
        if not lengths[0] <= len(units) <= lengths[1] or not alphabet.issuperset(units):
            continue
        forms = {units, text.casefold()}
        if forms & known:
            continue
        known |= forms
        yield Word(text, units, rank)
        rank += 1


def split_words(
    words: Iterator[Word], language: Language, count: int, held_out: int, seed: int
) -> dict[str, list[Word]]:
    """Divide the first ``count`` words into splits; ``held_out`` words go to val and to test each.

    Training is then filled up with rarer words until every letter of the alphabet occurs in at
    least one in a hundred words. Raises ``ValueError`` when there are too few words for that.
    """
    if count <= 2 * held_out:
        raise ValueError(
            f"{count} words of {language.corpus} leave none for training: {held_out} are held out "
            "for val and as many for test. Ask for more --words or fewer --held-out"
        )
    frequent = list(islice(words, count))
    if len(frequent) < count:
        raise ValueError(
            f"only {len(frequent)} words of {language.corpus} suit, {count} were asked for: lower "
            "--words or widen --lengths"
        )
    order = seeded(seed, language.corpus, "split").permutation(count)
    chosen = [frequent[i] for i in order]
    splits = {
        "train": chosen[2 * held_out :],
        "val": chosen[:held_out],
        "test": chosen[held_out : 2 * held_out],
    }
    splits["train"] += _rare_letters(splits["train"], words, language, count // 100)
    return {split: sorted(chosen, key=lambda word: word.rank) for split, chosen in splits.items()}


def _rare_letters(
    train: Sequence[Word], reserve: Iterator[Word], language: Language, wanted: int
) -> list[Word]:
    """The most frequent words of ``reserve`` that give every letter ``wanted`` training words."""
    seen = Counter(unit for word in train for unit in set(word.units))
    extra = []
    while short := {unit for unit in language.alphabet if seen[unit] < max(wanted, 1)}:
        word = next((word for word in reserve if short.intersection(word.units)), None)
        if word is None:
            break
        extra.append(word)
        seen.update(set(word.units))
    missing = [unit for unit in language.alphabet if not seen[unit]]
    if missing:
        raise ValueError(
            f"no suitable word of {language.corpus} has the letters {missing}: widen --lengths"
        )
    return extra
