"""Where the clips of one split come from, and by which rules they are listed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from soke.data.annotations import (
    SIGNS,
    Clip,
    Drops,
    annotation_path,
    read_annotations,
    stronger_splits,
)
from soke.data.signs import read_isolated_signs


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

    @property
    def annotation(self) -> Path:
        """The file that lists the clips."""
        if self.split == SIGNS:
            return Path(self.root) / str(self.signs)
        return annotation_path(self.layout, self.root, self.split)

    @property
    def annotations(self) -> dict[str, Path]:
        """All files that decide which clips are listed, by split: a name counts in one split."""
        splits = () if self.split == SIGNS else stronger_splits(self.split)
        others = {split: annotation_path(self.layout, self.root, split) for split in splits}
        return {self.split: self.annotation} | others

    @property
    def rules(self) -> dict[str, object]:
        """Everything but where it lies: a data set may be moved."""
        return {key: value for key, value in asdict(self).items() if key != "root"}

    def list_clips(self) -> tuple[list[Clip], Drops]:
        """The usable clips and what was left out, see `soke.data.annotations`."""
        if self.split == SIGNS:
            return read_isolated_signs(self.layout, self.root, str(self.signs), self.corpus)
        return read_annotations(
            self.layout, self.root, self.split, self.corpus, self.fps, self.language
        )
