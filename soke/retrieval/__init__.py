"""The sign dictionary and the search for signs in a text."""

from soke.retrieval.assembly import open_search
from soke.retrieval.dictionary import SignDictionary
from soke.retrieval.manifest import check_origin, check_replaceable, write_dictionary
from soke.retrieval.report import RetrievalReport
from soke.retrieval.search import KeywordSearch
from soke.retrieval.spelling import spell
from soke.retrieval.words import clean
from soke.structures import Keyword, Retrieval

__all__ = [
    "Keyword",
    "KeywordSearch",
    "Retrieval",
    "RetrievalReport",
    "SignDictionary",
    "check_origin",
    "check_replaceable",
    "clean",
    "open_search",
    "spell",
    "write_dictionary",
]
