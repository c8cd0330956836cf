"""Where the clips of one split come from, and by which rules they are listed."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from soke.data.listing.annotation_files import annotation_path, stronger_splits
from soke.data.listing.annotations import (
    MAX_SECONDS,
    SIGNS,
    Clip,
    DropCounts,
    read_annotations,
)
from soke.data.listing.isolated_signs import read_isolated_signs
from soke.data.lmdb_clips import LMDB_SUFFIX, fingerprint
from soke.data.motion.hands import Hands
from soke.files import checksum


@dataclass(frozen=True)
class Source:
    """A split of a corpus, or its isolated signs, and the rules by which it is read."""

    corpus: str
    layout: str
    root: str
    split: str  # or "signs"
    fps: float
    language: str | None = None
    signs: str | None = None  # the list of isolated signs, relative to the root
    template: str | None = None  # of the annotation files, where they are not the layout's
    max_seconds: float | None = MAX_SECONDS
    hands: Hands | None = None  # how hand poses are read where their form leaves it open
    mend_text: bool = False

    @property
    def annotation(self) -> Path:
        """The file that lists the clips."""
        if self.split == SIGNS:
            return Path(self.root) / str(self.signs)
        return annotation_path(self.layout, self.root, self.split, self.template)

    @property
    def annotations(self) -> dict[str, Path]:
        """All files that decide which clips are listed, by split: a name counts in one split."""
        splits = () if self.split == SIGNS else stronger_splits(self.split)
        others = {
            split: annotation_path(self.layout, self.root, split, self.template) for split in splits
        }
        return {self.split: self.annotation} | others

    @property
    def checksums(self) -> dict[str, str]:
        """A checksum of each of `annotations` that exists."""
        return {
            split: fingerprint(path) if path.suffix == LMDB_SUFFIX else checksum(path)
            for split, path in self.annotations.items()
            if path.exists()
        }

    @property
    def rules(self) -> dict[str, object]:
        """Everything but where it lies: a data set may be moved.

        What was added since stores were first packed is left out where it says nothing.
        """
        rules = {key: value for key, value in asdict(self).items() if key != "root"}
        if self.hands is not None:
            relaxed = hashlib.sha256(repr(self.hands.relaxed).encode()).hexdigest()[:8]
            rules["hands"] = f"{self.hands.convention}, relaxed {relaxed}"
        defaults = {"template": None, "max_seconds": MAX_SECONDS, "hands": None, "mend_text": False}
        return {k: v for k, v in rules.items() if k not in defaults or v != defaults[k]}

    def list_clips(self) -> tuple[list[Clip], DropCounts]:
        """The usable clips and what was left out, see `soke.data.listing.annotations`."""
        hands = self.hands
        if self.split != "train":
            hands = _hands_in_training(replace(self, split="train", signs=None)) or hands
        if self.split == SIGNS:
            return read_isolated_signs(
                self.layout, self.root, str(self.signs), self.corpus, hands, self.fps
            )
        return read_annotations(
            self.layout,
            self.root,
            self.split,
            self.corpus,
            self.fps,
            self.language,
            template=self.template,
            max_seconds=self.max_seconds,
            hands=hands,
            mend_text=self.mend_text,
        )


@lru_cache
def _hands_in_training(source: Source) -> Hands | None:
    """What the training clips of a corpus tell of its hands, for its other splits; None if nothing.

    A corpus has one convention, whatever a few clips of another split look like.
    """
    if source.hands is None or source.hands.convention != "auto" or source.layout == "lmdb":
        return None
    try:
        clips, _ = source.list_clips()
    except (ValueError, FileNotFoundError):
        return None
    return next((clip.hands for clip in clips), None)
