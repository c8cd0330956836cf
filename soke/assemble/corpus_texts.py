"""What the generator reads: the texts of a configuration's data sets, and the words around them."""

from __future__ import annotations

import logging

from soke.assemble.data import clip_source
from soke.assemble.run import Run
from soke.config import plain
from soke.generator.prompts import TEXT_SLOT

log = logging.getLogger(__name__)


def training_texts(run: Run) -> list[str]:
    """The texts of the training split of every corpus that is there, spelled as it is read.

    Also of corpora that are not chosen now: they may be later.
    """
    texts = []
    for corpus in run.all_corpora.values():
        source = clip_source(run, corpus, run.TRAIN.SPLIT)
        if not source.annotation.exists():
            log.info("%s: no texts, there is no %s", corpus.name, source.annotation)
            continue
        own = [clip.text for clip in source.list_clips()[0]]
        log.info("%s: %d texts", corpus.name, len(own))
        texts += [text.lower() for text in own] if corpus.lowercase else own
    return texts


def keyword_phrases(run: Run) -> list[str]:
    """What introduces a retrieved sign in each language, numbers filled in."""
    signs = range(1, max(run.RETRIEVAL.MAX_KEYWORDS, 1) + 1)
    return [corpus.keyword_prompt.format(i=i) for corpus in run.all_corpora.values() for i in signs]


def templates(run: Run) -> list[str]:
    """The prompt templates of all stages."""
    stages = plain(run.PROMPTS).values()
    return list(dict.fromkeys([TEXT_SLOT, *(template for stage in stages for template in stage)]))


def text_languages(run: Run) -> list[str]:
    """mBART's codes of the languages in use."""
    corpora = run.all_corpora.values()
    return list(dict.fromkeys(corpus.text_language for corpus in corpora))
