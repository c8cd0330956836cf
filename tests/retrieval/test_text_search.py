import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soke.retrieval import KeywordSearch, SignDictionary
from tests.retrieval.dictionaries import dictionary, found, search, ways


def test_whole_words_in_text_order_and_no_other_corpus():
    both = KeywordSearch(
        {"how2sign": dictionary("elf", "fox", "see"), "phoenix": dictionary("see", "fuchs")}
    )
    assert found(both, "I, yourself, see the FOX. seen", "how2sign") == ["see", "fox"]
    assert found(both, "Der Fuchs am See", "phoenix") == ["fuchs", "see"]
    assert found(both, "see", "csl") == []


@pytest.mark.parametrize("language", ["en", "de", "zh", "it", ""])
def test_no_entry_is_found_inside_a_word(language):
    signs = search(language, "elf", "own", "art", "hat", "tim")
    assert found(signs, "yourself shelf itself known party chat sentiment") == []
    assert found(signs, "an ELF, naturally") == ["elf"]


def test_number_of_signs_and_steps():
    signs = KeywordSearch({"c": dictionary(*"abcde", steps=30)}, max_keywords=3, max_tokens=10)
    result = signs("a b c d", "c")
    assert [keyword.word for keyword in result.keywords] == ["a", "b", "c"]
    assert result.keywords[0].tokens.shape == (10, 3)
    assert result.dropped == (("d", "more signs than are kept"),)
    none = KeywordSearch({"c": dictionary("a")}, max_keywords=0)("a", "c")
    assert none.keywords == () and none.missing == ()


def test_several_words_are_one_entry_longest_first():
    signs = search("en", "ice", "cream", "ice cream", "ice cream man", "good bye", max_keywords=9)
    assert found(signs, "an ice-cream") == ["ice cream"]
    assert ways(signs, "two ice creams") == {"ice cream": "multi-word"}
    assert found(signs, "the ice cream man, ice") == ["ice cream man", "ice"]
    assert found(signs, "good. bye") == []  # not across the end of a sentence
    assert found(signs, "ice. cream") == ["ice", "cream"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("children went running", {"child": "lemma", "go": "lemma", "run": "lemma"}),
        ("CHILD", {"child": "exact"}),
        ("the mice", {"mouse": "lemma"}),
        ("I don't", {"not": "exact"}),
        ("we can't go", {"not": "exact", "go": "exact"}),
        ("it's John's mouse", {"mouse": "exact"}),
    ],
)
def test_english_base_forms(text, expected):
    assert ways(search("en", "child", "go", "run", "mouse", "not", "s", "t"), text) == expected


def test_a_base_form_of_one_letter_is_not_looked_for():
    assert found(search("en", "a", "go", "fox"), "an fox") == ["fox"]  # not the letter a


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("die Häuser", {"haus": "lemma"}),
        ("häuser und wolken", {"haus": "lemma", "wolke": "lemma"}),  # nouns in lower case
        ("es regnete", {"regnen": "lemma"}),
        ("die Strassen", {"straße": "lemma"}),
        ("STRASSE", {"straße": "other spelling"}),
        ("schöne Gruesse", {"schön": "lemma", "grüße": "other spelling"}),
        ("Größe groesse", {"groesse": "other spelling"}),
    ],
)
def test_german_base_forms_and_spellings(text, expected):
    words = "haus wolke regnen straße schön grüße groesse".split()
    assert ways(search("de", *words), text) == expected


def test_a_spelling_of_its_own_comes_first():
    signs = search("de", "masse", "maße")
    assert found(signs, "Maße") == ["maße"] and found(signs, "Masse") == ["masse"]
    assert found(search("de", "maße"), "Masse") == ["maße"]  # Swiss spelling


def test_german_compounds():
    signs = search("de", *"gewitter wolke regen schauer sonntag nachmittag viel leicht".split())
    assert ways(signs, "Gewitterwolken") == {"gewitter-wolke": "compound"}
    assert ways(signs, "sonntagsnachmittag") == {"sonntag-nachmittag": "compound"}
    tokens = signs("regenschauer", "c").keywords[0].tokens
    assert tokens[:, 0].tolist() == [2, 2, 2, 3, 3, 3]
    assert signs("regenmantel", "c").missing == ("regenmantel",)  # mantel has no sign
    assert signs("vielleicht", "c").missing == ("vielleicht",)  # an adverb, not viel + leicht
    assert found(search("en", "sun", "flower"), "sunflower") == []


def test_chinese_by_longest_match():
    signs = search("zh", *"天 天气 今天 很好 天气预报 卡拉OK 二".split(), max_keywords=9)
    assert found(signs, "今天天气很好") == ["今天", "天气", "很好"]
    assert found(signs, "今天 天气预报!") == ["今天", "天气预报"]
    assert found(signs, "天,气") == ["天"] and signs("天,气", "c").missing == ("气",)
    assert ways(signs, "我去卡拉ok，ok") == {"卡拉OK": "exact"}
    assert signs("我去卡拉ok，ok", "c").missing == ("我去", "ok")
    assert signs("因为他的朋友来了", "c").missing == ("他", "朋友来")  # without stop words


@pytest.mark.parametrize(
    ("language", "words", "text", "expected"),
    [
        ("en", ["12", "twelve"], "12 foxes", ["12"]),
        ("en", ["twelve"], "12 foxes", ["twelve"]),
        ("en", ["twenty", "one"], "21", ["twenty-one"]),
        ("en", ["one", "hundred", "two"], "102", ["one-hundred-two"]),
        ("en", ["one", "thousand"], "1,000", ["one-thousand"]),
        ("en", ["1", "2"], "12", ["1-2"]),
        ("en", ["two", "one"], "21", ["two-one"]),
        ("en", ["two"], "21", []),
        ("en", ["zero", "seven"], "007", ["zero-zero-seven"]),
        ("de", ["zwölf"], "12 Grad", ["zwölf"]),
        ("de", ["ein", "und", "zwanzig"], "21", ["ein-und-zwanzig"]),
        ("de", ["ein", "und", "zwanzig"], "einundzwanzig", ["ein-und-zwanzig"]),
        ("de", ["tausend", "ein"], "1.000", ["ein-tausend"]),
        ("zh", ["十", "二", "月"], "12月", ["十-二", "月"]),
        ("zh", ["十二", "十"], "12", ["十二"]),
        ("it", ["1", "2"], "12", ["1-2"]),
        ("it", ["dodici"], "12", []),
        ("en", ["1"], "1" * 10_000, []),
    ],
)
def test_numbers(language, words, text, expected):
    assert found(search(language, *words), text) == expected


def test_stop_words_only_where_there_is_nothing_else():
    signs = search("en", "the", "fox", "and", "see")
    result = signs("The fox and the cat", "c")
    assert [keyword.word for keyword in result.keywords] == ["fox"]
    assert result.missing == ("cat",)
    assert result.dropped == (("The", "stop word"), ("and", "stop word"), ("the", "stop word"))
    assert found(signs, "the") == ["the"] and found(signs, "and the") == ["and", "the"]


def test_the_rarest_words_are_kept_in_text_order():
    words = "people umbrella time giraffe see".split()
    signs = search("en", *words, max_keywords=2)
    assert found(signs, "people see the umbrella this time, giraffe") == ["umbrella", "giraffe"]
    counts = {"c": {"umbrella": 90, "giraffe": 80, "time": 1, "see": 2, "people": 50}}
    signs = KeywordSearch({"c": dictionary(*words)}, 2, languages={"c": "en"}, frequencies=counts)
    assert found(signs, "people see the umbrella this time, giraffe") == ["see", "time"]


def test_a_repeated_word_takes_one_place():
    result = search("en", "fox", "see", "run")("foxes see a fox. run, fox", "c")
    assert [keyword.word for keyword in result.keywords] == ["fox", "see", "run"]
    assert result.dropped == (("fox", "repeated"),)


def test_unknown_words_are_spelled_only_by_the_switch_and_only_whole():
    assert found(search("", "h", "i", "ch", "ß"), "hi") == []
    signs = search("", "h", "i", "ch", "ß", max_keywords=9, spell_unknown=True)
    assert found(signs, "hi") == ["h-i"] and signs("hi", "c").keywords[0].tokens.shape == (6, 3)
    assert found(signs, "chi ß") == ["ch-i", "ß"]
    result = signs("hix", "c")
    assert result.keywords == () and result.missing == ("hix",)
    assert found(signs, "hi" * 5000) == []  # a word without end is not spelled


def test_spelled_words_come_after_signs_and_only_content_is_spelled():
    letters = [*"abcdefghijklmnopqrstuvwxyz", "fox", "see", "cat", "house"]
    signs = search("en", *letters, spell_unknown=True)
    assert ways(signs, "the fox Zoe did see") == {
        "fox": "exact",
        "z-o-e": "spelled",
        "see": "exact",
    }
    assert found(signs, "Zoe and the fox see cats") == ["fox", "see", "cat"]
    assert found(signs, "catfish")[0].startswith("c-a-t-f")  # by letters, not with the sign of cat
    assert found(signs, "the") == ["t-h-e"]
    german = search("de", *"abcdefghijklmnopqrstuvwxyz", spell_unknown=True)
    assert found(german, "grüß") == ["g-r-u-e-s-s"]  # letters that it has not


PIECES = ["fox", "ice", "ice cream", "cream", "cream tea", "tea", "b2b", "élan"]
NOISE = ["foxes", "xfox", "icecream", "teas", "unknown", "123", "élans", "😀", "\x00"]


def naive(text, entries):
    """Whole words by plain search: at each word the longest entry, parted by single spaces."""
    words, out, at = text.replace("\x00", "").split(" "), [], 0
    while at < len(words):
        for size in range(len(words) - at, 0, -1):
            if " ".join(words[at : at + size]) in entries:
                out.append(" ".join(words[at : at + size]))
                at += size
                break
        else:
            at += 1
    return list(dict.fromkeys(out))


@given(st.lists(st.sampled_from(PIECES + NOISE), max_size=12), st.sets(st.sampled_from(PIECES)))
@settings(deadline=None)
def test_it_finds_what_a_plain_search_of_whole_words_finds(pieces, entries):
    text = " ".join(piece for piece in pieces if piece.strip("\x00"))
    signs = search("it", *sorted(entries), max_keywords=99)
    # An emoji is no word, so the words at its sides are looked at together but do not join up.
    assert found(signs, text) == naive(text, entries)
    assert found(signs, text.upper()) == naive(text, entries)


SEARCHES = [
    search(
        language,
        *"fox ice天 天气 12 ein und zwanzig a ß straße".split(),
        "ice cream",
        spell_unknown=True,
    )
    for language in ("en", "de", "zh", "")
]


@given(st.text(st.characters(), max_size=80))
@settings(deadline=None, max_examples=200)
def test_no_text_makes_it_fail(text):
    for signs in SEARCHES:
        result = signs(text, "c")
        assert len(result.keywords) <= 3
        for keyword in result.keywords:
            assert keyword.tokens.ndim == 2 and keyword.tokens.shape[1] == 3 and keyword.text
            assert set(keyword.word.split("-")) <= set(signs.dictionaries["c"].entries)


@pytest.mark.parametrize(
    "text", ["", " \n\t", "\x00\x07", "😀🎉", "?!...", "\ud800", "\u200b\ufeff", "_" * 99]
)
def test_a_text_without_words_has_an_empty_result(text):
    for signs in SEARCHES:
        result = signs(text, "c")
        assert result.keywords == () and result.missing == () and result.dropped == ()


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10_000,
        "天" * 10_000,
        "7" * 10_000,
        "fox " * 2500,
        "a天1😀 " * 2000,
        "don't " * 1700,
        "ice-" * 2500,
        "1,1" * 3000,
    ],
)
def test_long_texts(text):
    for signs in SEARCHES:
        result = signs(text, "c")
        assert len(result.keywords) <= 3 and len(result.missing) <= 4


def test_mixed_scripts():
    signs = search("zh", "天气", "fox", "привет")
    assert found(signs, "Привет, fox! 今天的天气 foxes") == ["привет", "fox", "天气"]


def test_settings_that_cannot_be():
    for options in ({"max_keywords": -1}, {"max_tokens": 0}, {"mode": "magic"}):
        with pytest.raises(ValueError, match=r"RETRIEVAL\."):
            KeywordSearch({"c": dictionary("a")}, **options)


def test_it_crosses_to_the_processes_of_a_loader():
    for signs in SEARCHES:
        again = pickle.loads(pickle.dumps(signs))
        text = "fox 21 straße 天气 12"
        assert found(again, text) == found(signs, text)


def test_tokens_are_those_of_the_entry():
    tokens = np.arange(12).reshape(4, 3)
    signs = KeywordSearch({"c": SignDictionary({"fox": tokens})}, languages={"c": "en"})
    (keyword,) = signs("Foxes!", "c").keywords
    assert np.array_equal(keyword.tokens, tokens)
    assert (keyword.word, keyword.text, keyword.match) == ("fox", "Foxes", "lemma")
