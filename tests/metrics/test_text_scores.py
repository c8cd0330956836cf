"""Text scores against the libraries' scores of the corpus."""

import numpy as np
import pandas as pd
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from soke.metrics.scores import bootstrap, paired_differences
from soke.metrics.text_scores import text_scores, text_statistics

TEXTS = {
    "en": [
        ("Today we will talk about the rain.", "Today we'll talk about rain, and wind."),
        ("the cat is on the mat", "The cat sat on the mat."),
        ("", "Nothing was said."),
        ("It's 10.5 degrees (at least).", "It is 10.5 degrees at least"),
    ],
    "de": [
        ("am Sonntag regnet es im Süden häufig", "im Süden regnet es am Sonntag häufiger"),
        ("morgen überwiegend trocken und größtenteils sonnig", "morgen trocken und sonnig"),
        ("schöne Grüße", "Schöne Grüße!"),
    ],
    "zh": [
        ("今天天气很好。", "今天的天气非常好。"),
        ("他明天去北京开会", "明天他要去北京开会"),
        ("我有3个苹果", "我有三个苹果"),
    ],
}


def rows_of(pairs, language):
    rows = pd.DataFrame([text_statistics(*pair, language) for pair in pairs])
    names = [f"clip-{i}" for i in range(len(rows))]
    return rows.assign(corpus=language, name=names)


def scores_of(pairs, language):
    rows = rows_of(pairs, language)
    return {score.name: score(rows) for score in text_scores()}


@pytest.mark.parametrize("language", TEXTS)
def test_bleu_and_chrf_are_those_of_sacrebleu(language):
    ours, theirs = (list(side) for side in zip(*TEXTS[language]))
    found = scores_of(TEXTS[language], language)
    tokenize = "zh" if language == "zh" else "13a"
    for n in range(1, 5):
        bleu = sacrebleu.BLEU(tokenize=tokenize, max_ngram_order=n)
        expected = bleu.corpus_score(ours, [theirs]).score
        assert found[f"BLEU-{n}"] == pytest.approx(expected) and expected > 0
    assert found["chrF"] == pytest.approx(sacrebleu.corpus_chrf(ours, [theirs]).score)


@pytest.mark.parametrize(
    "language, clip", [(code, i) for code, all_ in TEXTS.items() for i in range(len(all_))]
)
def test_single_texts_are_those_of_sacrebleu(language, clip):
    """Short texts, empty ones among them: lengths of n-grams that do not occur."""
    (ours, theirs), found = (
        TEXTS[language][clip],
        scores_of(TEXTS[language][clip : clip + 1], language),
    )
    assert found["chrF"] == pytest.approx(sacrebleu.sentence_chrf(ours, [theirs]).score)
    tokenize = "zh" if language == "zh" else "13a"
    expected = sacrebleu.corpus_bleu([ours], [[theirs]], tokenize=tokenize).score
    assert found["BLEU-4"] == pytest.approx(expected)


def test_a_short_reference_counts_as_in_sacrebleu():
    pairs = [("a long enough text", "no"), ("again and again", "again and again")]
    ours, theirs = zip(*pairs)
    assert scores_of(pairs, "en")["chrF"] == pytest.approx(
        sacrebleu.corpus_chrf(ours, [theirs]).score
    )


def test_rouge_of_english_is_that_of_rouge_score():
    scorer = RougeScorer(["rougeL"])
    each = [scorer.score(theirs, ours)["rougeL"].fmeasure for ours, theirs in TEXTS["en"]]
    assert scores_of(TEXTS["en"], "en")["ROUGE-L"] == pytest.approx(100 * np.mean(each))


def test_rouge_of_german_keeps_words_with_umlauts_whole():
    plain = str.maketrans({"ä": "a", "ö": "o", "ü": "u", "ß": "s"})
    scorer = RougeScorer(["rougeL"])
    each = [
        scorer.score(theirs.translate(plain), ours.translate(plain))["rougeL"].fmeasure
        for ours, theirs in TEXTS["de"]
    ]
    assert scores_of(TEXTS["de"], "de")["ROUGE-L"] == pytest.approx(100 * np.mean(each))


def test_rouge_of_chinese_is_over_characters():
    # 今天天气很好 and 今天的天气非常好 share 今天天气好: 5 of 6 and of 8
    assert scores_of(TEXTS["zh"][:1], "zh")["ROUGE-L"] == pytest.approx(100 * 2 * 5 / (6 + 8))


def test_equal_texts_score_100():
    pairs = [("Morgen scheint in Köln die Sonne.",) * 2, ("Es regnet an der Küste nicht.",) * 2]
    assert [*scores_of(pairs, "de").values()] == pytest.approx([100] * 6)


def test_empty_texts():
    assert set(scores_of([("", "")], "en").values()) == {0}
    assert set(scores_of([("words", "")], "zh").values()) == {0}
    with pytest.raises(ValueError, match="the reference text is None"):
        text_statistics("a", None, "en")


def test_scores_have_intervals_and_differences():
    pairs = [pair for pairs in TEXTS.values() for pair in pairs]
    rows = rows_of(pairs, "en")
    better = rows_of([(theirs, theirs) for _, theirs in pairs], "en")
    scores = text_scores()
    intervals = bootstrap(scores, rows)
    for name, pair in paired_differences(scores, rows, better).items():
        assert intervals[name][0] <= pair.a <= intervals[name][1]
        assert pair.b == pytest.approx(100) and pair.low <= pair.difference <= pair.high
