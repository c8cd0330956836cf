"""Words chosen beforehand, and the search that finds words inside words."""

import json

import pytest

from soke.data.corpora import Corpus
from soke.retrieval import KeywordSearch, open_search
from tests.helpers import CORPORA
from tests.retrieval.dictionaries import PARTS, dictionary, found


def test_the_substring_search_makes_the_classic_mistakes():
    english, german = dictionary("elf", "see", "a"), dictionary("ich", "elf", "Haus")
    both = KeywordSearch({"how2sign": english, "phoenix": german}, 99, mode="legacy_substring")
    assert found(both, "Which yourself?", "how2sign") == ["elf", "ich"]
    assert found(both, "Which yourself?", "phoenix") == ["elf", "ich"]  # in dictionary order
    assert found(both, "Haus", "phoenix") == ["a"]  # the text is in lower case, entries are not
    kept = KeywordSearch({"c": dictionary(*"abcde")}, 2, mode="legacy_substring")
    result = kept("edcba", "c")
    assert [keyword.word for keyword in result.keywords] == ["a", "b"]
    assert [word for word, _ in result.dropped] == ["c", "d", "e"]
    assert result.keywords[0].match == "substring"


def test_the_substring_search_is_plain_containment():
    words = ["elf", "ich", "天气", "ice cream", "e", "ß"]
    search = KeywordSearch({"c": dictionary(*words)}, 99, mode="legacy_substring")
    for text in ("yourself", "今天天气", "Ice Cream, ß!", "", "😀" * 50, "nothing here"):
        assert found(search, text) == [word for word in words if word in text.lower()]


@pytest.fixture
def table(tmp_path):
    dictionary("fox", "see", "run", "it's", "house").save(tmp_path / "en.json", PARTS)
    dictionary("fuchs", "haus").save(tmp_path / "de.json", PARTS)
    rows = {"how2sign": "en.json", "phoenix": "de.json"}
    return [
        Corpus(**{**vars(CORPORA[name]), "dictionary": str(tmp_path / path)})
        for name, path in rows.items()
    ]


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for split, content in files.items():
        (folder / f"name2kws_{split}.json").write_text(json.dumps(content), encoding="utf-8")
    return str(folder)


def opened(table, folder, **options):
    options = {"mode": "precomputed", "keywords_dir": folder, **options}
    return open_search(table, table, PARTS, **options)


def test_chosen_words_are_honoured(tmp_path, table):
    folder = write(
        tmp_path / "kws",
        train={"a-1": ["run", "FOX", "run"], "x": []},
        test={"test/b": ["fuchs", "haus"], "c": ["fox", "see", "fox", "run", "house", "run"]},
    )
    search = opened(table, folder)
    assert found(search, "no such word", "how2sign", "a-1") == ["run", "fox", "run"]
    assert found(search, "haus", "phoenix", "test/b") == ["fuchs", "haus"]
    result = search("", "how2sign", "c")
    assert [keyword.word for keyword in result.keywords] == ["fox", "see", "fox"]
    assert [word for word, _ in result.dropped] == ["run", "house", "run"] and result.listed
    assert {reason for _, reason in result.dropped} == {"more signs than are kept"}
    for name in ("x", "unknown", None):
        result = search("fox", "how2sign", name)
        assert result.keywords == () and result.listed == (name == "x")
    with pytest.raises(ValueError, match=r"'test/b' have 'fuchs', which is not in the dictionary"):
        search("", "how2sign", "test/b")


def test_a_corpus_may_have_files_of_its_own(tmp_path, table):
    folder = write(tmp_path / "kws", val={"a": ["fuchs"]})
    write(tmp_path / "kws" / "how2sign", val={"a": ["fox"]})
    search = opened(table, folder)
    assert found(search, "", "how2sign", "a") == ["fox"]
    assert found(search, "", "phoenix", "a") == ["fuchs"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"clip": ["fox", "hut"]},
            r"the clip 'clip' has the word 'hut', which is in no dictionary",
        ),
        ({"clip": "fox"}, "the clip 'clip' has to have a list of words"),
        ({"clip": [1]}, "the clip 'clip' has to have a list of words"),
        (["fox"], "holds a list"),
    ],
)
def test_faults_of_a_file_name_it_and_the_clip(tmp_path, table, content, message):
    folder = write(tmp_path / "kws", train={"good": ["fox"]}, val=content)
    with pytest.raises(ValueError, match=message) as error:
        opened(table, folder)
    assert "name2kws_val.json" in str(error.value)


def test_missing_files_are_named(tmp_path, table):
    with pytest.raises(FileNotFoundError, match=r"name2kws_.*RETRIEVAL\.KEYWORDS_DIR"):
        opened(table, str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"RETRIEVAL\.KEYWORDS_DIR"):
        opened(table, None)
    assert found(opened(table, None, mode="search"), "fox", "how2sign") == ["fox"]


def test_of_two_lists_for_a_clip_the_first_counts(tmp_path, table, caplog):
    folder = write(tmp_path / "kws", train={"a": ["fox"]}, val={"a": ["see"]})
    assert found(opened(table, folder), "", "how2sign", "a") == ["fox"]
    assert "'a' is in an earlier file" in caplog.text
