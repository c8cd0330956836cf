"""Keywords that were chosen beforehand: ``name2kws_{train,val,test}.json``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from soke.files import MissingAssetError
from soke.retrieval.sign_dictionary import SignDictionary, read_json_object
from soke.retrieval.text_search import TOO_MANY
from soke.structures import Keyword, Retrieval

log = logging.getLogger(__name__)

KEYWORD_FILES = tuple(f"name2kws_{split}.json" for split in ("train", "val", "test"))


class PrecomputedSearch:
    """The words of a list, clip by clip; the first ``max_keywords`` of them, repeats included.

    A clip that is not in the list, and a text without a clip, have none, and their
    `Retrieval.listed` is False. Raises ``ValueError`` for a word that is not in the dictionary.
    """

    def __init__(
        self,
        dictionary: SignDictionary,
        chosen: Mapping[str, Sequence[str]],
        max_keywords: int = 3,
        max_tokens: int = 10,
    ) -> None:
        self.dictionary = dictionary
        self.chosen = chosen
        self.max_keywords = max_keywords
        self.max_tokens = max_tokens

    def __call__(self, text: str, name: str | None = None) -> Retrieval:
        if name is None or name not in self.chosen:
            return Retrieval(listed=False)
        keywords: list[Keyword] = []
        words = self.chosen[name]
        for word in words:
            entry = self.dictionary.find(word)
            if entry is None:
                raise ValueError(
                    f"the keywords chosen for the clip {name!r} have {word!r}, which is not in "
                    "the dictionary of its corpus"
                )
            if len(keywords) < self.max_keywords:
                tokens = self.dictionary.lookup(entry, self.max_tokens)
                keywords.append(Keyword(entry, tokens, word, "precomputed"))
        dropped = tuple((word, TOO_MANY) for word in words[len(keywords) :])
        return Retrieval(tuple(keywords), dropped=dropped)


def read_keyword_files(
    folder: str | Path, dictionaries: Mapping[str, SignDictionary]
) -> dict[str, dict[str, list[str]]]:
    """The words chosen for each clip, by corpus.

    The files of a corpus are in the subfolder of its name; without one, the files in ``folder``
    itself hold the clips of all such corpora. Their words are checked against the dictionaries of
    the corpora that read them: a word must be in at least one.

    Raises `soke.files.MissingAssetError` if there is no file, and ``ValueError`` that names file
    and clip for a wrong type and for words that are in no dictionary.
    """
    folder = Path(folder)
    places = {
        corpus: own if (own := folder / corpus).is_dir() else folder for corpus in dictionaries
    }
    read: dict[Path, dict[str, list[str]]] = {}
    for place in dict.fromkeys(places.values()):
        users = [dictionaries[corpus] for corpus, used in places.items() if used == place]
        read[place] = _read_folder(place, users)
    return {corpus: read[place] for corpus, place in places.items()}


def _read_folder(folder: Path, users: Sequence[SignDictionary]) -> dict[str, list[str]]:
    files = [folder / name for name in KEYWORD_FILES if (folder / name).exists()]
    if not files:
        raise MissingAssetError(
            "The keywords chosen beforehand",
            folder / "name2kws_{train,val,test}.json",
            "Name their folder in RETRIEVAL.KEYWORDS_DIR, or let RETRIEVAL.MODE=search find them",
        )
    chosen: dict[str, list[str]] = {}
    known: dict[str, bool] = {}
    for path in files:
        for name, words in read_json_object(path, "list of keywords").items():
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise ValueError(f"{path}: the clip {name!r} has to have a list of words")
            for word in words:
                if word not in known:
                    known[word] = any(word in dictionary for dictionary in users)
                if not known[word]:
                    raise ValueError(
                        f"{path}: the clip {name!r} has the word {word!r}, which is in no "
                        "dictionary of the chosen corpora. Files of single corpora belong in "
                        f"subfolders of {folder} named as in CORPORA"
                    )
            if chosen.setdefault(name, words) != words:
                log.warning(
                    "%s: the clip %r is in an earlier file with other words, which count",
                    path,
                    name,
                )
    log.info("keywords of %d clips in %s", len(chosen), folder)
    return chosen
