import json

import numpy as np
import pytest

from soke.parts import PartTable
from soke.retrieval import KeywordSearch, SignDictionary, spell
from tests.helpers import THREE_PARTS

PARTS = PartTable.from_rows(THREE_PARTS)


def dictionary(*words, steps=3):
    return SignDictionary({word: np.full((steps, 3), i) for i, word in enumerate(words)})


def words(keywords):
    return [keyword.word for keyword in keywords]


def test_whole_words_in_text_order_and_no_other_language():
    search = KeywordSearch(
        {"how2sign": dictionary("elf", "fox", "see"), "phoenix": dictionary("see", "fuchs")}
    )
    assert words(search("I, yourself, see the FOX. seen", "how2sign")) == ["see", "fox"]
    assert words(search("Der Fuchs am See", "phoenix")) == ["fuchs", "see"]
    assert words(search("see", "csl")) == []


def test_number_of_signs_and_steps():
    search = KeywordSearch({"c": dictionary(*"abcde", steps=30)}, max_keywords=3, max_tokens=10)
    found = search("a b c d", "c")
    assert words(found) == ["a", "b", "c"] and found[0].tokens.shape == (10, 3)
    assert KeywordSearch({"c": dictionary("a")}, max_keywords=0)("a", "c") == []


def test_unknown_words_are_spelled_only_by_the_switch_and_only_whole():
    letters = {"c": dictionary("h", "i", "ch", "ß")}
    assert words(KeywordSearch(letters)("hi", "c")) == []
    search = KeywordSearch(letters, max_keywords=9, spell_unknown=True)
    assert words(search("hi", "c")) == ["h-i"] and search("hi", "c")[0].tokens.shape == (6, 3)
    assert words(search("chi ß", "c")) == ["ch-i", "ß"]
    assert words(search("hix", "c")) == []


def test_spell_prefers_long_entries():
    assert spell("zhang", {"z", "h", "zh", "a", "ng", "n", "g"}) == ["zh", "a", "ng"]
    assert spell("ab", {"a"}) is None and spell("", {"a"}) == []


def test_thinning_is_even():
    entry = np.arange(21)[:, None].repeat(3, axis=1)
    thinned = SignDictionary({"w": entry}).lookup("w", 5)
    assert thinned[:, 0].tolist() == [0, 5, 10, 15, 20]


def test_file_round_trip(tmp_path):
    path = tmp_path / "word2code.json"
    entries = {"größe": np.array([[1, 2, 3], [4, 5, 6]]), "好": np.array([[0, 0, 0]])}
    SignDictionary(entries).save(path, PARTS)
    assert json.loads(path.read_text())["größe"] == {
        "body": [1, 4],
        "lhand": [2, 5],
        "rhand": [3, 6],
    }
    loaded = SignDictionary.load(path, PARTS)
    assert len(loaded) == 2 and np.array_equal(loaded.entries["größe"], entries["größe"])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"body": [1], "lhand": [1]}, r"'hut' has no tokens for the parts \['rhand'\]"),
        ({"body": [1], "lhand": [1], "rhand": [1, 2]}, "'hut' needs lists of one length"),
        ({"body": [], "lhand": [], "rhand": []}, "'hut' needs lists of one length above 0"),
        ({"body": [16], "lhand": [1], "rhand": [1]}, r"'hut' has codes \[16\] of part 'body'"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, entry, message):
    path = tmp_path / "word2code.json"
    path.write_text(json.dumps({"hut": entry}))
    with pytest.raises(ValueError, match=message):
        SignDictionary.load(path, PARTS)


def test_a_missing_dictionary_says_how_to_make_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="get_motion_code"):
        SignDictionary.load(tmp_path / "none.json", PARTS)
