"""One file with the words of three languages, as published."""

import pytest

from soke.data.corpora import Corpus
from soke.retrieval import KeywordSearch, open_search
from soke.retrieval.language import entry_languages, language_named
from tests.helpers import CORPORA
from tests.retrieval.dictionaries import PARTS, SHARED, dictionary, found

LANGUAGES = {"how2sign": "en", "phoenix": "de", "csl": "zh"}


@pytest.fixture(scope="module")
def shared():
    signs = dictionary(*SHARED)
    return KeywordSearch(
        dict.fromkeys(LANGUAGES, signs),
        99,
        languages=LANGUAGES,
        shared=dict.fromkeys(LANGUAGES, ("de", "en", "zh")),
    )


def test_no_german_word_is_retrieved_for_english_text(shared):
    german = "Morgen Regen Bayern Wetter Bericht Norden Straße groß Haus Fuchs Schnee Wolke"
    assert found(shared, german, "how2sign") == []
    assert shared(german, "how2sign").missing == tuple(german.split())
    assert len(found(shared, german, "phoenix")) == 12


def test_no_english_word_is_retrieved_for_german_text(shared):
    english = "house see you fox rain weather child run good tomorrow"
    assert found(shared, english, "how2sign") == english.split()
    assert found(shared, english, "phoenix") == []
    # The German number eleven is five times as frequent as the English elf.
    assert found(shared, "yourself elf", "how2sign") == []
    assert found(shared, "yourself elf", "phoenix") == ["elf"]


def test_chinese_goes_by_its_letters(shared):
    assert found(shared, "今天天气 house Haus 卡拉OK", "csl") == ["今天", "天气", "卡拉OK"]
    assert found(shared, "今天天气 house", "how2sign") == ["house"]


def test_words_of_both_languages_are_found_in_both(shared):
    for corpus in ("how2sign", "phoenix"):
        assert found(shared, "Hand Wind", corpus) == ["hand", "wind"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("die", ["de"]),  # the article is a hundred times more frequent
        ("gift", ["en"]),
        ("hand", ["de", "en"]),
        ("guten tag", ["de"]),
        ("qwxyz", ["de", "en", "it"]),  # in no list
        ("è", ["it"]),
        ("привет", []),
        ("12", ["de", "en", "zh", "it"]),
        ("3月", ["zh"]),
    ],
)
def test_the_rule(entry, expected):
    rows = [language_named(code) for code in ("de", "en", "zh", "it")]
    rows[3] = type(rows[0])("it", "LATIN")  # as a row would say
    assert entry_languages(rows[0].words(entry), rows) == expected


def test_a_language_without_a_list_may_have_any_entry():
    rows = [language_named("en"), language_named("xx")]
    assert entry_languages(rows[0].words("house"), rows) == ["en", "xx"]


def corpora(tmp_path, **paths):
    return [
        Corpus(**{**vars(CORPORA[name]), "dictionary": str(tmp_path / path)})
        for name, path in paths.items()
    ]


def test_corpora_that_are_not_chosen_share_their_file_too(tmp_path):
    dictionary("house", "haus", "天气").save(tmp_path / "words.json", PARTS)
    dictionary("haus", "house").save(tmp_path / "own.json", PARTS)
    table = corpora(tmp_path, how2sign="words.json", phoenix="./words.json", csl="own.json")
    search = open_search(table[:1], table, PARTS)
    assert list(search.dictionaries) == ["how2sign"]
    assert found(search, "haus house 天气", "how2sign") == ["house"]
    table = corpora(tmp_path, how2sign="own.json", phoenix="own.json", csl="words.json")
    assert found(open_search(table[:1], table, PARTS), "haus house", "how2sign") == ["house"]
    # A dictionary of its own is taken as it is.
    table = corpora(tmp_path, how2sign="own.json", phoenix="words.json", csl="words.json")
    assert found(open_search(table[:1], table, PARTS), "haus house", "how2sign") == [
        "haus",
        "house",
    ]


def test_without_keywords_no_file_is_read(tmp_path):
    table = corpora(tmp_path, how2sign="not there.json")
    search = open_search(table, table, PARTS, max_keywords=0)
    assert search("house", "how2sign").keywords == ()
    with pytest.raises(FileNotFoundError, match=r"not there\.json"):
        open_search(table, table, PARTS)
