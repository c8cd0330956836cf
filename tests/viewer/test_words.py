from hypothesis import given
from hypothesis import strategies as st

from soke.viewer.word_positions import marked


def test_words_are_found_whole_and_in_any_case():
    spans = marked("Good goods, good!", ["good"], [])
    assert spans == [("Good", "retrieved"), (" goods, ", ""), ("good", "retrieved"), ("!", "")]


def test_words_of_scripts_without_spaces_are_found_inside():
    spans = marked("今天天气很好", ["天气"], ["今天"])
    assert spans == [("今天", "missing"), ("天气", "retrieved"), ("很好", "")]


def test_the_longer_word_counts():
    spans = marked("New York is new", ["new", "new york"], [])
    assert spans == [("New York", "retrieved"), (" is ", ""), ("new", "retrieved")]


def test_a_word_in_both_lists_was_retrieved():
    assert marked("rain", ["rain"], ["rain"]) == [("rain", "retrieved")]


def test_letters_with_a_meaning_in_patterns_stand_for_themselves():
    assert marked("a.b (c) axb", ["a.b", "(c)"], [""]) == [
        ("a.b", "retrieved"),
        (" ", ""),
        ("(c)", "retrieved"),
        (" axb", ""),
    ]


def test_nothing_to_mark():
    assert marked("", ["a"], ["b"]) == []
    assert marked("plain", [], []) == [("plain", "")]


@given(st.text(), st.lists(st.text(max_size=3)), st.lists(st.text(max_size=3)))
def test_spans_joined_are_the_text(text, keywords, missing):
    spans = marked(text, keywords, missing)
    assert "".join(letters for letters, _ in spans) == text
    assert all(letters for letters, _ in spans)
