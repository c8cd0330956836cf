"""Signs to text: what the network reads and writes, its loss and its weights."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import MBartForConditionalGeneration

from soke.generator import PromptBuilder, SignToText, Vocabulary, read_config, sign_batch, translate
from soke.generator.vocabulary import EOS
from soke.parts import PartTable
from soke.retrieval import KeywordSearch
from soke.structures import TokenSample
from tests.generator.mbart import full_mbart
from tests.helpers import CORPORA, THREE_PARTS, mbart_folder, small_config, token_samples

PARTS = PartTable.from_rows(THREE_PARTS)
SIGN_LANGUAGES = ["en_ASL", "zh_CSL", "de_DGS"]


def text_prompts(folder):
    """What makes batches: texts as they are, without retrieved signs."""
    languages = ["en_XX", "de_DE", "zh_CN"]
    vocabulary = Vocabulary(mbart_folder(folder), PARTS, languages, SIGN_LANGUAGES)
    return PromptBuilder(vocabulary, CORPORA, KeywordSearch({}))


def small_text_decoder(vocabulary, **options):
    """Random weights, far from the near-uniform start, so that choices differ."""
    torch.manual_seed(1)
    model = SignToText(vocabulary, small_config(vocabulary.text_size), **options)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(4)
    model.bias.normal_()
    return model.eval()


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    return text_prompts(tmp_path_factory.mktemp("mbart"))


@pytest.fixture(scope="module")
def model(prompts):
    return small_text_decoder(prompts.vocabulary)


def plain_logits(model, sample):
    """Logits [pieces + 1, text rows] of one clip by transformers' own classes, and the target.

    The rows are looked up one by one, as the description says them.
    """
    vocabulary, corpus = model.vocabulary, CORPORA[sample.corpus]
    theirs = MBartForConditionalGeneration(model.backbone.config).eval()
    state = {f"model.{k}": v for k, v in model.backbone.state_dict().items()}
    theirs.load_state_dict({**state, "final_logits_bias": model.bias[None]}, strict=False)
    theirs.tie_weights()
    sign, text = vocabulary.sign_languages, vocabulary.text_languages
    steps = [[sign[corpus.sign_language]] * 3]
    steps += [[o + int(c) for o, c in zip(vocabulary.part_offsets, row)] for row in sample.tokens]
    steps.append([EOS] * 3)
    look_up = theirs.model.shared.weight * 32**0.5
    read = [sum(w * look_up[r] for w, r in zip((0.2, 0.4, 0.4), rows)) for rows in steps]
    pieces = vocabulary.encode_text(sample.text)
    said = look_up[[text[corpus.text_language], *pieces]]
    output = theirs(inputs_embeds=torch.stack(read)[None], decoder_inputs_embeds=said[None])
    return output.logits[0, :, : vocabulary.text_size], torch.tensor([*pieces, EOS])


def test_logits_and_loss_are_those_of_transformers_without_padding(model, prompts):
    samples = token_samples()
    batch = prompts(samples)
    (together,) = model(batch)
    total, right, count = 0.0, 0, 0
    for i, sample in enumerate(samples):
        logits, target = plain_logits(model, sample)
        torch.testing.assert_close(together[i, : len(target)], logits, atol=1e-3, rtol=1e-4)
        total += F.cross_entropy(logits, target, reduction="sum")
        right += (logits.argmax(dim=1) == target).sum()
        count += len(target)
    (loss,), (accuracy,) = model.loss(batch)
    torch.testing.assert_close(loss, total / count)
    assert accuracy == right / count


def test_loss_of_a_clip_does_not_depend_on_padding(model, prompts):
    samples = token_samples()
    batch = prompts(samples)
    losses = [model.loss(prompts([sample]))[0] for sample in samples]
    counts = [len(model.vocabulary.encode_text(sample.text)) + 1 for sample in samples]
    mean = sum(n * loss.item() for n, loss in zip(counts, losses)) / sum(counts)
    assert model.loss(batch)[0].item() == pytest.approx(mean, rel=1e-5)
    torch.manual_seed(0)
    other = replace(
        batch,
        tokens=batch.tokens.where(
            batch.token_mask[..., None], torch.randint(8, batch.tokens.shape)
        ),
        source=batch.source.where(batch.source_mask, torch.randint(20, batch.source.shape)),
    )
    assert not torch.equal(other.tokens, batch.tokens)
    torch.testing.assert_close(model.loss(other), model.loss(batch))


def test_only_text_rows_share_the_probability_and_the_smoothing(prompts):
    vocabulary = prompts.vocabulary
    model = small_text_decoder(vocabulary, label_smoothing=0.2)
    batch = prompts(token_samples(1))
    (logits,) = model(batch)
    assert logits.shape[-1] == vocabulary.text_size < vocabulary.size
    target = batch.source[0, :-1]  # one clip has no padding; the language is not asked for
    likely = logits[0].log_softmax(dim=1)
    true = likely[torch.arange(len(target)), target]
    expected = -(0.8 * true + 0.2 * likely.mean(dim=1)).mean()
    torch.testing.assert_close(model.loss(batch)[0][0], expected)


def test_fusion_weights_can_be_learned(prompts):
    model = small_text_decoder(prompts.vocabulary, fusion="learned")
    model.loss(prompts(token_samples(2)))[0].sum().backward()
    assert (model.fusion_weights.grad != 0).all()
    fixed = small_text_decoder(prompts.vocabulary)
    fixed.load_state_dict(model.state_dict())
    assert torch.equal(fixed.fusion_weights, model.fusion_weights.detach())
    assert "fusion_weights" not in dict(fixed.named_parameters())


def test_an_mbart_fills_it(tmp_path):
    folder = tmp_path / "mbart"
    theirs = full_mbart(folder)
    rows = {i: i for i in range(theirs.config.vocab_size)}
    (folder / "map_ids.pkl").write_bytes(pickle.dumps(rows))
    vocabulary = Vocabulary(folder, PARTS, ["en_XX"], ["en_ASL"])
    model = SignToText(vocabulary, read_config(folder)).eval()
    model.load_backbone(folder)
    states = torch.randn(1, 5, 32)
    ids = torch.tensor([[7, 9, 11]])
    expected = theirs(inputs_embeds=states, decoder_input_ids=ids).logits
    memory = model.encode_embedded(states, torch.ones(1, 5, dtype=torch.bool))
    hidden = model.backbone.decoder(
        inputs_embeds=model.embed_target(ids), encoder_hidden_states=memory
    ).last_hidden_state
    ((weight, bias),) = model.heads()
    torch.testing.assert_close(F.linear(hidden, weight, bias), expected, atol=1e-4, rtol=1e-4)


def test_three_clips_are_learned_and_read_exactly(prompts):
    """In three languages, one of which writes no spaces."""
    torch.manual_seed(0)
    model = SignToText(prompts.vocabulary, small_config(prompts.vocabulary.text_size))
    samples = token_samples(4)[1:]
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    batch = prompts(samples)
    for _ in range(80):
        losses, _ = model.loss(batch)
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
    texts = [sample.text for sample in samples]
    unknown = sign_batch(
        prompts.vocabulary, CORPORA, [s.tokens for s in samples], [s.corpus for s in samples]
    )
    for beams in (1, 3):
        assert translate(model.eval(), batch, beams=beams) == texts
        assert translate(model, unknown, beams=beams) == texts  # the text itself is not looked at


def test_a_batch_without_texts_is_that_of_the_prompts_but_for_them(prompts):
    samples = token_samples()
    known = prompts(samples)
    batch = sign_batch(
        prompts.vocabulary, CORPORA, [s.tokens for s in samples], [s.corpus for s in samples]
    )
    for name in ("tokens", "token_mask", "sign_language"):
        assert torch.equal(getattr(batch, name), getattr(known, name))
    last = known.source_mask.sum(dim=1) - 1
    assert torch.equal(batch.source[:, 1], known.source[torch.arange(len(samples)), last])
    assert (batch.source[:, 0] == EOS).all() and batch.source_mask.all()


@pytest.mark.parametrize(
    ("tokens", "names", "message"),
    [
        ([], [], "0 clips"),
        ([np.zeros((4, 3), int)], [], "1 clips and 0 names"),
        ([np.zeros((4, 3), int)], ["asl"], "no corpus 'asl'; there are"),
        ([np.zeros((4, 2), int)], ["csl"], r"clip 0: .*\(4, 2\).*\[steps, 3\]"),
        ([np.zeros((4, 3))], ["csl"], "clip 0: .*float64; expected whole numbers"),
        ([np.full((4, 3), 8)], ["csl"], "codes of part 'lhand' run from 8 to 8; .* has 8"),
        ([np.full((4, 3), -1)], ["csl"], "codes of part 'body' run from -1"),
    ],
)
def test_signs_that_cannot_be_read_are_named(prompts, tokens, names, message):
    with pytest.raises(ValueError, match=message):
        sign_batch(prompts.vocabulary, CORPORA, tokens, names)


def test_a_clip_that_is_too_long_is_said(model, prompts):
    long = TokenSample("long", "how2sign", "fox", np.zeros((511, 3), dtype=np.int64))
    with pytest.raises(ValueError, match="513 tokens, but the model has positions for 512"):
        model.loss(prompts([long]))
