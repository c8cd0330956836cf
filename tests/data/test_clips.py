"""Choosing clips by their texts."""

import re
from pathlib import Path

import numpy as np
import pytest

from soke.assemble.data import _text_pattern
from soke.assemble.run import Run
from soke.config import load_config
from soke.data.clips import OTHER_TEXT, Group, Summary, summary_table
from soke.data.listing.annotations import Clip

CONFIG = Path(__file__).parents[2] / "configs" / "demo" / "soke.yaml"
TEXTS = ["Vogel", "haus", "oper", "grüße"]


def group(lengths=(40, 44, 60, 50)):
    clips = [Clip(text, "phoenix", text, "train", Path(text)) for text in TEXTS]
    kept = np.array(lengths) if lengths else None
    frames = sum(lengths) if lengths else None
    return Group(clips, kept, Summary("phoenix", "train", "files", 4, {"too short": 2}, frames))


def test_clips_are_chosen_by_a_regular_expression():
    some = group().with_text(re.compile("[pv]", re.IGNORECASE))
    assert [clip.text for clip in some.clips] == ["Vogel", "oper"]
    assert some.lengths.tolist() == [40, 60] and some.summary.frames == 100
    assert some.summary.kept == 2
    assert some.summary.dropped == {"too short": 2, OTHER_TEXT: 2}
    assert OTHER_TEXT in summary_table([some.summary])
    rest = group().with_text(re.compile("^[^pv]*$", re.IGNORECASE))
    assert [clip.text for clip in rest.clips] == ["haus", "grüße"]
    assert group().with_text(None).summary.kept == 4


def test_unread_clips_have_no_lengths():
    some = group(lengths=None).with_text(re.compile("a"))
    assert [clip.text for clip in some.clips] == ["haus"]
    assert some.lengths is None and some.summary.frames is None


def test_the_pattern_comes_from_the_configuration():
    assert _text_pattern(Run(load_config(CONFIG))) is None
    assert _text_pattern(Run(load_config(CONFIG, ["DATASET.TEXTS='^v'"]))).search("Vogel")
    with pytest.raises(ValueError, match=r"DATASET.TEXTS='\[' is no regular expression"):
        _text_pattern(Run(load_config(CONFIG, ["DATASET.TEXTS='['"])))
