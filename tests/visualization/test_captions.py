import logging

import numpy as np
import pytest
from PIL import ImageFont

from soke.visualization import captions, find_font, text_strip


@pytest.fixture
def no_fonts(monkeypatch):
    """A machine without any font."""
    monkeypatch.setattr(captions, "FONT_FOLDERS", ())
    caches = captions._installed_fonts, captions._choose
    for cache in caches:
        cache.cache_clear()
    yield
    monkeypatch.undo()
    for cache in caches:
        cache.cache_clear()


def has_letters(text):
    return not captions.missing_letters(text, captions._choose(text, None))


def test_umlauts_are_drawn_and_differ_from_each_other():
    if not has_letters("äöüßÄÖÜ"):
        pytest.skip("no font with umlauts on this machine")
    strips = [text_strip(letter, 60, 30) for letter in "äöüßÄÖÜao"]
    assert len({strip.tobytes() for strip in strips}) == len(strips)
    strip = text_strip("Grüße", 200, 30)
    assert strip.shape[1:] == (200, 3) and strip.dtype == np.uint8
    dark = (strip < 128).all(axis=-1)
    assert 0.03 < dark.mean() < 0.3
    columns = np.flatnonzero(dark.any(axis=0))
    assert abs(columns[0] - (199 - columns[-1])) <= 3  # centred


def test_letters_that_no_font_has_are_named_and_drawing_goes_on(no_fonts, caplog):
    with caplog.at_level(logging.WARNING):
        strip = text_strip("Grüße 你好", 200, 20)
    assert (strip < 128).any()
    message = caplog.text
    assert "Grüße 你好" in message and "你" in message and "好" in message
    assert "fonts-wqy-microhei" in message
    caplog.clear()
    text_strip("Grüße 你好", 200, 20)
    assert not caplog.text, "the same text is complained of once"


def test_plain_english_needs_no_font_and_no_warning(no_fonts, caplog):
    text_strip("Hello, world", 200, 20)
    assert not caplog.text


def test_chinese_is_drawn_where_a_font_has_it_and_warned_of_where_none_has(caplog):
    captions._choose.cache_clear()
    strips = {text_strip(letter, 60, 30).tobytes() for letter in "你好中"}
    assert (len(strips) == 3) != ("你" in caplog.text)


def test_a_named_font_is_used_and_a_missing_one_is_an_error(tmp_path):
    installed = captions._installed_fonts()
    if "dejavuserif.ttf" in installed:
        for name in ("DejaVuSerif.ttf", "DejaVuSerif", installed["dejavuserif.ttf"]):
            assert find_font("Grüße", 20, name).getname()[0] == "DejaVu Serif"
    with pytest.raises(ValueError, match="there is no font 'NoSuchFont'"):
        find_font("a", 20, "NoSuchFont")
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"not a font")
    with pytest.raises(ValueError, match="not a font"):
        find_font("a", 20, broken)


def test_long_text_is_wrapped_within_the_width_and_nothing_is_lost():
    font = ImageFont.load_default(16)
    texts = "The quick brown fox jumps over the lazy dog", "x" * 90, "你好。" * 30, "", "a  b\nc"
    for text in texts:
        lines = captions.wrap(text, font, 120)
        assert all(font.getlength(line) <= 120 for line in lines)
        assert "".join(lines).replace(" ", "") == "".join(text.split())
        assert not any(line.startswith("。") for line in lines)
    assert captions.wrap(texts[0], font, 120)[0].startswith("The quick")
    assert len(text_strip(texts[0], 100, 16)) > len(text_strip("The", 100, 16))


def test_endless_text_ends_in_an_ellipsis():
    tall = text_strip("word " * 200, 200, 16, max_lines=2)
    assert tall.shape == text_strip("word word word word word", 200, 16, max_lines=2).shape
