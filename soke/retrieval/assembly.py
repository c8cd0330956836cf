"""From corpora and their dictionary files to a search."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from soke.data.corpora import Corpus
from soke.parts import PartTable
from soke.retrieval.dictionary import SignDictionary
from soke.retrieval.manifest import check_origin
from soke.retrieval.precomputed import read_keyword_files
from soke.retrieval.search import PRECOMPUTED, SEARCH, KeywordSearch
from soke.retrieval.text_search import TextSearch

log = logging.getLogger(__name__)


def open_search(
    chosen: Iterable[Corpus],
    table: Iterable[Corpus],
    parts: PartTable,
    max_keywords: int = 3,
    max_tokens: int = 10,
    spell_unknown: bool = False,
    mode: str = SEARCH,
    keywords_dir: str | None = None,
    tokenizer: str | None = None,
) -> KeywordSearch:
    """The search over the dictionaries of the ``chosen`` corpora.

    ``table`` are all configured corpora: those that name one dictionary file share it, and only
    entries of a text's own language are then found. ``tokenizer`` is the checksum of the tokenizer
    in use, which a dictionary with a manifest must come from. Without keywords no file is read.

    Raises what `SignDictionary.load`, `check_origin` and `read_keyword_files` raise.
    """
    chosen = [corpus for corpus in chosen if corpus.dictionary is not None and max_keywords]
    loaded: dict[str, SignDictionary] = {}
    for path in dict.fromkeys(corpus.dictionary for corpus in chosen):
        loaded[path] = SignDictionary.load(path, parts)
        if tokenizer is not None:
            check_origin(path, tokenizer, parts)
    dictionaries = {corpus.name: loaded[corpus.dictionary] for corpus in chosen}
    files = None
    if mode == PRECOMPUTED and dictionaries:
        if keywords_dir is None:
            raise ValueError(
                "RETRIEVAL.MODE is precomputed: name the folder of name2kws_{train,val,test}.json "
                "in RETRIEVAL.KEYWORDS_DIR"
            )
        files = read_keyword_files(keywords_dir, dictionaries)
    search = KeywordSearch(
        dictionaries, max_keywords, max_tokens, spell_unknown, mode=mode, keyword_files=files,
        languages={corpus.name: corpus.language for corpus in chosen},
        shared=shared_languages(chosen, table),
    )  # fmt: skip
    for corpus, finder in search.finders.items():
        if isinstance(finder, TextSearch):
            found, of = len(finder.index.entries), len(finder.dictionary)
            log.info("%s: %d of %d dictionary entries are of its language", corpus, found, of)
    return search


def shared_languages(
    chosen: Sequence[Corpus], table: Iterable[Corpus]
) -> Mapping[str, Sequence[str]]:
    """By corpus the languages of all corpora that name the same dictionary file."""
    users: dict[Path, Counter[str]] = {}
    for corpus in table:
        if corpus.dictionary is not None:
            users.setdefault(Path(corpus.dictionary).resolve(), Counter())[corpus.language] += 1
    return {
        corpus.name: sorted(users.get(Path(corpus.dictionary).resolve(), ())) for corpus in chosen
    }
