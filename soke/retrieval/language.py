"""What the search knows of a written language: one row each, and a plain row for any other.

Numbers written as words, base forms of words (word lists of `simplemma`) and how frequent words are
(word lists of `wordfreq`). The lists are part of those packages; nothing is downloaded. They take a
second to read, so they are imported where they are needed.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

from soke.retrieval.words import APOSTROPHES, Word, cut, fold, is_spaceless, join_words

#: A longer word has no base form, and is neither spelled nor taken apart.
LONGEST_WORD = 64
#: Shorter base forms are not looked up: that of "an" is "a", which may be the letter.
_SHORTEST_LEMMA = 2
#: Zipf frequency of a word that no list has: one in 10^9 words or fewer.
UNKNOWN = 0.0
#: Difference in Zipf frequency (powers of ten) up to which an entry may be of the rarer language.
MARGIN = math.log10(3)
#: How the Unicode names of Chinese characters begin.
_HAN = "CJK"
#: What stands before n't: "won't" is will not.
_CONTRACTED = {"can": "can", "won": "will", "shan": "shall", "ain": "be"}
_CHINESE_DIGITS = "零一二三四五六七八九"


@dataclass(frozen=True)
class Language:
    """A row.

    Args:
        code: ISO code, as in ``CORPORA``.
        script: how the Unicode names of its letters begin; "" for any.
        stop_words: folded words that call for no sign.
        has_lemmas: whether `simplemma` knows the language.
        nouns_are_capitalised: the lemma of a word is then also looked up as that of a noun, since
            many texts are in lower case ("wetter" is the noun Wetter and a form of wettern).
        spellings: letters and what is written where a keyboard lacks them.
        links: letters between the words of a compound; empty if there are no compounds.
        number_words: words of a whole number; None if only the digits are looked up.
        thousands: the mark between thousands.
        clitics: what follows an apostrophe: the word that it stands for ("" if it is dropped).
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
        """The words of a clean text, with contractions taken apart: "don't" is do, not."""
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
        return (
            key
            if key.isascii()
            else key.translate({ord(letter): other for letter, other in self.spellings.items()})
        )

    def allows(self, words: Sequence[Word]) -> bool:
        """Whether an entry may be of this language by its letters; one of digits always may.

        A Chinese entry has a Chinese character, and may have other letters beside it.
        """
        letters = [letter for word in words for letter in word.key if letter.isalpha()]
        fits = [unicodedata.name(letter, "").startswith(self.script) for letter in letters]
        return not letters or (any if self.script == _HAN else all)(fits)

    def lemmas(self, text: str) -> tuple[str, ...]:
        """Possible base forms of a word as it stands in a text, likeliest first.

        Where nouns are capitalised, a word in lower case may still be a noun; and letters may stand
        for another (strassen is straßen in Switzerland, and otherwise a form of Strass).
        """
        key = fold(text)
        if not self.has_lemmas or not key.isalpha() or len(key) > LONGEST_WORD:
            return ()
        spelled = [
            key.replace(letters, letter)
            for letter, letters in self.spellings.items()
            if letters in key
        ]
        forms = [text, key, *spelled]
        if self.nouns_are_capitalised:
            forms += [form.capitalize() for form in (key, *spelled)]
        found = dict.fromkeys(_lemma(form, self.code) for form in forms)
        return tuple(base for base in found if len(base) >= _SHORTEST_LEMMA)

    def may_be_compound(self, key: str) -> bool:
        """Whether a word may be taken apart.

        Adverbs, verbs and adjectives that the word list knows may not: "vielleicht" is neither viel
        nor leicht. Nouns and words that are not in the list may.
        """
        from simplemma import is_known, lemmatize

        if not self.links:
            return False
        if not self.has_lemmas or not is_known(key, lang=self.code):
            return True
        return lemmatize(key, lang=self.code)[:1].isupper()


@lru_cache(maxsize=1 << 16)
def _lemma(word: str, language: str) -> str:
    """The folded base form of a word; a word that the list does not know stays as it is."""
    from simplemma import lemmatize

    return fold(lemmatize(word, lang=language))


def library_words(number: int, language: str) -> str:
    """The words of a number by `num2words`, which has to know ``language``."""
    from num2words import num2words

    return num2words(number, lang=language)


def chinese_words(number: int) -> str:
    """Chinese numerals: 12 is 十二, 105 一百零五, 20000 二万."""
    if number < 10:
        return _CHINESE_DIGITS[number]
    units = ((10**8, "亿"), (10**4, "万"), (1000, "千"), (100, "百"), (10, "十"))
    size, name = next(unit for unit in units if number >= unit[0])
    count, rest = divmod(number, size)
    head = "" if (count, size) == (1, 10) else chinese_words(count)
    if not rest:
        return head + name
    zero = "零" if rest < size // 10 else ""
    # Inside a larger number ten is 一十: 110 is 一百一十.
    ten = "一" if 10 <= rest < 20 and size > 10 else ""
    return head + name + zero + ten + chinese_words(rest)


def whole_numbers(written: str, thousands: str) -> list[str]:
    """The whole numbers that a number of a text stands for, as digits.

    Groups of three digits behind the language's mark of thousands are one number (1,500). Anything
    else with a point or comma is cut there (12.5, 26.7.), since signs for fractions and dates
    differ from language to language.
    """
    groups = written.split(thousands)
    grouped = len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
    if len(groups) > 1 and grouped and "".join(groups).isdecimal():
        return ["".join(groups)]
    return written.replace(",", ".").split(".")


@lru_cache(maxsize=8)
def _frequencies(language: str) -> Mapping[str, float]:
    from wordfreq import available_languages, get_frequency_dict

    # wordfreq itself would take the list of a related language.
    return get_frequency_dict(language) if language in available_languages("best") else {}


def zipf(words: Sequence[str], language: str) -> float:
    """Zipf frequency (log10 of occurrences in 10^9 words) of the rarest word; 0 if it is unknown.

    ``words`` are folded; characters of Chinese and the like are looked up as the word they make.
    """
    known = _frequencies(language)
    if all(map(is_spaceless, words)):
        words = [join_words(words)]
    # The lists were made with str.casefold: they have "strasse".
    values = [known.get(word.casefold(), 0.0) for word in words]
    return min((math.log10(value) + 9 if value > 1e-9 else UNKNOWN for value in values), default=0)


def entry_languages(words: Sequence[Word], shared: Sequence[Language]) -> list[str]:
    """Codes of those of the ``shared`` languages that an entry, cut into words, may be of.

    The published ``word2code.json`` holds Chinese, English and German entries in one file and does
    not say which is which. The rule:

    1. Letters: an entry with Chinese characters is Chinese, one without is not; English and German
       entries have Latin letters.
    2. Of the languages that remain, the one in which the entry is most frequent has it, by general
       word lists, and so does each other in which it is at most three times rarer (`MARGIN`).
       "Regen" and "Haus" are German, "house" and "see" English; "Hand", "Wind" and "Name" may be
       both.
    3. An entry that no list has (a name, an abbreviation) may be of any of them, and any entry may
       be of a language without a list.

    Its limits: of words that both languages use ("Kind", "Bad", "Art") the sign may be the other
    language's, and a word that is much more frequent in the other language (German "See" and "Not",
    English "die") is not found in the rarer one. One dictionary per language, named in ``CORPORA``,
    has neither fault.
    """
    possible = [language for language in shared if language.allows(words)]
    if len(possible) < 2:
        return [language.code for language in possible]
    keys = [word.key for word in words]
    frequencies = {row.code: zipf(keys, row.code) for row in possible if _frequencies(row.code)}
    best = max(frequencies.values(), default=UNKNOWN)
    if best == UNKNOWN:
        return [row.code for row in possible]
    return [
        row.code
        for row in possible
        if row.code not in frequencies or UNKNOWN != frequencies[row.code] >= best - MARGIN
    ]


def _folded(text: str) -> frozenset[str]:
    return frozenset(fold(word) for word in text.split())


# Stop words are those that sign languages as a rule leave out: articles, forms of to be and of
# auxiliaries, most prepositions and conjunctions. Pronouns, negation and question words are signed
# and are no stop words.
_ENGLISH = _folded("""
    a an the am is are was were be been being do does did doing have has had having
    will would shall should of to in on at by for from with into onto upon off as than that
    and or so if it its there this these those just very also too
""")
_GERMAN = _folded("""
    der die das den dem des ein eine einen einem einer eines
    bin bist ist sind seid war warst waren wart sei seien wäre wären gewesen sein
    habe hast hat haben habt hatte hatten hätte hätten gehabt
    werde wirst wird werden werdet wurde wurden würde würden worden
    in im ins an am ans auf aufs aus bei beim mit nach von vom zu zum zur zur für durch um über
    und oder aber denn dass daß als wie so es sich da dann noch auch nun mal sehr
""")
_CHINESE = _folded("""
    的 了 着 过 地 得 是 在 和 与 及 或 吗 呢 吧 啊 呀 嘛 也 就 都 把 被 给 对 从 到 于 之 以 而
    因为 所以 但是 如果 虽然 然后 而且 这 那 这个 那个 个 位 只 条 本
""")

LANGUAGES: dict[str, Language] = {
    "en": Language(
        "en",
        "LATIN",
        _ENGLISH,
        has_lemmas=True,
        number_words=partial(library_words, language="en"),
        clitics={"t": "not", **dict.fromkeys(("s", "re", "ll", "ve", "d", "m"), "")},
    ),
    "de": Language(
        "de",
        "LATIN",
        _GERMAN,
        has_lemmas=True,
        nouns_are_capitalised=True,
        spellings={"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"},
        links=("", "s", "es", "n", "en", "er", "e", "ens"),
        number_words=partial(library_words, language="de"),
        thousands=".",
    ),
    "zh": Language("zh", _HAN, _CHINESE, number_words=chinese_words),
}


def language_named(code: str) -> Language:
    """The row of a language; one without a row gets plain matching of whole words."""
    return LANGUAGES.get(code) or Language(code)
