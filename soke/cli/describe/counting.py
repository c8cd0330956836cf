"""What is to be said about a data set, in numbers: lengths, texts, losses, words, tokens.

Every function returns plain rows: dicts of numbers and strings.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from soke.data.clips import Group, Summary
from soke.data.corpora import Corpus
from soke.data.datasets import LengthLimits
from soke.data.tokens import CodeUsage, count_codes, token_path
from soke.generator.vocabulary import UNK
from soke.parts import PartTable

Row = dict[str, object]

#: Languages that are written without spaces: their characters are counted in place of words.
UNSPACED = ("zh", "ja", "th")
_WORD = re.compile(r"\w+(?:'\w+)*")
_CHARACTER = re.compile(r"\w")


@dataclass(frozen=True)
class Section:
    """One split of one data set, as the networks are to see it."""

    corpus: Corpus
    summary: Summary
    names: list[str]
    texts: list[str]  # as the generator reads them
    rates: np.ndarray  # [C] native frames a second, nan where that is not known
    lengths: np.ndarray | None  # [C] frames after thinning; None where they were not read
    glosses: list[str] = field(default_factory=list)  # "" where there is none
    signers: list[str] = field(default_factory=list)
    annotated: list[int | None] = field(default_factory=list)  # frames, by the annotation

    @classmethod
    def of(cls, group: Group, corpus: Corpus) -> Section:
        clips = list(group.clips)
        texts = [clip.text.lower() if corpus.lowercase else clip.text for clip in clips]
        rates = np.array([np.nan if clip.fps is None else clip.fps for clip in clips], float)
        names = [clip.name for clip in clips]
        return cls(
            corpus=corpus,
            summary=group.summary,
            names=names,
            texts=texts,
            rates=rates,
            lengths=group.lengths,
            glosses=[clip.gloss for clip in clips],
            signers=[clip.signer for clip in clips],
            annotated=[clip.num_frames for clip in clips],
        )

    @property
    def split(self) -> str:
        return self.summary.split

    @property
    def label(self) -> Row:
        return {"data_set": self.corpus.name, "split": self.split}


def spread(values: Sequence[float] | np.ndarray) -> Row:
    """Least, median, mean, 95th percentile and greatest value; None of nothing."""
    if not len(values):
        return dict.fromkeys(("least", "median", "mean", "p95", "greatest"))
    median, p95 = np.percentile(values, [50, 95])
    least, greatest, mean = np.min(values), np.max(values), np.mean(values)
    numbers = {"least": least, "median": median, "mean": mean, "p95": p95, "greatest": greatest}
    return {key: float(value) for key, value in numbers.items()}


def ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def length_row(section: Section, limits: LengthLimits) -> Row:
    """Lengths in frames, and the shares of clips (0 to 1) outside the limits."""
    row = section.label | {"clips": len(section.names), "fps": section.corpus.fps}
    lengths = section.lengths
    if lengths is None:
        return row | {"seconds": None, "stretched": None, "squeezed": None} | spread([])
    return (
        row
        | {
            "seconds": float(lengths.sum() / section.corpus.fps),
            "stretched": ratio(np.count_nonzero(lengths < limits.minimum), len(lengths)),
            "squeezed": ratio(np.count_nonzero(lengths > limits.maximum), len(lengths)),
        }
        | spread(lengths)
    )


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
    """What becomes of the frames of the kept clips.

    ``native`` frames lie on disk; ``frame_rate`` of them are thinned away, ``cut`` to a multiple of
    the unit or ``squeezed`` to the greatest length; ``repeated`` are added where a clip is
    stretched; ``used`` remain. ``missing`` are gaps in the numbering: they never were on disk.
    The number before thinning is worked back from the number after it: of the possible ones it is
    the least, so that a clip may have lost one frame more (two at over twice the target rate).
    """
    keys = ("native", "frame_rate", "cut", "squeezed", "repeated", "used")
    row = section.label | {"clips_with_gaps": section.summary.gaps}
    row |= {"missing": section.summary.missing}
    if section.lengths is None:
        return row | dict.fromkeys(keys)
    lengths, target = section.lengths, section.corpus.fps
    faster = section.rates > target  # False where the rate is not known
    native = lengths.astype(float)
    # The quotient may be rounded to just above a whole number.
    native[faster] = np.ceil(lengths[faster] * section.rates[faster] / target - 1e-6)
    used = limits.sizes(lengths)
    long, short = lengths > limits.maximum, lengths < limits.minimum
    lost = lengths - used
    counts = (native, native - lengths, lost[~long & ~short], lost[long], -lost[short], used)
    return row | {key: int(count.sum()) for key, count in zip(keys, counts)}


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
    """Letters and digits of a text."""
    return len(_CHARACTER.findall(unicodedata.normalize("NFC", text)))


def text_row(section: Section) -> Row:
    language = section.corpus.language
    return section.label | {
        "language": language,
        "unit": unit(language),
        "texts": len(section.texts),
        "distinct": len(set(section.texts)),
        "length": spread([len(words(text, language)) for text in section.texts]),
        "characters": spread([characters(text) for text in section.texts]),
        "with_gloss": sum(bool(gloss) for gloss in section.glosses),
        "gloss_types": len({word for gloss in section.glosses for word in gloss.split()}),
        "signers": len(set(section.signers) - {""}),
        "annotated_frames": spread([count for count in section.annotated if count is not None]),
    }


def count_words(sections: Sequence[Section]) -> dict[str, dict[str, Counter[str]]]:
    """How often each word occurs, by language and split."""
    counts: dict[str, dict[str, Counter[str]]] = {}
    for section in sections:
        language = section.corpus.language
        counter = counts.setdefault(language, {}).setdefault(section.split, Counter())
        for text in section.texts:
            counter.update(words(text, language))
    return counts


def vocabulary_row(language: str, by_split: dict[str, Counter[str]], training: str) -> Row:
    """The vocabulary of a language's ``training`` split, and what the other splits have beyond it.

    ``hapax`` is the share of types that occur once; ``unseen`` the share of running words (tokens)
    and of types that training lacks. Shares are 0 to 1, None of nothing.
    """
    seen = by_split[training]
    held_out = []
    for split, counts in by_split.items():
        if split != training:
            new = {word: count for word, count in counts.items() if word not in seen}
            held_out.append(
                {
                    "split": split, "types": len(counts), "tokens": counts.total(),
                    "unseen_types": ratio(len(new), len(counts)),
                    "unseen_tokens": ratio(sum(new.values()), counts.total()),
                }
            )  # fmt: skip
    return {
        "language": language,
        "unit": unit(language),
        "training": training,
        "types": len(seen),
        "tokens": seen.total(),
        "hapax": ratio(sum(count == 1 for count in seen.values()), len(seen)),
        "held_out": held_out,
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


def count_tokens(folder: Path, sections: Sequence[Section], parts: PartTable) -> list[CodeUsage]:
    """`count_codes` over the token files of these clips; clips without one are passed over."""
    paths = (
        token_path(folder, section.corpus.name, name)
        for section in sections
        for name in section.names
    )
    return count_codes((path for path in paths if path.exists()), parts)


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
