"""A corpus is a row of the configuration: where it lies, how it is laid out, its languages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from soke.data.motion.hands import CONVENTIONS


@dataclass(frozen=True)
class Corpus:
    """One data set and its pair of languages.

    ``layout`` names how it lies on disk (`soke.data.layouts`); ``text_language`` and
    ``sign_language`` are vocabulary tokens such as ``en_XX`` and ``en_ASL``; ``keyword_prompt``
    introduces a retrieved sign (``{i}`` is its number); ``language`` is the ISO code that a user
    types.
    """

    name: str
    layout: str
    root: str
    text_language: str
    sign_language: str
    keyword_prompt: str
    language: str
    fps: int = 25  # frames a second of its motion, after thinning
    signs: str | None = None  # list of isolated signs, relative to the root
    dictionary: str | None = None  # word2code.json
    lowercase: bool = False  # texts are read in lower case
    annotation: str | None = None  # its annotation file, with {split}, where the layout's is not it
    max_seconds: float | None = 30.0  # longer clips are left out
    hands: str = "auto"  # of poses from any tool: flat, relative, or found by how the hands idle
    mend_text: bool = False  # texts whose UTF-8 was read as Latin-1 are put right

    def __post_init__(self) -> None:
        if not isinstance(self.fps, int | float) or not self.fps > 0:
            raise ValueError(
                f"CORPORA.{self.name}.fps is {self.fps}; it has to be a number above 0"
            )
        longest = self.max_seconds
        if longest is not None and not (type(longest) in (int, float) and longest > 0):
            raise ValueError(
                f"CORPORA.{self.name}.max_seconds is {longest!r}; it has to be a number above 0, "
                "or null for no limit"
            )
        try:
            usable = self.annotation is None or str.format(self.annotation, split="train")
        except (TypeError, ValueError, LookupError, AttributeError):
            usable = False
        if not usable:
            raise ValueError(
                f"CORPORA.{self.name}.annotation is {self.annotation!r}; it has to be a file below "
                "the root, such as 'labels.{split}', or null"
            )
        if self.hands not in CONVENTIONS:
            raise ValueError(
                f"CORPORA.{self.name}.hands is {self.hands!r}; choose from {list(CONVENTIONS)}"
            )


def select_corpora(names: str, table: Mapping[str, Corpus]) -> list[Corpus]:
    """Resolve ``DATASET_NAME`` such as ``how2sign_csl_phoenix`` against the table of corpora.

    Raises ``ValueError`` for an empty name or one that is not in the table.
    """
    odd = [name for name in table if "_" in name]
    if odd:
        raise ValueError(f"names of CORPORA must have no underscore: {odd}")
    wanted = [name for name in names.split("_") if name]
    unknown = [name for name in wanted if name not in table]
    if not wanted or unknown:
        raise ValueError(
            f"DATASET.H2S.DATASET_NAME is {names!r}; join any of {sorted(table)} by underscores"
        )
    return [table[name] for name in table if name in wanted]


def corpus_of_language(language: str, corpora: list[Corpus]) -> Corpus:
    """The corpus whose text is in ``language`` (ISO code). Raises ``ValueError`` if none is."""
    for corpus in corpora:
        if corpus.language == language:
            return corpus
    known = [corpus.language for corpus in corpora]
    raise ValueError(f"no configured data set has texts in {language!r}; choose one of {known}")
