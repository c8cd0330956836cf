"""The sign dictionary and the search for signs in a text."""

from soke.retrieval.dictionary import SignDictionary
from soke.retrieval.search import Keyword, KeywordSearch

__all__ = ["Keyword", "KeywordSearch", "SignDictionary"]
