"""Signs for the texts of all corpora, in one of three ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from soke.retrieval.dictionary import SignDictionary
from soke.retrieval.languages import language_named
from soke.retrieval.precomputed import PrecomputedSearch
from soke.retrieval.text_search import TOO_MANY, TextSearch
from soke.retrieval.words import clean
from soke.structures import Keyword, Retrieval

#: What finds the signs of a text (and of the clip of a name).
Finder = Callable[[str, str | None], Retrieval]
SEARCH, PRECOMPUTED, LEGACY_SUBSTRING = MODES = ("search", "precomputed", "legacy_substring")


class SubstringSearch:
    """Entries that occur anywhere in the lower-cased text, in the order of the dictionaries.

    Kept to compare with: "elf" is found in "yourself", and words of any language in any text.
    """

    def __init__(
        self, dictionaries: Sequence[SignDictionary], max_keywords: int = 3, max_tokens: int = 10
    ) -> None:
        self.dictionaries = list(dictionaries)
        self.max_keywords, self.max_tokens = max_keywords, max_tokens

    def __call__(self, text: str, name: str | None = None) -> Retrieval:
        text = text.lower()
        found = {
            entry: dictionary
            for dictionary in reversed(self.dictionaries)  # an entry of several is the first's
            for entry in dictionary.entries
            if entry in text
        }
        order = [entry for one in self.dictionaries for entry in one.entries if entry in found]
        order = list(dict.fromkeys(order))
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
        max_keywords: most signs a text; 0 finds none.
        max_tokens: most steps a sign.
        spell_unknown: spell words that are not in the dictionary, by the entries of letters.
        languages: by corpus the ISO code of its texts; a corpus that is not named gets plain
            matching of whole words.
        shared: by corpus the languages whose texts use the same dictionary, if there are several.
        mode: ``search`` (`TextSearch`), ``precomputed`` (`PrecomputedSearch`) or
            ``legacy_substring`` (`SubstringSearch`, over all dictionaries).
        keyword_files: for ``precomputed``, by corpus the chosen words of each clip.
        frequencies: by corpus how frequent a word is in its texts (see `TextSearch`).

    Raises ``ValueError`` for numbers and modes that cannot be.
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
            raise ValueError(f"RETRIEVAL.MODE is {mode!r}; choose one of {list(MODES)}")
        self.dictionaries = dict(dictionaries) if max_keywords else {}
        languages, shared = languages or {}, shared or {}
        limits = (max_keywords, max_tokens)
        unique = list({id(one): one for one in self.dictionaries.values()}.values())
        makers: dict[str, Callable[[str], Finder]] = {
            SEARCH: lambda corpus: TextSearch(
                self.dictionaries[corpus], language_named(languages.get(corpus, "")), *limits,
                spell_unknown, shared.get(corpus, ()), (frequencies or {}).get(corpus),
            ),
            PRECOMPUTED: lambda corpus: PrecomputedSearch(
                self.dictionaries[corpus], (keyword_files or {}).get(corpus, {}), *limits
            ),
            LEGACY_SUBSTRING: lambda corpus: SubstringSearch(unique, *limits),
        }  # fmt: skip
        self.finders = {corpus: makers[mode](corpus) for corpus in self.dictionaries}

    def __call__(self, text: str, corpus: str, name: str | None = None) -> Retrieval:
        """The signs of a text; ``name`` is the clip's, which ``precomputed`` goes by."""
        finder = self.finders.get(corpus)
        return Retrieval() if finder is None else finder(clean(text), name)
