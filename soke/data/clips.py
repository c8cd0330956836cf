"""The clips of a split over several corpora, and how they came about."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import overload

import numpy as np
from rich.console import Console
from rich.table import Table

from soke.data.listing.annotations import Clip
from soke.files import atomic_path

#: Clips that are squeezed by more than this are worth a warning.
_SQUEEZED = 1.5
OTHER_TEXT = "text not asked for"  # why a clip is left out, beside other reasons


@dataclass(frozen=True)
class Summary:
    """What became of the entries of one split of a corpus."""

    corpus: str
    split: str
    source: str  # where the motion is read from
    kept: int
    dropped: dict[str, int] = field(default_factory=dict)  # by reason
    frames: int | None = None  # of the clips that are kept; None where they were not read
    gaps: int | None = None  # clips with missing frame numbers
    missing: int | None = None  # numbers that are missing in them
    faults: tuple[str, ...] = ()  # a message for each damaged entry or clip
    notes: tuple[str, ...] = ()  # what else is worth knowing


@dataclass(frozen=True)
class Group:
    """The clips of one split of a corpus; ``lengths`` [C] are frames, where they are known."""

    clips: Sequence[Clip]
    lengths: np.ndarray | None
    summary: Summary

    def first(self, count: int | None) -> Group:
        """The first few clips; all of them where ``count`` is None."""
        if count is None:
            return self
        clips = self.clips[:count]
        lengths = None if self.lengths is None else self.lengths[:count]
        frames = None if lengths is None else int(lengths.sum())
        return Group(clips, lengths, replace(self.summary, kept=len(clips), frames=frames))

    def with_text(self, pattern: re.Pattern[str] | None) -> Group:
        """The clips whose text has a match; all of them where ``pattern`` is None."""
        if pattern is None:
            return self
        chosen = np.array([bool(pattern.search(clip.text)) for clip in self.clips], dtype=bool)
        clips = [self.clips[int(i)] for i in np.flatnonzero(chosen)]
        lengths = None if self.lengths is None else self.lengths[chosen]
        frames = None if lengths is None else int(lengths.sum())
        dropped = {**self.summary.dropped, OTHER_TEXT: int((~chosen).sum())}
        summary = replace(self.summary, kept=len(clips), frames=frames, dropped=dropped)
        return Group(clips, lengths, summary)


class Clips(Sequence[Clip]):
    """The clips of several groups as one sequence. A packed store makes each when it is asked for.

    ``lengths`` [C] are frames after thinning and before the length rule; None where they are not
    known.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = tuple(groups)
        self._ends = np.cumsum([len(group.clips) for group in self.groups])
        known = all(group.lengths is not None for group in self.groups)
        self.lengths = (
            np.concatenate([g.lengths for g in self.groups]) if known and groups else None
        )

    def __getstate__(self) -> dict[str, object]:
        # Other processes look clips up: neither lengths nor messages have to be copied there.
        groups = tuple(
            Group(group.clips, None, replace(group.summary, faults=())) for group in self.groups
        )
        return self.__dict__ | {"groups": groups, "lengths": None}

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @overload
    def __getitem__(self, index: int) -> Clip: ...
    @overload
    def __getitem__(self, index: slice) -> list[Clip]: ...
    def __getitem__(self, index: int | slice) -> Clip | list[Clip]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        place = int(np.searchsorted(self._ends, index, side="right"))
        start = self._ends[place - 1] if place else 0
        return self.groups[place].clips[int(index - start)]

    def by_length(self) -> list[Clip]:
        """The clips, longest first where lengths are known: batches of them need little padding.

        The longest come first so that what does not fit into memory shows at once.
        """
        if self.lengths is None:
            return list(self)
        return [self[int(i)] for i in np.argsort(-self.lengths, kind="stable")]

    @property
    def summaries(self) -> list[Summary]:
        return [group.summary for group in self.groups]


def squeezed(clips: Sequence[Clip], lengths: np.ndarray | None, maximum: int) -> str | None:
    """A message on clips that are squeezed to ``maximum`` frames by more than half, if any."""
    longer = [] if lengths is None else np.flatnonzero(lengths > _SQUEEZED * maximum)
    if not len(longer):
        return None
    worst = int(longer[np.argmax(lengths[longer])])
    return (
        f"{len(longer):,} clips have more than {_SQUEEZED:g} times DATASET.H2S.MAX_MOTION_LEN="
        f"{maximum} frames and are squeezed to it; {clips[worst].name!r} plays "
        f"{lengths[worst] / maximum:.1f} times too fast"
    )


def summary_table(summaries: Sequence[Summary]) -> str:
    """What was kept and what was left out, by reason, as a table of text."""
    reasons = sorted({reason for summary in summaries for reason in summary.dropped})
    table = Table(title="Data")
    for column in ("data set", "split", "poses from"):
        table.add_column(column)
    for column in ("clips", "frames", "clips with gaps", "frames missing", *reasons):
        table.add_column(column, justify="right")
    for summary in summaries:
        numbers = [summary.kept, summary.frames, summary.gaps, summary.missing]
        numbers += [summary.dropped.get(reason, 0) for reason in reasons]
        cells = ["?" if number is None else f"{number:,}" for number in numbers]
        table.add_row(summary.corpus, summary.split, summary.source, *cells)
    # Wide enough for every column: the table goes into files as well.
    console = Console(width=60 + 14 * (len(reasons) + 4), no_color=True, legacy_windows=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def write_summaries(folder: str | Path, summaries: Sequence[Summary]) -> None:
    """Write ``data.json`` (everything, with a message for each fault) and ``data.txt``."""
    folder = Path(folder)
    content = [asdict(summary) for summary in summaries]
    with atomic_path(folder / "data.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    faults = [fault for summary in summaries for fault in summary.faults]
    text = summary_table(summaries) + "\n"
    notes = [note for summary in summaries for note in summary.notes]
    if notes:
        text += "\nTo know:\n" + "".join(f"- {note}\n" for note in notes)
    if faults:
        text += "\nLeft out, by name:\n" + "".join(f"- {fault}\n" for fault in faults)
    with atomic_path(folder / "data.txt") as temporary:
        temporary.write_text(text, encoding="utf-8")


def describe_sources(clips: Sequence[Clip]) -> str:
    """How the poses of clips lie on disk, in words."""
    words = {
        ".pkl": "one pickle per clip",
        ".npz": ".npz files",
        ".npy": ".npy files",
        ".lmdb": "an LMDB",
    }
    kinds = Counter(words.get(clip.poses.suffix, "one file per frame") for clip in clips)
    if len(kinds) < 2:
        return "".join(kinds)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())
