import pytest

from soke.cli.retrieve import main
from soke.config import SCHEMA
from tests.retrieval.dictionaries import SHARED, dictionary


@pytest.fixture
def words(tmp_path):
    from soke.config import load_config, plain
    from soke.parts import PartTable

    parts = PartTable.from_rows(plain(load_config(SCHEMA).PARTS))
    dictionary(*SHARED).save(tmp_path / "words.json", parts)
    return tmp_path / "words.json"


def shown(capsys, monkeypatch, *arguments):
    monkeypatch.setenv("COLUMNS", "200")
    main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def test_it_shows_signs_codes_and_what_is_missing(capsys, monkeypatch, words):
    out = shown(
        capsys,
        monkeypatch,
        "Yourself and the foxes see 21 Wetter",
        "--lang",
        "en",
        "--dictionary",
        words,
        "--shared",
        "de",
        "zh",
    )
    row = next(line for line in out.splitlines() if "foxes" in line)
    assert "lemma" in row and " fox " in row and row.count("1 1 1") == 3  # a column a part
    assert "twenty-one" in out and "number" in out
    for part in ("body", "lhand", "rhand"):
        assert part in out
    assert "without a sign: Yourself, Wetter" in out


def test_it_says_what_was_left_out_and_why(capsys, monkeypatch, words):
    out = shown(capsys, monkeypatch, "fox house rain child", "--lang", "en", "--dictionary", words)
    assert "left out: house (more signs than are kept)" in out
    assert "no signs" in shown(capsys, monkeypatch, "", "--lang", "de", "--dictionary", words)


def test_it_reads_the_configuration(capsys, monkeypatch, tmp_path, words):
    text = (
        f"BASES: [{SCHEMA}]\nRETRIEVAL: {{MAX_TOKENS: 2}}\n"
        f"CORPORA:\n  how2sign: {{dictionary: {words}}}\n  phoenix: {{dictionary: {words}}}\n"
        "  csl: {dictionary: null}\n"
    )
    (tmp_path / "run.yaml").write_text(text)
    cfg = ("--cfg", tmp_path / "run.yaml")
    out = shown(capsys, monkeypatch, "Wetter, house [bold]", "--lang", "de", *cfg)
    assert "wetter" in out and "without a sign: house, bold" in out and " 2 " in out
    with pytest.raises(ValueError, match=r"CORPORA\.csl has no dictionary"):
        main(["x", "--lang", "zh", *map(str, cfg)])
    with pytest.raises(ValueError, match="no configured data set has texts in 'fr'"):
        main(["x", "--lang", "fr", *map(str, cfg)])
    (tmp_path / "run.yaml").write_text(text.replace("MAX_TOKENS: 2", "MAX_KEYWORDS: 0"))
    with pytest.raises(ValueError, match=r"RETRIEVAL\.MAX_KEYWORDS is 0"):
        main(["x", "--lang", "de", *map(str, cfg)])
