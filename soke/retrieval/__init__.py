"""The sign dictionary and the search for signs in a text."""

from soke.retrieval.search import KeywordSearch, RetrievalReport, open_search
from soke.retrieval.sign_dictionary import (
    SignDictionary,
    check_origin,
    check_replaceable,
    read_manifest,
    write_dictionary,
)
from soke.retrieval.word_parts import spell
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
    "read_manifest",
    "spell",
    "write_dictionary",
]
