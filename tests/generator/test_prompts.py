"""What goes into a prompt, and texts that are hard to make one of."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from soke.generator import PromptBuilder, Vocabulary
from soke.generator.prompts import NO_ROOM, TEXT_SLOT
from soke.generator.vocabulary import EOS
from soke.parts import PartTable
from soke.retrieval import KeywordSearch, SignDictionary
from soke.structures import TokenSample
from tests.helpers import CORPORA, THREE_PARTS, mbart_folder

WORDS = ("fox", "brown", "quick", "jumps")


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    return Vocabulary(
        mbart_folder(tmp_path_factory.mktemp("mbart")),
        PartTable.from_rows(THREE_PARTS),
        ["en_XX", "de_DE", "zh_CN"],
        ["en_ASL", "zh_CSL", "de_DGS"],
    )


def builder(vocabulary, max_length=256, corpora=CORPORA, templates=None, **options):
    signs = {word: np.full((4, 3), i) for i, word in enumerate(WORDS)}
    search = KeywordSearch(
        {"how2sign": SignDictionary(signs)}, languages={"how2sign": "en"}, **options
    )
    words = {} if templates is None else {"templates": templates}
    return PromptBuilder(vocabulary, corpora, search, max_length, **words)


def sample(text, corpus="how2sign", **more):
    return TokenSample("clip", corpus, text, **more)


def source(batch, clip=0):
    return batch.source[clip, batch.source_mask[clip]].tolist()


def expected(vocabulary, text, signs, corpus="how2sign"):
    """The source by its definition: text, numbered signs frame by frame, </s>, language."""
    rows = vocabulary.encode_text(text)
    for i, number in enumerate(signs, start=1):
        rows += vocabulary.encode_text(CORPORA[corpus].keyword_prompt.format(i=i))
        for _ in range(4):
            rows += [offset + number for offset in vocabulary.part_offsets]
    return [*rows, EOS, vocabulary.text_languages[CORPORA[corpus].text_language]]


def test_signs_follow_the_text_in_its_order(vocabulary):
    batch = builder(vocabulary)([sample("the brown foxes jumps"), sample("grüße", "phoenix")])
    assert source(batch) == expected(vocabulary, "the brown foxes jumps", [1, 0, 3])
    assert source(batch, 1) == expected(vocabulary, "grüße", [], "phoenix")
    assert batch.keywords == (("brown", "fox", "jumps"), ())
    assert [keyword.match for keyword in batch.retrievals[0].keywords] == [
        "exact",
        "lemma",
        "exact",
    ]


def test_what_was_not_found_comes_with_the_batch(vocabulary):
    batch = builder(vocabulary)([sample("A quick cat yawns"), sample("cat", "csl")])
    assert batch.missing == (("cat", "yawns"), ())  # the other corpus has no dictionary
    moved = batch.to("cpu")
    assert moved.retrievals is batch.retrievals
    assert replace(batch, retrievals=()).missing == ((), ())


def test_signs_without_room_are_left_out_whole(vocabulary):
    text = "the brown fox jumps"
    whole = expected(vocabulary, text, [1, 0, 3])
    for room in range(8, len(whole) + 1):
        batch = builder(vocabulary, room)([sample(text)])
        fitting = [expected(vocabulary, text, [1, 0, 3][:n]) for n in range(4)]
        fitting = [rows for rows in fitting if len(rows) <= room]
        wanted = fitting[-1] if fitting else None
        if wanted is None:  # even the text is cut
            wanted = [*vocabulary.encode_text(text)[: room - 2], *whole[-2:]]
        assert source(batch) == wanted
        (retrieval,) = batch.retrievals
        left = [word for word, why in retrieval.dropped if why == NO_ROOM]
        assert [keyword.word for keyword in retrieval.keywords] == list(batch.keywords[0])
        assert [*batch.keywords[0], *left] == ["brown", "fox", "jumps"]


def test_a_long_text_is_cut_and_that_is_said_once(vocabulary, caplog):
    prompts = builder(vocabulary, 20)
    text = "the quick brown fox jumps " * 400
    assert len(text) == 10_400
    with caplog.at_level(logging.WARNING):
        batch = prompts([sample(text), sample(text)])
        prompts([sample(text)])
    assert batch.source.shape == (2, 20)
    count = len(vocabulary.encode_text(text.strip()))
    (record,) = caplog.records
    assert f"has {count} tokens; the last {count - 18} are cut off" in record.getMessage()


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_a_text_without_content_is_an_error_that_names_the_clip(vocabulary, text):
    with pytest.raises(ValueError, match="the clip 'clip' of how2sign has no text"):
        builder(vocabulary)([sample(text)])


def test_sentence_piece_brings_texts_into_one_form(vocabulary):
    batch = builder(vocabulary)([sample("ｔｈｅ  quick fox"), sample("the quick fox")])
    assert source(batch, 0) == source(batch, 1)


@pytest.mark.parametrize("text", ["😀🎉", "…", "fox 天气 привет 😀", "👩\u200d🔬", "hello " * 2000])
def test_odd_texts_have_a_prompt(vocabulary, text):
    batch = builder(vocabulary)([sample(text)])
    assert 2 < batch.source.shape[1] <= 256 and batch.source_mask.all()
    assert batch.keywords == ((("fox",) if "fox" in text else ()),)


def test_lower_case_where_the_corpus_says_so(vocabulary):
    lower = {"how2sign": replace(CORPORA["how2sign"], lowercase=True)}
    batch = builder(vocabulary, corpora=lower)([sample("The FOX")])
    assert source(batch) == expected(vocabulary, "the fox", [0])
    assert batch.texts == ("The FOX",)


def test_templates_are_drawn_by_the_sample(vocabulary):
    templates = ["<Caption_Placeholder>", "the <Caption_Placeholder> fox"]
    prompts = builder(vocabulary, templates=templates)
    for draw, text in (
        (0.0, "brown"),
        (0.49, "brown"),
        (0.5, "the brown fox"),
        (0.99, "the brown fox"),
    ):
        batch = prompts([sample("brown", draw=draw)])
        assert source(batch) == expected(vocabulary, text, [1])  # signs of the text alone
    for wrong in ([], ["no slot"], ["<Caption_Placeholder>" * 2]):
        with pytest.raises(ValueError, match="exactly once"):
            builder(vocabulary, templates=wrong)


def test_a_template_may_have_the_gloss(vocabulary):
    template = "<Gloss_Placeholder>: <Caption_Placeholder>"
    batch = builder(vocabulary, templates=[template])([sample("hello", gloss="GOOD DAY")])
    assert source(batch) == expected(vocabulary, "GOOD DAY: hello", [])
    plain = builder(vocabulary)([sample("hello", gloss="GOOD DAY")])
    assert source(plain) == expected(vocabulary, "hello", [])


def test_the_clip_is_named_to_the_search(vocabulary):
    prompts = builder(vocabulary, mode="precomputed", keyword_files={"how2sign": {"clip": ["FOX"]}})
    named, other = sample("brown"), replace(sample("brown"), name="other")
    batch = prompts([named, other])
    assert batch.keywords == (("fox",), ())
    assert [retrieval.listed for retrieval in batch.retrievals] == [True, False]


def test_a_source_does_not_depend_on_its_batch(vocabulary):
    prompts = builder(vocabulary)
    samples = [sample(text) for text in ("fox", "the quick brown fox", "x")]
    together = prompts(samples)
    for i, one in enumerate(samples):
        assert source(prompts([one])) == source(together, i)
    assert (together.source[~together.source_mask] == 1).all()  # padding


def test_what_cannot_be_is_one_message(vocabulary):
    with pytest.raises(ValueError, match="at least one sample"):
        builder(vocabulary)([])
    with pytest.raises(ValueError, match=r"model\.generator\.max_source is 0"):
        builder(vocabulary, max_length=0)
    with pytest.raises(ValueError, match="above 2"):
        builder(vocabulary, max_length=2)
    assert builder(vocabulary, max_length=3)([sample("fox")]).source.shape == torch.Size([1, 3])


def test_text_or_signs_can_be_hidden_in_training(vocabulary):
    prompts = builder(vocabulary)
    prompts = PromptBuilder(
        vocabulary,
        prompts.corpora,
        prompts.search,
        templates=[TEXT_SLOT, f"sign {TEXT_SLOT}"],
        hide_text=0.5,
        hide_signs=0.3,
    )
    plain = expected(vocabulary, "the fox", [0])
    hidden = [vocabulary.mask_row, *plain[len(vocabulary.encode_text("the fox")) :]]
    for draw, wanted in (
        (0.0, plain),  # not in training
        (0.01, hidden),
        (0.24, hidden),
        (0.26, expected(vocabulary, "the fox", [])),
        (0.39, expected(vocabulary, "the fox", [])),
        (0.41, plain),
        (0.6, hidden),  # the other template
        (0.8, expected(vocabulary, "sign the fox", [])),
        (0.95, expected(vocabulary, "sign the fox", [0])),
    ):
        assert source(prompts([sample("the fox", draw=draw)])) == wanted, draw
    # Without signs the text has to stay.
    nothing = prompts([sample("grüße", "phoenix", draw=0.01)])
    assert source(nothing) == expected(vocabulary, "grüße", [], "phoenix")
    with pytest.raises(ValueError, match="at most 1 together"):
        PromptBuilder(vocabulary, CORPORA, prompts.search, hide_text=0.7, hide_signs=0.7)


def test_codes_that_change_places_do_so_in_prompt_and_motion(vocabulary):
    plain = builder(vocabulary)
    sizes = [part.codebook_size for part in vocabulary.parts]
    rng = np.random.default_rng(0)
    tokens = np.stack([rng.integers(0, size, 40) for size in sizes], axis=1)
    tokens[3:6] = 0  # as the sign of "fox"
    swapping = PromptBuilder(vocabulary, CORPORA, plain.search, swap_codes=0.5)
    changed = 0
    for draw in (0.0, *rng.random(60)):
        one = sample("the fox", tokens=tokens, draw=draw)
        batch, (_, retrieval) = swapping([one]), swapping.source(one)
        sign, motion = retrieval.keywords[0].tokens, batch.tokens[0].numpy()
        rows = source(batch)
        signs = [row for row in rows if row >= vocabulary.part_offsets[0]]
        assert signs == vocabulary.motion_rows(torch.from_numpy(sign)).flatten().tolist()
        for p, size in enumerate(sizes):
            # One code for one code, the sign's own code being that of the motion.
            pairs = set(zip(tokens[:, p].tolist(), motion[:, p].tolist()))
            olds, news = zip(*pairs)
            assert len(pairs) == len(set(olds)) == len(set(news)) <= size and max(news) < size
            assert (sign[:, p] == dict(pairs)[0]).all()
            moved = [old for old, new in pairs if old != new]
            assert len(moved) in (0, 1, 2)  # 0 and, if it occurs, its partner
        assert draw or np.array_equal(motion, tokens)
        changed += not np.array_equal(motion, tokens)
    assert 15 < changed < 40  # half of the samples, less those in which no code was chosen
    # Nothing to copy from, nothing to train: nothing changes.
    bare = swapping([sample("grüße", "phoenix", tokens=tokens, draw=0.3)])
    assert np.array_equal(bare.tokens[0].numpy(), tokens)
    with pytest.raises(ValueError, match="SWAP_CODES is 2"):
        PromptBuilder(vocabulary, CORPORA, plain.search, swap_codes=2)
