from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soke.retrieval import spell
from soke.retrieval.language import chinese_words, whole_numbers
from soke.retrieval.word_parts import split_compound

LINKS = ("", "s", "es", "n", "en", "er")


def test_spell_prefers_long_entries():
    assert spell("zhang", {"z", "h", "zh", "a", "ng", "n", "g"}) == ["zh", "a", "ng"]
    assert spell("ab", {"a"}) is None and spell("", {"a"}) == []


def compounds(entries, links, longest):
    """All words of two or three entries with links between them, and their parts."""
    found = {}
    for count in (2, 3):
        for parts in product(entries, repeat=count):
            for between in product(links, repeat=count - 1):
                word = parts[0] + "".join(a + b for a, b in zip(between, parts[1:]))
                if len(word) <= longest:
                    found.setdefault(word, []).append(list(parts))
    return found


@given(st.sets(st.text("aens", min_size=1, max_size=5), min_size=1, max_size=4))
def test_compounds_are_the_words_that_can_be_built(entries):
    usable = {entry for entry in entries if len(entry) >= 3}
    built = compounds(usable, LINKS, 14)

    def find(part):
        return part if part in entries else None

    for word, ways in built.items():
        parts = split_compound(word, LINKS, find)
        assert parts is not None and usable.issuperset(parts) and len(parts) >= 2
        if len(parts) <= 3:
            assert parts in ways
    for word in ("aaaaaa", "ensens", "sss", "nesanes", *usable):
        if split_compound(word, LINKS, find) is not None:
            assert word in built or len(word) >= 12  # of four parts or more


def test_a_compound_takes_the_longest_part_that_leads_on():
    entries = {"stau", "staub", "becken", "ecken", "fall", "all", "abfall", "eimer", "bei"}

    def find(part):
        return part if part in entries else None

    assert split_compound("staubecken", LINKS, find) == ["staub", "ecken"]
    assert split_compound("staubeckenfall", LINKS, find) == ["staub", "ecken", "fall"]
    assert split_compound("staubbecken", LINKS, find) == ["staub", "becken"]
    assert split_compound("abfalleimer", LINKS, find) == ["abfall", "eimer"]
    assert split_compound("abfallseimer", LINKS, find) == ["abfall", "eimer"]
    assert split_compound("staubhut", LINKS, find) is None  # all of it has to be covered
    assert split_compound("staub", LINKS, find) is None  # one part is no compound
    assert split_compound("staub" * 20, LINKS, find) is None  # too long for a word


def numeral_value(text):
    """Chinese numerals read by the rules of the positional system."""
    digits = {c: i for i, c in enumerate("零一二三四五六七八九")}
    units = {"十": 10, "百": 100, "千": 1000}
    for name, size in (("亿", 10**8), ("万", 10**4)):
        if name in text:
            head, tail = text.split(name, 1)
            return numeral_value(head) * size + (numeral_value(tail) if tail else 0)
    total, digit = 0, None
    for character in text:
        if character in units:
            total += (1 if digit is None else digit) * units[character]
            digit = None
        else:
            digit = digits[character]
    return total + (digit or 0)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "零"),
        (10, "十"),
        (12, "十二"),
        (20, "二十"),
        (105, "一百零五"),
        (110, "一百一十"),
        (2024, "二千零二十四"),
        (10_010, "一万零一十"),
        (120_000, "十二万"),
    ],
)
def test_chinese_numerals(number, words):
    assert chinese_words(number) == words


@given(st.integers(0, 10**9 - 1))
def test_chinese_numerals_say_their_number(number):
    words = chinese_words(number)
    assert numeral_value(words) == number
    assert "零零" not in words and (number == 0 or not words.endswith("零"))


@pytest.mark.parametrize(
    ("written", "thousands", "expected"),
    [
        ("12", ",", ["12"]),
        ("1,500", ",", ["1500"]),
        ("1.500", ".", ["1500"]),
        ("1,500", ".", ["1", "500"]),
        ("12.5", ",", ["12", "5"]),
        ("26.7", ".", ["26", "7"]),
        ("1,000,000", ",", ["1000000"]),
        ("1,50", ",", ["1", "50"]),
        ("1.000,5", ".", ["1", "000", "5"]),
    ],
)
def test_whole_numbers(written, thousands, expected):
    assert whole_numbers(written, thousands) == expected
