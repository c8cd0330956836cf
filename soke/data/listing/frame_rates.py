"""The frame rate of clips whose annotation does not say it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.progress import track

from soke.data.layouts import Layout
from soke.data.listing.annotation_files import candidates
from soke.data.listing.entries import DataFault, Entries, Row
from soke.data.motion.hands import ANY_HANDS
from soke.data.poses import frame_files, is_pose_file, read_poses

#: Rates that cameras record at.
_CAMERA_RATES = (24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0)
#: Clips of a recording that are asked, and how many recordings take long enough to show progress.
_ASKED = 3
_MANY = 500


def with_rates(
    layout: Layout, root: Path, entries: Entries, split: str
) -> tuple[Entries, str | None]:
    """Entries with the rate that their durations tell, and what to say of it; None if nothing.

    The clips of one recording share a rate, and its longest ones tell it best: their frames over
    their seconds, to the nearest rate of a camera.
    """
    recordings: dict[str, list[Row]] = defaultdict(list)
    for entry in entries:
        if isinstance(entry, Row) and entry.fps is None and entry.seconds > 0:
            recordings[entry.recording or entry.name].append(entry)
    rates: dict[str, float] = {}
    shown = track(
        recordings.items(), "frame rates", len(recordings), disable=len(recordings) < _MANY
    )
    for recording, clips in shown:
        measured = _measured(layout, root, split, clips)
        if measured is not None:
            rates[recording] = min(_CAMERA_RATES, key=lambda rate: abs(rate - measured))
    if not rates:
        return entries, None
    found = Counter(dict.fromkeys(rates.values(), 0))
    for recording, rate in rates.items():
        found[rate] += len(recordings[recording])
    listed = ", ".join(f"{count:,} at {rate:g}" for rate, count in sorted(found.items()))
    message = (
        f"{layout.title} {split}: the annotation has no frame rate; from the number of frames and "
        f"the durations there are {listed} frames/s"
    )
    return [_with_rate(entry, rates) for entry in entries], message


def _measured(layout: Layout, root: Path, split: str, clips: Sequence[Row]) -> float | None:
    """Frames per second of the longest clips of a recording that have poses."""
    frames = 0
    seconds = 0.0
    asked = 0
    for clip in sorted(clips, key=lambda entry: -entry.seconds):
        count = _number_of_frames(layout, root, split, clip)
        if count:
            frames += count
            seconds += clip.seconds
            asked += 1
        if asked == _ASKED:
            break
    return frames / seconds if frames else None


def _with_rate(entry: Row | DataFault, rates: Mapping[str, float]) -> Row | DataFault:
    if isinstance(entry, DataFault) or entry.fps is not None:
        return entry
    return replace(entry, fps=rates.get(entry.recording or entry.name))


def _number_of_frames(layout: Layout, root: Path, split: str, entry: Row) -> int:
    """All frames of a clip on disk, 0 where they cannot be read."""
    for poses in candidates(layout, root, layout.splits[split], entry.name):
        try:
            if is_pose_file(poses):
                return len(read_poses(poses, ANY_HANDS).frames)
            return len(frame_files(poses))
        except FileNotFoundError:
            continue
        except (ValueError, OSError):
            return 0
    return 0
