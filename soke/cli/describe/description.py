"""Everything there is to say about the configured data sets, gathered once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from soke.assemble.data import read_clips
from soke.assemble.run import Run
from soke.cli.describe import counting
from soke.cli.describe.counting import Row, Section
from soke.data.datasets import LengthLimits
from soke.data.token_files import count_codes, token_path
from soke.files import MissingAssetError, atomic_path
from soke.generator import Vocabulary


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
    notes: dict[str, str]  # why the numbers of a subject are missing

    @property
    def data_sets(self) -> list[str]:
        return list(dict.fromkeys(section.corpus.name for section in self.sections))

    @property
    def splits(self) -> list[str]:
        return list(dict.fromkeys(section.summary.split for section in self.sections))


def describe(run: Run) -> Description:
    """Read everything about the configured data sets and count it."""
    sections = _read_sections(run)
    limits = run.length_limits
    training = run.TRAIN.SPLIT
    words = counting.count_words(sections)
    rows = {
        "lengths": [counting.length_row(section, limits) for section in sections],
        "entries": [counting.entry_row(section) for section in sections],
        "frames": [counting.frame_row(section, limits) for section in sections],
        "texts": [counting.text_row(section) for section in sections],
        "vocabulary": [counting.vocabulary_row(*item, training) for item in words.items()],
        "pieces": [],
        "tokens": _token_rows(run, sections),
    }
    notes = {}
    if all(section.lengths is None for section in sections):
        notes["lengths"] = "Clip lengths: poses are not packed, and DATASET.CHECK_POSES is false."
    try:
        rows["pieces"] = _piece_rows(run, sections)
    except MissingAssetError as error:
        notes["pieces"] = f"Pieces of the generator: {error}"
    if not rows["tokens"]:
        notes["tokens"] = (
            "Token usage: there are no token files of these clips in "
            f"{run.token_folder}; "
            "`python -m get_motion_code --cfg ... --nodebug` writes them."
        )
    known = list(run.CORPORA)
    return Description(run.NAME, known, sections, limits, training, words, rows, notes)


def _read_sections(run: Run) -> list[Section]:
    """Every split of every data set, in the order of the configuration."""
    splits = dict.fromkeys((run.TRAIN.SPLIT, run.EVAL.SPLIT, run.TEST.SPLIT))
    groups = [group for split in splits for group in read_clips(run, split).groups]
    return [
        Section.of(group, corpus)
        for corpus in run.corpora.values()
        for group in groups
        if group.summary.corpus == corpus.name
    ]


def _piece_rows(run: Run, sections: Sequence[Section]) -> list[Row]:
    """How the generator's pieces cover the texts, by language and split.

    Raises `soke.files.MissingAssetError` without the generator's folder.
    """
    # The folder may lack the language tokens, which are not needed here.
    vocabulary = Vocabulary(run.model.generator.folder, run.parts, [], [])
    texts: dict[tuple[str, str], list[str]] = {}
    for section in sections:
        key = (section.corpus.language, section.summary.split)
        texts.setdefault(key, []).extend(section.texts)
    return [counting.piece_row(*key, own, vocabulary.encode_text) for key, own in texts.items()]


def _token_rows(run: Run, sections: Sequence[Section]) -> list[Row]:
    """Token usage of each part in each data set that has token files, all splits together."""
    folder = run.token_folder
    parts = run.parts
    rows = []
    for corpus in run.corpora:
        clips = [clip for s in sections if s.corpus.name == corpus for clip in s.clips]
        paths = [token_path(folder, corpus, clip.name) for clip in clips]
        usages = count_codes((path for path in paths if path.exists()), parts)
        rows += [
            counting.usage_row(corpus, len(clips), part, usage)
            for part, usage in zip(parts.names, usages)
        ]
    return rows


def write_json(description: Description, folder: Path) -> Path:
    """Write all numbers to ``data_description.json``, atomically."""
    content = {
        "configuration": description.configuration,
        "data_sets": description.data_sets,
        "splits": description.splits,
        "length_limits": asdict(description.limits),
        **description.rows,
        "notes": description.notes,
    }
    path = folder / "data_description.json"
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return path
