"""Texts of one's own from the command line: what is written, under which names."""

import logging
import sys
from pathlib import Path

import numpy as np
import pytest

import vis_mesh
from soke.assemble.run import Run
from soke.cli.show import typed_texts as texts
from soke.cli.show.output import Output
from soke.cli.show.typed_texts import render_texts
from soke.config import load_config
from soke.data.motion_files import read_motion
from soke.data.token_files import read_tokens
from soke.parts import PartTable
from soke.visualization.clip_video import note
from tests.helpers import THREE_PARTS


def run_verb(monkeypatch, small, *words):
    monkeypatch.setattr(sys, "argv", ["vis_mesh", "--cfg", str(small), "--nodebug", *words])
    vis_mesh.main()


def test_a_text_becomes_tokens_parameters_and_a_video(small, tmp_path, filmed, monkeypatch, caplog):
    with caplog.at_level(logging.INFO):
        run_verb(
            monkeypatch, small, "--text", "the quick fox!", "--lang", "en", "--out", str(tmp_path)
        )
    folder = tmp_path / "text"
    names = sorted(path.name for path in folder.iterdir())
    endings = (".mp4", ".npy", ".npz", ".png")
    assert names == [f"the_quick_fox-en{ending}" for ending in endings]
    for name in names:
        assert str(folder / name) in caplog.text
    assert "'the quick fox!': retrieved fox; not found" in caplog.text

    signed = read_motion(folder / "the_quick_fox-en.npz")
    tokens = read_tokens(folder / "the_quick_fox-en.npy", PartTable.from_rows(THREE_PARTS))
    np.testing.assert_array_equal(tokens, signed.tokens)
    (call,) = filmed
    clip = call["clip"]
    [system] = clip.systems
    np.testing.assert_allclose(system.motion, signed.motion, atol=1e-6)
    assert system.title == "generated" and system.tokens.tolist() == tokens.tolist()
    assert clip.text == "the quick fox!" and clip.fps == 24 and clip.language == "en"
    assert clip.note.startswith("retrieved signs: fox") and clip.parts == ("body", "lhand", "rhand")


def test_a_file_of_texts(small, tmp_path, filmed, monkeypatch):
    path = tmp_path / "texts.txt"
    path.write_bytes("\ufeff# three\nschöne Grüße\n\nköln\r\naus köln\n".encode())
    run_verb(monkeypatch, small, "--text_file", str(path), "--lang", "de", "--out", str(tmp_path))
    assert [call["clip"].text for call in filmed] == ["schöne Grüße", "köln", "aus köln"]
    assert [call["path"].name for call in filmed] == [
        "schöne_Grüße-de.mp4",
        "köln-de.mp4",
        "aus_köln-de.mp4",
    ]
    found = [read_motion(call["path"].with_suffix(".npz")).text for call in filmed]
    assert found == ["schöne Grüße", "köln", "aus köln"]


def test_nothing_is_written_over(small, tmp_path, filmed):
    config = load_config(small)
    render_texts(Run(config), ["fox", "fox"], "en", Output(tmp_path))
    assert [call["path"].name for call in filmed] == ["fox-en.mp4", "fox-en-2.mp4"]
    before = {path: path.read_bytes() for path in (tmp_path / "text").iterdir()}
    (tmp_path / "text" / "fox-en-3.npy").write_bytes(b"left by a run that was killed")
    render_texts(Run(config), ["fox"], "en", Output(tmp_path))
    assert filmed[-1]["path"].name == "fox-en-4.mp4"
    assert {path: path.read_bytes() for path in before} == before


def test_a_stopped_run_leaves_whole_files_only(small, tmp_path, monkeypatch):
    def stopped(self, path, *_, **__):
        raise KeyboardInterrupt

    config = load_config(small)
    monkeypatch.setattr("soke.visualization.clip_video.render_clip", stopped)
    with pytest.raises(KeyboardInterrupt):
        render_texts(Run(config), ["fox"], "en", Output(tmp_path))
    left = sorted(path.name for path in (tmp_path / "text").iterdir())
    assert left == ["fox-en.npy", "fox-en.npz"]
    assert read_motion(tmp_path / "text" / "fox-en.npz").text == "fox"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hello", "hello"),
        ("  a/b\\c:d*?  ", "a_b_c_d"),
        ("../../etc/passwd", "etc_passwd"),
        ("--cfg x", "cfg_x"),
        ("今天天气很好。", "今天天气很好"),
        ("Gru\u0308ße", "Grüße"),
        ("x" * 10_000, "x" * 40),
        ("🙂 . 🙂", "text"),
        ("\U00020000" * 300, "\U00020000" * 40),
    ],
)
def test_file_names_are_safe(text, name):
    assert texts._file_name(text) == name
    assert len(f".{name}-zh-1000.12345678.npz".encode()) < 255


def test_wrong_requests_are_refused_before_anything_is_loaded(small, monkeypatch):
    monkeypatch.setattr("soke.cli.show.typed_texts.build_signer", lambda *_: pytest.fail("loaded"))
    config = load_config(small)
    with pytest.raises(ValueError, match=r"--lang: \['en', 'zh', 'de'\]"):
        render_texts(Run(config), ["fox"], None, Output(Path()))
    with pytest.raises(ValueError, match="choose one of"):
        render_texts(Run(config), ["fox"], "fr", Output(Path()))
    with pytest.raises(ValueError, match="the text is empty"):
        run_verb(monkeypatch, small, "--text", "", "--lang", "en")


def test_a_file_in_another_encoding_names_its_line(small, tmp_path, monkeypatch):
    path = tmp_path / "texts.txt"
    path.write_bytes("gut\nschöne Grüße\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"texts\.txt, line 2: byte 4 .* not UTF-8"):
        run_verb(monkeypatch, small, "--text_file", str(path), "--lang", "de")


def test_the_note_names_what_was_retrieved_and_what_is_missing():
    class Body:
        name = "a body"

    assert note((), (), Body) == "a body"
    assert note(("fox", "h-i"), ("zebra",), Body) == (
        "retrieved signs: fox, h-i  ·  not found: zebra  ·  a body"
    )
    many = note((), [f"w{i}" for i in range(30)], Body)
    assert "w11 and 18 more" in many and "w12" not in many
    assert note(("x" * 10_000,), (), Body) == f"retrieved signs: {'x' * 40}...  ·  a body"
