import pytest

from soke.data.texts import read_texts, typed_text
from soke.files import MissingAssetError


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("  hello   world ", "hello world"),
        ("tab\tand\nline\r\nend", "tab and line end"),
        ("bell\x07 and\x00 zero\x9b", "bell and zero"),
        ("Gru\u0308\u00dfe", "Gr\u00fc\u00dfe"),
        ("\ufeffhallo", "hallo"),
        ("\u200bred\u200bfox\u2063jumps\u2800", "red fox jumps"),
        ("red\u2028fox\u2029jumps", "red fox jumps"),
        ("여우\u3164개\uffa0말", "여우 개 말"),
        ("re\u2060d f\u00adox", "red fox"),  # these lie within words
        ("今天 hello Привет 7 🙂", "今天 hello Привет 7 🙂"),
        ("42", "42"),
    ],
)
def test_texts_are_cleaned(given, cleaned):
    assert typed_text(given) == cleaned


def test_a_long_text_stays_whole():
    text = "word " * 2000
    assert typed_text(text) == text.strip()


@pytest.mark.parametrize("text", ["", "  \t\n", "\x00\x07", "\ufeff", "\u200b\u3164"])
def test_nothing_is_refused(text):
    with pytest.raises(ValueError, match="the text is empty"):
        typed_text(text)


@pytest.mark.parametrize("text", ["🙂🎉", "?!...", "\u200b\u200d", "👩\u200d👩\u200d👧"])
def test_texts_without_letters_are_refused(text):
    with pytest.raises(ValueError, match="no letter and no digit"):
        typed_text(text)


def test_half_characters_are_refused():
    with pytest.raises(ValueError, match=r"not valid Unicode \(character 3\)"):
        typed_text("ab\udcfc")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_file_has_a_sentence_a_line(tmp_path, mark, end):
    lines = ["# greetings", "", "schöne Grüße", "  ", "  # not this", "two\u2028in one", "last #1"]
    path = tmp_path / "texts.txt"
    path.write_bytes(mark + end.join(line.encode() for line in lines))
    assert read_texts(path) == ["schöne Grüße", "two in one", "last #1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("gut\n\nGrüße\n".encode("latin-1"), r"line 3: byte 3 \(0xfc\) is not UTF-8"),
        ("hello".encode("utf-16"), "UTF-16: save it as UTF-8"),
        ("hello\nthere".encode("utf-16-le"), "line 1: it holds zero bytes"),
        ("fine\n🙂\n".encode(), "line 2: .* no letter"),
        (b"\n# only this\n\n", "holds no sentence"),
        (b"", "holds no sentence"),
    ],
)
def test_files_that_cannot_be_read_say_where(tmp_path, content, message):
    path = tmp_path / "texts.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_texts(path)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(MissingAssetError, match="file of texts"):
        read_texts(tmp_path / "no.txt")
    with pytest.raises(ValueError, match="is not a file"):
        read_texts(tmp_path)
