"""Vocabulary and prompts, as the configuration says."""

from __future__ import annotations

import logging
from pathlib import Path

from soke.assemble.run import Run
from soke.config import plain
from soke.files import checksum
from soke.generator import PromptBuilder, Vocabulary
from soke.retrieval import KeywordSearch, open_search

log = logging.getLogger(__name__)


def build_vocabulary(run: Run) -> Vocabulary:
    """The rows of the mBART folder, of the languages and of the parts' codes."""
    generator = run.model.generator
    return Vocabulary(
        generator.folder,
        run.parts,
        text_languages=[corpus.text_language for corpus in run.corpora.values()],
        sign_languages=[corpus.sign_language for corpus in run.all_corpora.values()],
        part_languages=generator.decoder == "part",
    )


def text_builder(run: Run) -> PromptBuilder:
    """What makes batches for the text decoder: texts as they are, without retrieved signs."""
    nothing = KeywordSearch({})
    longest = run.model.generator.max_source
    return PromptBuilder(build_vocabulary(run), run.corpora, nothing, longest)


def prompt_builder(run: Run) -> PromptBuilder:
    """Vocabulary, dictionaries and templates; ``.vocabulary`` is what the generator needs."""
    parts = run.parts
    chosen = run.corpora
    settings = run.RETRIEVAL
    checkpoint = Path(run.TRAIN.PRETRAINED_VAE)
    search = open_search(
        chosen.values(),
        run.all_corpora.values(),
        parts,
        settings.MAX_KEYWORDS,
        settings.MAX_TOKENS,
        settings.SPELL_UNKNOWN,
        settings.MODE,
        settings.KEYWORDS_DIR,
        checksum(checkpoint) if checkpoint.exists() and not run.DEBUG else None,
    )
    stage = run.TRAIN.STAGE if run.TRAIN.STAGE in run.PROMPTS else "lm_pretrain"
    templates = plain(run.PROMPTS[stage])
    return PromptBuilder(
        build_vocabulary(run),
        chosen,
        search,
        run.model.generator.max_source,
        templates,
        run.TRAIN.HIDE_TEXT,
        run.TRAIN.HIDE_SIGNS,
        run.TRAIN.SWAP_CODES,
    )
