"""What the search knows of a written language: one row each, and a plain row for any other.

Stop words are those that sign languages as a rule leave out: articles, forms of to be and of
auxiliaries, most prepositions and conjunctions. Pronouns, negation and question words are signed
and are no stop words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from soke.retrieval.numbers import chinese_words, library_words
from soke.retrieval.words import APOSTROPHES, Word, cut, fold


@dataclass(frozen=True)
class Language:
    """A row.

    Args:
        code: ISO code, as in ``CORPORA``.
        script: of its words, as the Unicode names of the letters begin; "" for any.
        stop_words: folded.
        has_lemmas: whether `simplemma` knows the language.
        nouns_are_capitalised: a lemma is then also looked for as that of a noun, since many texts
            are in lower case ("wetter" is the noun Wetter and a form of wettern).
        spellings: letters and what is written in their place where they are not at hand.
        links: letters between the words of a compound; empty where there are no compounds.
        number_words: words of a whole number; None where only the digits are looked up.
        thousands: the mark between thousands.
        clitics: what follows an apostrophe: the words that it stands for (none: it is dropped).
    """

    code: str
    script: str = ""
    stop_words: frozenset[str] = frozenset()
    has_lemmas: bool = False
    nouns_are_capitalised: bool = False
    spellings: Mapping[str, str] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    number_words: Callable[[int], str] | None = None
    thousands: str = ","
    clitics: Mapping[str, str] = field(default_factory=dict)

    def words(self, text: str) -> list[Word]:
        """The words of a text, with contractions taken apart: "don't" is do, not."""
        words = cut(text)
        if not self.clitics:
            return words
        found: list[Word] = []
        for word in words:
            apart = word.gap is not None and word.gap.strip() in tuple(APOSTROPHES)
            if not apart or word.key not in self.clitics:
                found.append(word)
            elif replacement := self.clitics[word.key]:
                before = found[-1]
                whole = f"{before.text}'{word.text}"
                base = _CONTRACTED.get(before.key, before.key.removesuffix("n"))
                found[-1] = before._replace(text=whole, key=base)
                found.append(Word(whole, replacement, " "))
        return found

    def loose(self, key: str) -> str:
        """A key without the letters that have another spelling: größe is groesse."""
        return key if key.isascii() else key.translate(str.maketrans(dict(self.spellings)))

    def allows(self, words: list[Word]) -> bool:
        """Whether an entry may be of this language by its letters; one of digits always may.

        A Chinese entry has a Chinese character, and may have other letters beside it.
        """
        letters = [letter for word in words for letter in word.key if letter.isalpha()]
        fits = [unicodedata.name(letter, "").startswith(self.script) for letter in letters]
        return not letters or (any if self.script == _HAN else all)(fits)


_HAN = "CJK"
#: What stands before n't: "won't" is will not.
_CONTRACTED = {"can": "can", "won": "will", "shan": "shall", "ain": "be"}


def _words(text: str) -> frozenset[str]:
    return frozenset(fold(word) for word in text.split())


_ENGLISH = _words("""
    a an the am is are was were be been being do does did doing have has had having
    will would shall should of to in on at by for from with into onto upon off as than that
    and or so if it its there this these those just very also too
""")
_GERMAN = _words("""
    der die das den dem des ein eine einen einem einer eines
    bin bist ist sind seid war warst waren wart sei seien wäre wären gewesen sein
    habe hast hat haben habt hatte hatten hätte hätten gehabt
    werde wirst wird werden werdet wurde wurden würde würden worden
    in im ins an am ans auf aufs aus bei beim mit nach von vom zu zum zur zur für durch um über
    und oder aber denn dass daß als wie so es sich da dann noch auch nun mal sehr
""")
_CHINESE = _words("""
    的 了 着 过 地 得 是 在 和 与 及 或 吗 呢 吧 啊 呀 嘛 也 就 都 把 被 给 对 从 到 于 之 以 而
    因为 所以 但是 如果 虽然 然后 而且 这 那 这个 那个 个 位 只 条 本
""")

LANGUAGES: dict[str, Language] = {
    row.code: row
    for row in (
        Language(
            "en", "LATIN", _ENGLISH, has_lemmas=True,
            number_words=partial(library_words, language="en"),
            clitics={"t": "not", "s": "", "re": "", "ll": "", "ve": "", "d": "", "m": ""},
        ),
        Language(
            "de", "LATIN", _GERMAN, has_lemmas=True, nouns_are_capitalised=True,
            spellings={"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"},
            links=("", "s", "es", "n", "en", "er", "e", "ens"),
            number_words=partial(library_words, language="de"), thousands=".",
        ),
        Language("zh", _HAN, _CHINESE, number_words=chinese_words),
    )
}  # fmt: skip


def language_named(code: str) -> Language:
    """The row of a language; one without a row gets plain matching of whole words."""
    return LANGUAGES.get(code) or Language(code)
