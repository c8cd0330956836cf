"""Dictionaries for the tests: the tokens of an entry are its number."""

import numpy as np

from soke.parts import PartTable
from soke.retrieval import KeywordSearch, SignDictionary
from tests.helpers import THREE_PARTS

PARTS = PartTable.from_rows(THREE_PARTS)
#: As in the published file: three languages, each with its own words, in one dictionary.
SHARED = """
    elf fox house see you not gift hand wind rain weather child run good tomorrow twenty one
    morgen regen regnen bayern wetter bericht schauer norden straße groß viel leicht zwanzig
    und ein grad wolke gewitter haus fuchs schnee schön nacht
    天气 今天 很好 你好 十 二 月 卡拉OK 我们 明天 下雨
""".split()


def dictionary(*words, steps=3):
    return SignDictionary({word: np.full((steps, 3), i) for i, word in enumerate(words)})


def search(language, *words, **options):
    """The search over a dictionary of one language, for the corpus "c"."""
    return KeywordSearch({"c": dictionary(*words)}, languages={"c": language}, **options)


def found(search, text, corpus="c", name=None):
    return [keyword.word for keyword in search(text, corpus, name).keywords]


def ways(search, text, corpus="c"):
    return {keyword.word: keyword.match for keyword in search(text, corpus).keywords}
