"""What there is to say about a data set in numbers: lengths, texts, losses, words, tokens.

Every function returns rows: dicts of numbers and strings. None stands for an unknown number.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from soke.data.clips import Group, Summary
from soke.data.corpora import Corpus
from soke.data.datasets import LengthLimits
from soke.data.listing.annotations import Clip
from soke.data.token_files import CodeUsage
from soke.generator.vocabulary import UNK

Row = dict[str, Any]

#: Languages written without spaces: their characters are counted instead of words.
UNSPACED = ("zh", "ja", "th")
_WORD = re.compile(r"\w+(?:'\w+)*")
_CHARACTER = re.compile(r"\w")
_SPREAD = {"min": "least", "50%": "median", "mean": "mean", "95%": "p95", "max": "greatest"}


@dataclass(frozen=True)
class Section:
    """One split of one data set, as the networks see it."""

    corpus: Corpus
    summary: Summary
    clips: list[Clip]
    texts: list[str]  # as the generator reads them
    lengths: np.ndarray | None  # [C] frames after thinning; None where they were not read

    @classmethod
    def of(cls, group: Group, corpus: Corpus) -> Section:
        clips = list(group.clips)
        texts = [clip.text.lower() if corpus.lowercase else clip.text for clip in clips]
        return cls(corpus, group.summary, clips, texts, group.lengths)

    @property
    def label(self) -> Row:
        return {"data_set": self.corpus.name, "split": self.summary.split}


def spread(values: Sequence[float] | np.ndarray) -> Row:
    """Least, median, mean, 95th percentile and greatest value; None of nothing."""
    found = pd.Series(values, dtype=float).describe(percentiles=[0.5, 0.95])
    return {name: _known(found[key]) for key, name in _SPREAD.items()}


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def ratio(part: float | np.integer, whole: float) -> float | None:
    return float(part / whole) if whole else None


def length_row(section: Section, limits: LengthLimits) -> Row:
    """Lengths in frames, and the shares of clips (0 to 1) outside the limits."""
    row = section.label | {"clips": len(section.clips), "fps": section.corpus.fps}
    lengths = section.lengths
    if lengths is None:
        return row | dict.fromkeys(("seconds", "stretched", "squeezed")) | spread([])
    row["seconds"] = float(lengths.sum() / section.corpus.fps)
    row["stretched"] = ratio(np.count_nonzero(lengths < limits.minimum), len(lengths))
    row["squeezed"] = ratio(np.count_nonzero(lengths > limits.maximum), len(lengths))
    return row | spread(lengths)


def entry_row(section: Section) -> Row:
    """How many entries of the annotation are kept, and why the others are not."""
    summary = section.summary
    dropped = {reason: count for reason, count in summary.dropped.items() if count}
    return section.label | {
        "poses_from": summary.source,
        "entries": summary.kept + sum(dropped.values()),
        "kept": summary.kept,
        "dropped": dropped,
    }


def frame_row(section: Section, limits: LengthLimits) -> Row:
    """What happens to the frames of the kept clips.

    ``native`` frames are on disk; ``frame_rate`` of them are thinned away, ``cut`` to a multiple of
    the unit or ``squeezed`` to the greatest length; ``repeated`` are added where a clip is
    stretched; ``used`` remain. ``missing`` are gaps in the numbering, never on disk.
    """
    row = section.label | {
        "clips_with_gaps": section.summary.gaps,
        "missing": section.summary.missing,
    }
    if section.lengths is None:
        keys = ("native", "frame_rate", "cut", "squeezed", "repeated", "used")
        return row | dict.fromkeys(keys)
    rates = np.array([clip.fps or np.nan for clip in section.clips], float)
    return row | count_frames(section.lengths, rates, section.corpus.fps, limits)


def count_frames(
    lengths: np.ndarray, rates: np.ndarray, target: float, limits: LengthLimits
) -> dict[str, int]:
    """Sums over clips with ``lengths`` [C] after thinning from ``rates`` [C] (nan: unknown).

    The number of frames before thinning is worked back from the number after it. Of the possible
    ones it is the least: a clip may have lost one frame more (two above twice the target rate).
    """
    faster = rates > target  # False where the rate is not known
    native = lengths.astype(float)
    # The quotient may be rounded to just above a whole number.
    native[faster] = np.ceil(lengths[faster] * rates[faster] / target - 1e-6)
    used = limits.sizes(lengths)
    long = lengths > limits.maximum
    short = lengths < limits.minimum
    lost = lengths - used
    counts = {
        "native": native,
        "frame_rate": native - lengths,
        "cut": lost[~long & ~short],
        "squeezed": lost[long],
        "repeated": -lost[short],
        "used": used,
    }
    return {key: int(count.sum()) for key, count in counts.items()}


def unit(language: str) -> str:
    """What the texts of a language are counted in: "word" or "character"."""
    return "character" if language.split("-")[0] in UNSPACED else "word"


def words(text: str, language: str) -> list[str]:
    """The words of a text in lower case, or its characters where there are no spaces.

    Words are runs of letters and digits, joined by apostrophes; punctuation is left out.
    """
    text = unicodedata.normalize("NFC", text).lower().replace("’", "'")
    return (_CHARACTER if unit(language) == "character" else _WORD).findall(text)


def characters(text: str) -> int:
    """The number of letters and digits of a text."""
    return len(_CHARACTER.findall(unicodedata.normalize("NFC", text)))


def text_row(section: Section) -> Row:
    language = section.corpus.language
    annotated = [clip.num_frames for clip in section.clips if clip.num_frames is not None]
    return section.label | {
        "language": language,
        "unit": unit(language),
        "texts": len(section.texts),
        "distinct": len(set(section.texts)),
        "length": spread([len(words(text, language)) for text in section.texts]),
        "characters": spread([characters(text) for text in section.texts]),
        "with_gloss": sum(bool(clip.gloss) for clip in section.clips),
        "gloss_types": len({word for clip in section.clips for word in clip.gloss.split()}),
        "signers": len({clip.signer for clip in section.clips} - {""}),
        "annotated_frames": spread(annotated),
    }


def count_words(sections: Sequence[Section]) -> dict[str, dict[str, Counter[str]]]:
    """How often each word occurs, by language and split."""
    counts: dict[str, dict[str, Counter[str]]] = {}
    for section in sections:
        language = section.corpus.language
        counter = counts.setdefault(language, {}).setdefault(section.summary.split, Counter())
        for text in section.texts:
            counter.update(words(text, language))
    return counts


def vocabulary_row(language: str, by_split: Mapping[str, Counter[str]], training: str) -> Row:
    """The vocabulary of a language's ``training`` split, and what the other splits have beyond it.

    ``hapax`` is the share of types that occur once; ``unseen`` the share of running words (tokens)
    and of types that training lacks. Shares are 0 to 1.
    """
    seen = by_split[training]
    return {
        "language": language,
        "unit": unit(language),
        "training": training,
        "types": len(seen),
        "tokens": seen.total(),
        "hapax": ratio(sum(count == 1 for count in seen.values()), len(seen)),
        "held_out": [
            {"split": split, **_unseen(counts, seen)}
            for split, counts in by_split.items()
            if split != training
        ],
    }


def _unseen(counts: Counter[str], seen: Counter[str]) -> Row:
    new = [count for word, count in counts.items() if word not in seen]
    return {
        "types": len(counts),
        "tokens": counts.total(),
        "unseen_types": ratio(len(new), len(counts)),
        "unseen_tokens": ratio(sum(new), counts.total()),
    }


def piece_row(
    language: str, split: str, texts: Sequence[str], encode: Callable[[str], list[int]]
) -> Row:
    """How the generator's pieces cover texts; ``encode`` gives the embedding rows of a text."""
    encoded = [encode(text) for text in texts]
    unknown = [rows.count(UNK) for rows in encoded]
    total = sum(len(rows) for rows in encoded)
    return {
        "language": language,
        "split": split,
        "texts": len(texts),
        "pieces": total,
        "unknown": ratio(sum(unknown), total),
        "texts_with_unknown": ratio(np.count_nonzero(unknown), len(texts)),
        "longest": max(map(len, encoded), default=None),
    }


def usage_row(corpus: str, clips: int, part: str, usage: CodeUsage) -> Row:
    """Token usage of one part over the ``clips`` clips of a data set; ``counts`` by code."""
    return {
        "data_set": corpus,
        "part": part,
        "clips": clips,
        "with_tokens": usage.clips,
        "steps": int(usage.counts.sum()),
        "codes": len(usage.counts),
        "in_use": usage.in_use,
        "perplexity": usage.perplexity,
        "counts": usage.counts.tolist(),
    }
