import json

import numpy as np
import pytest

from soke.files import checksum
from soke.parts import PartTable
from soke.retrieval import SignDictionary, check_origin, check_replaceable, write_dictionary
from tests.helpers import THREE_PARTS
from tests.retrieval.dictionaries import PARTS, dictionary


def test_thinning_is_even():
    entry = np.arange(21)[:, None].repeat(3, axis=1)
    thinned = SignDictionary({"w": entry}).lookup("w", 5)
    assert thinned[:, 0].tolist() == [0, 5, 10, 15, 20]


def test_file_round_trip(tmp_path):
    path = tmp_path / "word2code.json"
    entries = {"größe": np.array([[1, 2, 3], [4, 5, 6]]), "好": np.array([[0, 0, 0]])}
    SignDictionary(entries).save(path, PARTS)
    assert json.loads(path.read_text(encoding="utf-8"))["größe"] == {
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
        ({"body": [-1], "lhand": [1], "rhand": [1]}, r"'hut' has codes \[-1\] of part 'body'"),
        ({"body": [1.0], "lhand": [1], "rhand": [1]}, "'hut': part 'body' has to be a list of wh"),
        ({"body": [True], "lhand": [1], "rhand": [1]}, "'hut': part 'body' has to be a list of"),
        ({"body": "1", "lhand": [1], "rhand": [1]}, "'hut': part 'body' has to be a list of whole"),
        ({"body": [1], "lhand": [1], "rhand": [1], "face": [1]}, r"'hut' has tokens for \['face'"),
        ([1, 2], "'hut' has to be an object with a list for each part"),
        (None, "'hut' has to be an object with a list for each part"),
    ],
)
def test_a_wrong_entry_is_named_with_its_file(tmp_path, entry, message):
    path = tmp_path / "word2code.json"
    path.write_text(json.dumps({"hut": entry}))
    with pytest.raises(ValueError, match=message) as error:
        SignDictionary.load(path, PARTS)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "holds a list, not an object"),
        ("{", "cannot be read as a sign dictionary"),
        ('{"hut": {}, "hut": {}}', "'hut' is there twice"),
        ('{" ": {}}', "an entry without a name"),
        ("[" * 100_000, "cannot be read"),
        ("\ufeff{}x", "cannot be read"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, content, message):
    path = tmp_path / "word2code.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as error:
        SignDictionary.load(path, PARTS)
    assert str(path) in str(error.value)


def test_a_missing_dictionary_says_how_to_make_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="soke dictionary"):
        SignDictionary.load(tmp_path / "none.json", PARTS)


def test_of_entries_that_are_one_to_the_search_the_first_is_found(caplog):
    signs = dictionary("Weg", "weg", "Masse", "Maße", "ice cream", "ice-cream", "?!")
    assert signs.find("WEG") == "Weg" and signs.find("weg") == "weg"
    assert signs.find("maße") == "Maße" and signs.find("masse") == "Masse"
    assert signs.find("Ice Cream") == "ice cream" and signs.find("hut") is None
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert "'weg' is 'Weg' in another case" in said[0] and "'ice-cream' is 'ice cream'" in said[1]
    assert "'?!' has no letter or digit" in said[2]


def test_merging_keeps_the_own_entries():
    merged = dictionary("a", "b").merged(dictionary("x", "B", "c"))
    assert list(merged.entries) == ["a", "b", "x", "c"]
    assert merged.entries["b"][0, 0] == 1 and merged.entries["c"][0, 0] == 2


def test_a_dictionary_of_another_tokenizer_is_an_error(tmp_path):
    path = tmp_path / "word2code.json"
    write_dictionary(path, dictionary("a"), PARTS, "f" * 64, {"recordings": 2})
    manifest = json.loads((tmp_path / "word2code.manifest.json").read_text())
    assert manifest["dictionary"] == checksum(path) and manifest["tokenizer"] == "f" * 64
    assert manifest["entries"] == 1 and manifest["recordings"] == 2
    assert PartTable.from_rows(manifest["parts"]) == PARTS
    assert check_origin(path, "f" * 64, PARTS)
    with pytest.raises(ValueError, match="dictionary of another tokenizer"):
        check_origin(path, "0" * 64, PARTS)
    rows = [{**row, "codebook_size": row["codebook_size"] + 1} for row in THREE_PARTS]
    with pytest.raises(ValueError, match="another part table"):
        check_origin(path, "f" * 64, PartTable.from_rows(rows))


def test_a_dictionary_of_another_origin_is_not_written_over(tmp_path):
    path = tmp_path / "word2code.json"
    dictionary("published").save(path, PARTS)
    assert not check_origin(path, "f" * 64, PARTS)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="--replace_dictionary"):
        write_dictionary(path, dictionary("own"), PARTS, "f" * 64)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    write_dictionary(path, dictionary("own"), PARTS, "f" * 64, replace=True)
    write_dictionary(path, dictionary("again"), PARTS, "f" * 64)  # its own it may write over
    assert "again" in SignDictionary.load(path, PARTS) and check_origin(path, "f" * 64, PARTS)
    path.write_bytes(before)  # the manifest speaks of another file now
    assert not check_origin(path, "f" * 64, PARTS)
    with pytest.raises(ValueError, match="was not made here"):
        check_replaceable(path, "f" * 64, PARTS)


def test_a_dictionary_of_another_tokenizer_is_not_written_over(tmp_path):
    path = tmp_path / "word2code.json"
    write_dictionary(path, dictionary("first"), PARTS, "f" * 64)
    before = path.read_bytes()
    others = [
        {**row, "codebook_size": row["codebook_size"] + 1 - i} for i, row in enumerate(THREE_PARTS)
    ]
    with pytest.raises(ValueError, match="another tokenizer") as error:
        write_dictionary(path, dictionary("second"), PARTS, "0" * 64)
    for named in (path, "f" * 12, "0" * 12, "CORPORA.<name>.dictionary=", "--replace_dictionary"):
        assert str(named) in str(error.value)
    with pytest.raises(ValueError, match=r"another part table.*--replace_dictionary"):
        write_dictionary(path, dictionary("second"), PartTable.from_rows(others), "f" * 64)
    assert path.read_bytes() == before and check_origin(path, "f" * 64, PARTS)
    write_dictionary(path, dictionary("second"), PARTS, "0" * 64, replace=True)
    assert check_origin(path, "0" * 64, PARTS)


def test_the_dictionary_of_a_trial_run_may_be_replaced(tmp_path):
    path = tmp_path / "word2code.json"
    write_dictionary(path, dictionary("trial"), PARTS, "f" * 64, {"debug": True})
    write_dictionary(path, dictionary("real"), PARTS, "0" * 64, {"debug": False})
    with pytest.raises(ValueError, match="another tokenizer"):
        check_replaceable(path, "f" * 64, PARTS)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"tokenizer": "f"}, r"lacks \['dictionary'\]"),
        ({"dictionary": None, "tokenizer": 1}, r"lacks \['dictionary', 'tokenizer'\]"),
        ([], "holds a list"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path, manifest, message):
    path = tmp_path / "word2code.json"
    dictionary("a").save(path, PARTS)
    (tmp_path / "word2code.manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=message) as error:
        check_origin(path, "f" * 64, PARTS)
    assert "word2code.manifest.json" in str(error.value)


def test_wrong_parts_of_a_manifest_are_named(tmp_path):
    path = tmp_path / "word2code.json"
    dictionary("a").save(path, PARTS)
    content = {"dictionary": checksum(path), "tokenizer": "f", "parts": [{"name": "body"}]}
    (tmp_path / "word2code.manifest.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"manifest\.json: parts"):
        check_origin(path, "f", PARTS)
