"""UTF-8 that was read as Windows-1252 or Latin-1: what is mended, and what is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soke.data.texts import mend_mojibake


def misread(text, encoding):
    """As Windows-1252 or Latin-1 has it; a byte that the former lacks is a control character."""
    if encoding == "latin-1":
        return text.encode().decode("latin-1")
    read = (bytes([byte]).decode("cp1252", errors="ignore") or chr(byte) for byte in text.encode())
    return "".join(read)


@pytest.mark.parametrize(
    ("damaged", "mended"),
    [
        ("fire doesn\u00e2\u0080\u0099t", "fire doesn’t"),
        ("fire doesnâ€™t", "fire doesn’t"),
        ("â€œI canâ\x80\x99t,â€\x9d she said â€” twice", "“I can’t,” she said — twice"),
        ("GrÃ¼Ã\x9fe aus KÃ¶ln", "Grüße aus Köln"),
        ("Ãœber MÃœLLER, grÃ¶ÃŸer", "Über MÜLLER, größer"),
        ("voilÃ\u00a0 ! un cÅ“ur brisÃ©", "voilà ! un cœur brisé"),
        ("Â«\u00a0dÃ»Â\u00a0Â» 20Â°", "«\u00a0dû\u00a0» 20°"),
        ("ä»Šå¤©å¤©æ°”å¾ˆå¥½", "今天天气很好"),
        ("â™ª music â™ª, 5â‚¬, Nikeâ„¢, ðŸ˜€", "♪ music ♪, 5€, Nike™, 😀"),
        # Partly damaged: what is right beside it stays.
        ("cafÃ© and café, donâ€™t and don’t", "café and café, don’t and don’t"),
        # Half a character cannot be mended, a misread control character is not wanted.
        ("donâ€t Ã", "donâ€t Ã"),
        ("Â\x85 Ã\x28", "Â\x85 Ã\x28"),
    ],
)
def test_what_is_misread_is_mended(damaged, mended):
    assert mend_mojibake(damaged) == mended


CORRECT = [
    "São Paulo, SÃO PAULO, Âge, âge, Café, CAFÉ, naïve, Ça et là, Über, Straße, perché, È vero",
    "„CAFÉ”… «été»… voilà\u00a0» l’âme\u00a0! À…À… É…É… «Â» „Ä“ „Å“ Schloß“, „â“…",
    "IRMÃ” “AMANHû IRMû",
    "20° ± 3 µm, 5€, ½ ©®™, £7 — “ok” … ‘no’",
    "今天天气很好，我们明天去北京。“你好”……",
    "Привет ελλάδα ไทย 한국어 😀 ♪",
    "été\x85nouvelle ligne",
]
EUROPEAN = (
    "été là déjà dû où Noël œuvre cœur garçon forêt À École ÉTÉ CAFÉ ÂGE Âme "
    "größer Straße Über MÜSSEN Öl schön GRÜSSE Schloß "
    "perché città più È così LIBERTÀ PERCHÉ virtù "
    "the fire don’t it’s naïve São “yes” — …"
).split()
WORDS = [*EUROPEAN, "今天", "天气很好", "北京", "我"]
JOINS = " |, |…| – |—|’ |” |“ | „| «|» |\u00a0» |\u00a0! |。".split("|")
SENTENCES = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(JOINS)), max_size=12).map(
    lambda pairs: "".join(word + join for word, join in pairs)
)


@pytest.mark.parametrize("text", CORRECT)
def test_correct_texts_stay(text):
    assert mend_mojibake(text) == text


@given(SENTENCES)
def test_no_correct_sentence_is_changed(text):
    assert mend_mojibake(text) == text


@given(st.lists(st.sampled_from([*EUROPEAN, "今天天气很好"]), min_size=1, max_size=8).map(" ".join))
def test_european_words_come_back(text):
    for encoding in ("cp1252", "latin-1"):
        assert mend_mojibake(misread(text, encoding)) == text


@given(st.text())
def test_any_text_is_taken(text):
    assert isinstance(mend_mojibake(text), str)
