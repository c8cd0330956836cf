"""Signs for the texts of all corpora, in one of three ways, and a summary of what was found."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from soke.parts import PartTable
from soke.retrieval.language import language_named
from soke.retrieval.precomputed import PrecomputedSearch, read_keyword_files
from soke.retrieval.sign_dictionary import SignDictionary, check_origin
from soke.retrieval.text_search import STOP_WORD, TOO_MANY, TextSearch
from soke.structures import Keyword, Retrieval

if TYPE_CHECKING:  # `soke.data` cleans its texts with this package
    from soke.data.corpora import Corpus

log = logging.getLogger(__name__)

#: Finds the signs of a clean text, or of the clip of a name.
Finder = Callable[[str, str | None], Retrieval]
SEARCH = "search"
PRECOMPUTED = "precomputed"
LEGACY_SUBSTRING = "legacy_substring"
MODES = (SEARCH, PRECOMPUTED, LEGACY_SUBSTRING)
#: A summary names this many missing words.
_NAMED = 10


class SubstringSearch:
    """Entries that occur anywhere in the lower-cased text, in the order of the dictionaries.

    Kept for comparison: "elf" is found in "yourself", and words of any language in any text.
    """

    def __init__(
        self, dictionaries: Sequence[SignDictionary], max_keywords: int = 3, max_tokens: int = 10
    ) -> None:
        self.dictionaries = list(dictionaries)
        self.max_keywords = max_keywords
        self.max_tokens = max_tokens

    def __call__(self, text: str, name: str | None = None) -> Retrieval:
        text = text.lower()
        found: dict[str, SignDictionary] = {}
        for dictionary in self.dictionaries:
            for entry in dictionary.entries:
                if entry in text:
                    found.setdefault(entry, dictionary)
        order = list(found)
        keywords = [
            Keyword(entry, found[entry].lookup(entry, self.max_tokens), entry, "substring")
            for entry in order[: self.max_keywords]
        ]
        left = [(entry, TOO_MANY) for entry in order[self.max_keywords :]]
        return Retrieval(tuple(keywords), (), tuple(left))


class KeywordSearch:
    """The signs of a text of a corpus.

    Args:
        dictionaries: by corpus. A corpus without one has no signs.
        max_keywords: most signs per text; 0 finds none.
        max_tokens: most steps per sign.
        spell_unknown: spell words that are not in the dictionary, by the entries of letters.
        languages: by corpus the ISO code of its texts; a corpus that is not named gets plain
            matching of whole words.
        shared: by corpus the languages whose texts use the same dictionary, if there are several.
        mode: ``search`` (`TextSearch`), ``precomputed`` (`PrecomputedSearch`) or
            ``legacy_substring`` (`SubstringSearch`, over all dictionaries).
        keyword_files: for ``precomputed``, by corpus the chosen words of each clip.
        frequencies: by corpus how frequent a word is in its texts (see `TextSearch`).

    Raises ``ValueError`` for numbers out of range and an unknown mode.
    """

    def __init__(
        self,
        dictionaries: Mapping[str, SignDictionary],
        max_keywords: int = 3,
        max_tokens: int = 10,
        spell_unknown: bool = False,
        *,
        languages: Mapping[str, str] | None = None,
        shared: Mapping[str, Sequence[str]] | None = None,
        mode: str = SEARCH,
        keyword_files: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
        frequencies: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        if max_keywords < 0 or max_tokens < 1:
            raise ValueError(
                f"RETRIEVAL.MAX_KEYWORDS is {max_keywords} and RETRIEVAL.MAX_TOKENS {max_tokens}; "
                "they must be at least 0 and 1"
            )
        if mode not in MODES:
            raise ValueError(f"RETRIEVAL.MODE is {mode!r}; choose from {list(MODES)}")
        self.dictionaries = dict(dictionaries) if max_keywords else {}
        limits = (max_keywords, max_tokens)
        unique = list({id(one): one for one in self.dictionaries.values()}.values())
        self.finders: dict[str, Finder] = {}
        for corpus, dictionary in self.dictionaries.items():
            if mode == SEARCH:
                language = language_named((languages or {}).get(corpus, ""))
                others = (shared or {}).get(corpus, ())
                counts = (frequencies or {}).get(corpus)
                self.finders[corpus] = TextSearch(
                    dictionary, language, *limits, spell_unknown, others, counts
                )
            elif mode == PRECOMPUTED:
                chosen = (keyword_files or {}).get(corpus, {})
                self.finders[corpus] = PrecomputedSearch(dictionary, chosen, *limits)
            else:
                self.finders[corpus] = SubstringSearch(unique, *limits)

    def __call__(self, text: str, corpus: str, name: str | None = None) -> Retrieval:
        """The signs of a clean text (`soke.retrieval.clean`).

        ``name`` is the clip's; ``precomputed`` looks it up.
        """
        finder = self.finders.get(corpus)
        return Retrieval() if finder is None else finder(text, name)


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

    ``table`` holds all configured corpora: those that name one dictionary file share it, and a text
    then finds only the entries of its own language. ``tokenizer`` is the checksum of the tokenizer
    in use, which a dictionary with a manifest must come from. With ``max_keywords`` 0 no file is
    read.

    Raises what `SignDictionary.load`, `check_origin` and `read_keyword_files` raise.
    """
    chosen = [corpus for corpus in chosen if corpus.dictionary is not None and max_keywords]
    paths = {corpus.name: str(corpus.dictionary) for corpus in chosen}
    loaded: dict[str, SignDictionary] = {}
    for path in dict.fromkeys(paths.values()):
        loaded[path] = SignDictionary.load(path, parts)
        if tokenizer is not None:
            check_origin(path, tokenizer, parts)
    dictionaries = {name: loaded[path] for name, path in paths.items()}
    files = None
    if mode == PRECOMPUTED and dictionaries:
        if keywords_dir is None:
            raise ValueError(
                "RETRIEVAL.MODE is precomputed: name the folder of name2kws_{train,val,test}.json "
                "in RETRIEVAL.KEYWORDS_DIR"
            )
        files = read_keyword_files(keywords_dir, dictionaries)
    search = KeywordSearch(
        dictionaries,
        max_keywords,
        max_tokens,
        spell_unknown,
        languages={corpus.name: corpus.language for corpus in chosen},
        shared=_shared_languages(chosen, table),
        mode=mode,
        keyword_files=files,
    )
    for corpus, finder in search.finders.items():
        if isinstance(finder, TextSearch):
            log.info(
                "%s: %d of %d dictionary entries are of its language",
                corpus,
                len(finder.index.entries),
                len(finder.dictionary),
            )
    return search


def _shared_languages(chosen: Iterable[Corpus], table: Iterable[Corpus]) -> dict[str, list[str]]:
    """By corpus the languages of all corpora that name the same dictionary file."""
    users: dict[Path, set[str]] = {}
    for corpus in table:
        if corpus.dictionary is not None:
            users.setdefault(Path(corpus.dictionary).resolve(), set()).add(corpus.language)
    return {
        corpus.name: sorted(users.get(Path(str(corpus.dictionary)).resolve(), ()))
        for corpus in chosen
    }


@dataclass
class RetrievalReport:
    """Counts what was retrieved, for one summary per run.

    Retrieval runs in the loader's processes: give `add` the ``retrievals`` of every batch.
    """

    texts: int = 0
    signs: int = 0
    kept: int = 0
    unlisted: int = 0
    matches: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)

    def add(self, retrievals: Iterable[Retrieval]) -> None:
        """Count the retrievals of some texts."""
        for retrieval in retrievals:
            self.texts += 1
            self.unlisted += not retrieval.listed
            self.kept += len(retrieval.keywords)
            left = [why for _, why in retrieval.dropped if why != STOP_WORD]
            self.signs += len(retrieval.keywords) + len(left)
            self.matches.update(keyword.match for keyword in retrieval.keywords)
            self.missing.update(word.lower() for word in retrieval.missing)

    def summary(self) -> str:
        """One line on the words and how they were found, one on the most frequent misses."""
        wanted = self.signs + self.missing.total()
        share = self.signs / wanted if wanted else 0
        ways = ", ".join(f"{way} {count:,}" for way, count in self.matches.most_common())
        lines = [
            f"retrieval: {self.texts:,} texts, {wanted:,} words looked for, {share:.1%} of them "
            f"found, {self.kept:,} signs in the prompts" + (f" ({ways})" if ways else "")
        ]
        if self.unlisted:
            lines.append(f"no keywords chosen beforehand: {self.unlisted:,} texts")
        if self.missing:
            named = ", ".join(f"{word} {n}" for word, n in self.missing.most_common(_NAMED))
            lines.append(f"most frequent words without a sign: {named}")
        return "\n".join(lines)

    def log(self) -> None:
        """Log the summary, unless there were no texts."""
        if self.texts:
            log.info("%s", self.summary())
