import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soke.retrieval.words import clean, cut, fold, join_words

ANY_TEXT = st.text(st.characters(), max_size=60)  # surrogates and control characters included


def keys(text):
    return [word.key for word in cut(clean(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I, yourself, see the FOX.", ["i", "yourself", "see", "the", "fox"]),
        ("Straße STRAẞE Masse", ["straße", "straße", "masse"]),
        ("e\u0301te\u0301", ["été"]),  # composed
        ("Wet\u00adter\u200b a\x00b\x07", ["wetter", "ab"]),  # soft hyphen, zero width, controls
        ("red\u200bfox a\u2063b c\u2028d e\u2029f g\u2800h", ["red", "fox", *"abcdefgh"]),
        ("여우\u3164개\uffa0말", ["여우", "개", "말"]),  # fillers look like spaces
        ("re\u2060d f\u00ado\ufeffx", ["red", "fox"]),  # these lie within words
        ("ＦＵＬＬ １２", ["full", "12"]),  # full-width forms
        ("ﬁne", ["fine"]),  # a ligature
        ("12.5 1,500 4th 26.7. 3", ["12.5", "1,500", "4th", "26.7", "3"]),
        ("今天12月,卡拉OK", ["今", "天", "12", "月", "卡", "拉", "ok"]),
        ("l'acqua don't a_b x-y", ["l", "acqua", "don", "t", "a", "b", "x", "y"]),
        ("हिन्दी में", ["हिन्दी", "में"]),  # vowel signs do not end a word
        ("❤️ 😀🎉 ... !?", []),
        ("", []),
    ],
)
def test_words_of_a_text(text, expected):
    assert keys(text) == expected


def test_the_gap_says_what_may_be_one_entry():
    gaps = [word.gap for word in cut("ice cream ice-cream don't, good. bye")]
    assert gaps == [None, " ", " ", "-", " ", "'", None, None]


def test_case_is_folded_without_losing_letters():
    assert fold("ẞ") == fold("ß") == "ß" and fold("SS") == "ss"
    assert fold("ΣΊΣΥΦΟΣ") == fold("σίσυφος") and fold("ÄÖÜ") == "äöü"


@given(ANY_TEXT)
def test_any_text_is_cut_into_pieces_of_it(text):
    words = cut(clean(text))
    plain = unicodedata.normalize("NFKC", clean(text))
    at = 0
    for word in words:  # in order, without overlap
        at = plain.index(word.text, at) + len(word.text)
        assert word.text and word.key == fold(word.text)
    rest = plain
    for word in words:
        rest = rest.replace(word.text, " ", 1)
    assert not any(character.isalnum() for character in rest)


@given(ANY_TEXT)
def test_folding_and_cleaning_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    cleaned.encode("utf-8")  # no halves of surrogate pairs
    assert not any(unicodedata.category(character) == "Cc" for character in cleaned)


def test_cleaning_keeps_what_is_written():
    assert clean(" Grüße,\tKöln\r\n今天 👩\u200d🔬 \ufeff") == "Grüße, Köln  今天 👩\u200d🔬"


def test_an_invisible_space_is_a_space():
    assert clean("\u200bred\u200bfox\u2063jumps\u200b") == "red fox jumps"
    assert clean("red\u2028fox\u2029jumps") == "red fox jumps"
    assert clean("re\u2060d\u00ad\ufeff") == "red"


def test_words_are_joined_as_they_are_written():
    assert join_words(["ice", "cream"]) == "ice cream"
    assert join_words(["今", "天"]) == "今天" and join_words(["卡", "拉", "ok"]) == "卡拉ok"
