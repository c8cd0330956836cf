"""The sign dictionary and the search for signs in a text."""

from soke.retrieval.dictionary import SignDictionary
from soke.retrieval.search import Keyword, KeywordSearch
from soke.retrieval.spelling import spell

__all__ = ["Keyword", "KeywordSearch", "SignDictionary", "spell"]
