"""Everything that is said about the configured data sets, gathered once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from soke import assemble as build
from soke.cli.describe import counting
from soke.cli.describe.counting import Row, Section
from soke.data.datasets import LengthLimits
from soke.files import MissingAssetError, atomic_path
from soke.generator import Vocabulary

JSON = "data_description.json"


@dataclass(frozen=True)
class Description:
    """What tables and figures are made of; ``rows`` are all numbers, by subject."""

    configuration: str  # its NAME
    known: list[str]  # all data sets of the configuration, chosen or not
    sections: list[Section]
    limits: LengthLimits
    training: str  # the split
    words: dict[str, dict[str, Counter[str]]]  # by language and split
    rows: dict[str, list[Row]]
    notes: dict[str, str]  # why the numbers of a subject are not there

    @property
    def data_sets(self) -> list[str]:
        return list(dict.fromkeys(section.corpus.name for section in self.sections))

    @property
    def splits(self) -> list[str]:
        return list(dict.fromkeys(section.split for section in self.sections))

    def sets_of(self, language: str) -> list[str]:
        """The data sets with texts in a language."""
        own = [section for section in self.sections if section.corpus.language == language]
        return list(dict.fromkeys(section.corpus.name for section in own))


def describe(config: DictConfig) -> Description:
    """Read everything about the configured data sets and count it."""
    sections, limits = read_sections(config), build.length_limits(config)
    words = counting.count_words(sections)
    rows = {
        "lengths": [counting.length_row(section, limits) for section in sections],
        "entries": [counting.entry_row(section) for section in sections],
        "frames": [counting.frame_row(section, limits) for section in sections],
        "texts": [counting.text_row(section) for section in sections],
        "vocabulary": [
            counting.vocabulary_row(language, by_split, config.TRAIN.SPLIT)
            for language, by_split in words.items()
        ],
    }
    notes = {}
    if all(section.lengths is None for section in sections):
        notes["lengths"] = "Clip lengths: poses are not packed, and DATASET.CHECK_POSES is false."
    try:
        rows["pieces"] = piece_rows(config, sections)
    except MissingAssetError as error:
        rows["pieces"], notes["pieces"] = [], f"Pieces of the generator: {error}"
    rows["tokens"] = token_rows(config, sections)
    if not rows["tokens"]:
        folder = build.code_folder(config)
        notes["tokens"] = (
            f"Token usage: there are no token files of these clips in {folder}; "
            "`python -m get_motion_code --cfg ... --nodebug` writes them."
        )
    return Description(
        config.NAME, list(config.CORPORA), sections, limits, config.TRAIN.SPLIT, words, rows, notes
    )


def read_sections(config: DictConfig) -> list[Section]:
    """Every split of every data set, in the order of the configuration."""
    splits = dict.fromkeys((config.TRAIN.SPLIT, config.EVAL.SPLIT, config.TEST.SPLIT))
    groups = [group for split in splits for group in build.read_clips(config, split).groups]
    return [
        Section.of(group, corpus)
        for corpus in build.corpora(config).values()
        for group in groups
        if group.summary.corpus == corpus.name
    ]


def piece_rows(config: DictConfig, sections: Sequence[Section]) -> list[Row]:
    """How the generator's pieces cover the texts, by language and split.

    Raises `soke.files.MissingAssetError` without the generator's folder.
    """
    # Pieces alone do not ask for the language tokens, which the folder may lack.
    vocabulary = Vocabulary(config.model.generator.folder, build.part_table(config), [], [])
    texts: dict[tuple[str, str], list[str]] = {}
    for section in sections:
        texts.setdefault((section.corpus.language, section.split), []).extend(section.texts)
    return [counting.piece_row(*key, some, vocabulary.encode_text) for key, some in texts.items()]


def token_rows(config: DictConfig, sections: Sequence[Section]) -> list[Row]:
    """Token usage of each part in each data set that has token files, all splits together."""
    folder, parts, rows = build.code_folder(config), build.part_table(config), []
    for name in build.corpora(config):
        own = [section for section in sections if section.corpus.name == name]
        clips = sum(len(section.names) for section in own)
        usages = counting.count_tokens(folder, own, parts)
        rows += [
            counting.usage_row(name, clips, part, usage) for part, usage in zip(parts.names, usages)
        ]
    return rows


def write_json(description: Description, folder: Path) -> Path:
    """Write all numbers to ``data_description.json``, atomically."""
    limits = description.limits
    content = {
        "configuration": description.configuration,
        "data_sets": description.data_sets,
        "splits": description.splits,
        "length_limits": {
            "minimum": limits.minimum,
            "maximum": limits.maximum,
            "unit": limits.unit,
        },
        **description.rows,
        "notes": description.notes,
    }
    path = folder / JSON
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return path
