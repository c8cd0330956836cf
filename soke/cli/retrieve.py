"""Show which signs a text calls for, and which of its words have none.

    soke retrieve "Morgen regnet es in Bayern" --lang de --cfg configs/soke.yaml
    soke retrieve "See you tomorrow" --lang en --dictionary deps/word2code.json --shared en zh de

``--cfg`` takes dictionaries and the section RETRIEVAL from a configuration (default.yaml if it is
not given); ``--dictionary`` reads one file in place of the configured ones.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from soke.cli.main import run_verb
from soke.config import SCHEMA, build_row, load_config, plain

if TYPE_CHECKING:
    from soke.parts import PartTable
    from soke.retrieval import KeywordSearch, Retrieval

#: The corpus of a text whose dictionary is named by ``--dictionary``.
_OWN = "text"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="soke retrieve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("text")
    add("--lang", required=True, help="language of the text: en, de, zh, ...")
    add("--cfg", default=str(SCHEMA), help="a YAML file, such as configs/soke.yaml")
    add("--dictionary", help="a word2code.json to read in place of the configured ones")
    shared = "languages of the entries of --dictionary, if there are several"
    add("--shared", nargs="+", default=[], metavar="LANG", help=shared)
    options = parser.parse_args(arguments)
    from soke.parts import PartTable
    from soke.retrieval import clean

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    config = plain(load_config(options.cfg))
    parts = PartTable.from_rows(config["PARTS"])
    search, corpus = _search(config, parts, options)
    show(search(clean(options.text), corpus), parts)


def _search(
    config: dict[str, Any], parts: PartTable, options: argparse.Namespace
) -> tuple[KeywordSearch, str]:
    """The search, and the corpus to search for."""
    from soke.data.corpora import Corpus, corpus_of_language, select_corpora
    from soke.retrieval import open_search
    from soke.retrieval.search import PRECOMPUTED, SEARCH

    settings = config["RETRIEVAL"]
    if not settings["MAX_KEYWORDS"]:
        raise ValueError(f"{options.cfg} switches retrieval off: RETRIEVAL.MAX_KEYWORDS is 0")
    table = [
        build_row(Corpus, {"name": name, **row}, f"CORPORA.{name}")
        for name, row in config["CORPORA"].items()
    ]
    if options.dictionary is not None:
        model = replace(table[0], name=_OWN, dictionary=options.dictionary)
        corpus = replace(model, language=options.lang)
        table = [replace(model, language=code) for code in (options.lang, *options.shared)]
    else:
        names = config["DATASET"]["H2S"]["DATASET_NAME"]
        chosen = select_corpora(names, {corpus.name: corpus for corpus in table})
        corpus = corpus_of_language(options.lang, chosen)
        if corpus.dictionary is None:
            raise ValueError(
                f"CORPORA.{corpus.name} has no dictionary: no signs are retrieved for its texts"
            )
    # A typed text is no clip, so no keywords were chosen for it beforehand: it is searched.
    mode = SEARCH if settings["MODE"] == PRECOMPUTED else settings["MODE"]
    search = open_search(
        [corpus],
        table,
        parts,
        settings["MAX_KEYWORDS"],
        settings["MAX_TOKENS"],
        settings["SPELL_UNKNOWN"],
        mode,
    )
    return search, corpus.name


def show(retrieval: Retrieval, parts: PartTable) -> None:
    """Print a table of the signs, and below it what is missing and what was left out."""
    console = Console()
    table = Table("sign", "in the text", "found by", "steps", *parts.names)
    for keyword in retrieval.keywords:
        codes = [" ".join(map(str, column)) for column in keyword.tokens.T]
        table.add_row(keyword.word, keyword.text, keyword.match, str(len(keyword.tokens)), *codes)
    console.print(table if retrieval.keywords else "no signs", markup=False)
    if retrieval.missing:
        console.print(f"without a sign: {', '.join(retrieval.missing)}", markup=False)
    for word, why in retrieval.dropped:
        console.print(f"left out: {word} ({why})", markup=False)


if __name__ == "__main__":
    run_verb(main)
