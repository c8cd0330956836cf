"""Texts from signs: decoding against reading everything again, alone and in a batch; pieces."""

import unicodedata
from dataclasses import replace

import numpy as np
import pytest
import torch

from soke.generator import reference_text, sign_batch, translate
from soke.generator.decoding.loop import Decoding
from soke.generator.vocabulary import EOS, PAD, UNK
from tests.generator.mbart import TEXTS, processor
from tests.generator.test_sign_to_text import small_text_decoder, text_prompts
from tests.generator.test_vocabulary import READ, build, write
from tests.helpers import CORPORA, token_samples

LONGEST = 12


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    return text_prompts(tmp_path_factory.mktemp("mbart"))


def varied(vocabulary):
    """Its head is no copy of what it reads, so that it does not repeat itself; texts end early."""
    model = small_text_decoder(vocabulary)
    model.untie("head")
    torch.manual_seed(2)
    model.head.weight.data.normal_()
    model.bias[EOS] = 2.0
    return model


@pytest.fixture(scope="module")
def model(prompts):
    return varied(prompts.vocabulary)


def log_probabilities(model, batch, said):
    """Of the next piece after each of the prefixes ``said`` [n, t], read as a whole: [n, V].

    What may not be said has -inf; the pieces and ``</s>`` share the probability.
    """
    language = batch.source[:, -1].expand(len(said), 1)  # of a clip without padding
    memory, mask = (x.expand(len(said), *x.shape[1:]) for x in model.memory(batch))
    hidden = model.backbone.decoder(
        inputs_embeds=model.embed_target(torch.cat([language, said], dim=1)),
        encoder_hidden_states=memory,
        encoder_attention_mask=mask,
        use_cache=False,
    ).last_hidden_state[:, -1]
    logits = (hidden @ model.head.weight.T + model.bias).double()
    allowed = [*model.vocabulary.pieces, EOS]
    forbidden = torch.ones(logits.shape[1], dtype=torch.bool)
    forbidden[allowed] = False
    return logits.masked_fill(forbidden, -torch.inf).log_softmax(dim=1)


def reread(model, batch):
    """The greedy text of one clip; the whole prefix is read again for every piece."""
    said = torch.zeros(1, 0, dtype=torch.int64)
    for step in range(LONGEST):
        likely = log_probabilities(model, batch, said)
        if step == 0:
            likely[:, EOS] = -torch.inf
        piece = likely.argmax(dim=1)
        if piece == EOS:
            break
        said = torch.cat([said, piece[None]], dim=1)
    return model.vocabulary.decode_text(said[0].tolist())


@torch.inference_mode()
def test_greedy_texts_are_those_of_reading_again(model, prompts):
    samples = token_samples(8)
    texts = translate(model, prompts(samples), max_pieces=LONGEST)
    assert texts == [reread(model, prompts([sample])) for sample in samples]
    assert len(set(texts)) > 3


@pytest.mark.parametrize("options", [{}, {"beams": 4}, {"beams": 2, "length_penalty": 0.0}])
def test_a_clip_alone_is_itself_in_a_batch(model, prompts, options):
    samples = token_samples(8)
    together = translate(model, prompts(samples), LONGEST, **options)
    assert together == [translate(model, prompts([s]), LONGEST, **options)[0] for s in samples]
    assert len({len(text) for text in together}) > 2  # they end at unlike steps


def test_a_finished_clip_leaves_the_batch(model, prompts, monkeypatch):
    read = []
    begin = Decoding._begin

    def counted(self):
        decoder, first = begin(self)

        class Counted:
            def __call__(self, inputs):
                read.append(len(inputs))
                return decoder(inputs)

            keep = decoder.keep

        return Counted(), first

    monkeypatch.setattr(Decoding, "_begin", counted)
    for beams in (1, 3):
        read.clear()
        translate(model, prompts(token_samples(8)), LONGEST, beams=beams)
        assert read[0] == 8 * beams and read[-1] < read[0]
        assert read == sorted(read, reverse=True)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@torch.inference_mode()
def test_all_beams_find_the_best_of_all_texts(model, prompts, penalty):
    """As many beams as pieces, and two steps: every text is among them."""
    for sample in token_samples(4):
        batch = prompts([sample])
        pieces = torch.tensor([*model.vocabulary.pieces])
        first = log_probabilities(model, batch, torch.zeros(1, 0, dtype=torch.int64))[0]
        first = (first - first[EOS].exp().neg().log1p())[pieces]  # </s> may not come first
        second = log_probabilities(model, batch, pieces[:, None])
        scores = torch.cat([second[:, pieces], second[:, [EOS]]], dim=1) + first[:, None]
        best = divmod(int((scores / 2**penalty).argmax()), scores.shape[1])
        rows = [int(pieces[best[0]]), *([int(pieces[best[1]])] if best[1] < len(pieces) else [])]
        found = translate(model, batch, 2, beams=len(pieces), length_penalty=penalty)
        assert found == [model.vocabulary.decode_text(rows)]


def test_nothing_but_pieces_is_said(model, prompts):
    loud = varied(prompts.vocabulary)
    vocabulary = prompts.vocabulary
    other = sorted({*range(vocabulary.size)} - {*vocabulary.pieces, EOS})
    assert {PAD, UNK, vocabulary.mask_row, *vocabulary.text_languages.values()} <= {*other}
    loud.bias[other] = 100.0
    batch = prompts(token_samples(8))
    for options in ({}, {"beams": 3}):
        assert translate(loud, batch, LONGEST, **options) == (
            translate(model, batch, LONGEST, **options)
        )


def test_training_mode_and_int8_do_not_disturb(model, prompts):
    batch = prompts(token_samples(3))
    expected = translate(model, batch, LONGEST)
    for layer in (model.train(), *model.modules()):
        if hasattr(layer, "dropout"):
            layer.dropout = 0.5
    assert translate(model, batch, LONGEST) == expected and model.training
    model.eval()
    assert translate(model, batch, LONGEST, int8=True) == expected


def test_clips_without_steps_and_odd_options(model, prompts):
    empty = np.zeros((0, 3), dtype=np.int64)
    tokens = [empty, token_samples(1)[0].tokens]
    batch = sign_batch(prompts.vocabulary, CORPORA, tokens, ["csl", "how2sign"])
    alone = [
        translate(model, sign_batch(prompts.vocabulary, CORPORA, [t], [name]), LONGEST)[0]
        for t, name in zip(tokens, ["csl", "how2sign"])
    ]
    assert translate(model, batch, LONGEST) == alone
    for options, message in (
        ({"max_pieces": 0}, "max_steps=0"),
        ({"beams": 0}, "beams must be 1 or more"),
        ({"beams": 1000}, "1000 beams, but there are only"),
        ({"beams": 2, "int8": True}, "int8 follows one text at a time, not 2 beams"),
        ({"max_pieces": 600}, "600 tokens, but the model has positions for 512"),
    ):
        with pytest.raises(ValueError, match=message):
            translate(model, batch, **options)


# Pieces and texts


@pytest.mark.parametrize("files", ["sentencepiece", "tokenizer"])
def test_pieces_go_back_to_the_text(tmp_path, files):
    write(tmp_path, files)
    vocabulary, library = build(tmp_path), processor()
    for text in TEXTS + [text for text in READ if UNK not in vocabulary.encode_text(text)]:
        rows = vocabulary.encode_text(text)
        expected = library.decode(library.encode(text))
        assert vocabulary.decode_text(rows) == expected
        assert expected == " ".join(unicodedata.normalize("NFKC", text).split())
        language = vocabulary.text_languages["en_XX"]
        assert vocabulary.decode_text([language, *rows, EOS, language, PAD]) == expected
    assert " " not in vocabulary.decode_text(vocabulary.encode_text("今天天气很好"))


def test_pieces_that_replace_cut_ones_spell_the_same_text(tmp_path):
    model = processor()
    long = [i + 1 for i in range(3, len(model)) if len(model.id_to_piece(i)) > 2]
    write(tmp_path, dropped=long)
    vocabulary = build(tmp_path)
    for text in ("the quick brown fox", "schöne grüße aus köln", "我们明天去北京"):
        rows = vocabulary.encode_text(text)
        assert UNK not in rows and vocabulary.decode_text(rows) == text


def test_references_have_the_form_that_pieces_can_write():
    lower = replace(CORPORA["phoenix"], lowercase=True)
    assert reference_text(" Der ﬁne\tTag \u200b", CORPORA["phoenix"]) == "Der fine Tag"
    assert reference_text("Der Tag", lower) == "der tag"
    assert reference_text("你好，Ａ！", CORPORA["csl"]) == "你好,A!"
