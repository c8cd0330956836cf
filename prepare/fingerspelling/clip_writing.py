"""Writing the corpora: every word as a clip, every letter as an isolated sign."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path

import numpy as np

from prepare.fingerspelling.languages import LANGUAGES, Language
from prepare.fingerspelling.letters import Letter, convert_alphabet
from prepare.fingerspelling.making import Settings
from prepare.fingerspelling.recordings import FPS
from prepare.fingerspelling.release_layouts import Entry, safe_name, write_clip, write_signs
from prepare.fingerspelling.skeleton import Skeleton
from prepare.fingerspelling.spelling import Speller, to_frames
from prepare.fingerspelling.word_lists import Word, seeded, split_words, suitable_words
from soke.data.pose_statistics import Moments, save_statistics

#: The loaders squeeze longer clips: spelling would become unreadable.
LONGEST_CLIP = 400
#: Below this number of clips starting processes costs more than it gains.
_WORTH_PROCESSES = 300


@dataclass(frozen=True)
class Clip:
    """One word to be written: ``seed`` decides its timing, ``frame`` is the file name pattern."""

    corpus: str
    split: str
    name: str
    text: str
    units: tuple[str, ...]
    signer: str
    seed: str
    folder: str
    frame: str


Spellers = Mapping[tuple[str, str], Speller]  # by corpus and signer


class ClipWriter:
    """Spells clips and writes those that are not there yet."""

    def __init__(self, out: Path, spellers: Spellers, skeleton: Skeleton) -> None:
        self.out = out
        self.spellers = spellers
        self.skeleton = skeleton

    def __call__(self, clip: Clip) -> Moments:
        """Write one clip and return the moments of its frames, which are the same either way."""
        speller = self.spellers[clip.corpus, clip.signer]
        motion = speller.spell(clip.units, seeded(clip.seed))
        if len(motion) > LONGEST_CLIP:
            raise ValueError(
                f"{clip.text!r} of {clip.corpus} takes {len(motion)} frames, more than "
                f"{LONGEST_CLIP}: choose shorter words by --lengths"
            )
        frames = to_frames(motion, self.skeleton)
        self.write(clip.folder, clip.frame, clip.name, frames)
        return Moments.of(frames)

    def write(self, folder: str | Path, pattern: str, name: str, frames: np.ndarray) -> None:
        if not (self.out / folder).exists():
            names = [pattern.format(name=name, i=i) for i in range(len(frames))]
            write_clip(self.out / folder, names, frames)


def write_corpora(
    settings: Settings,
    out: Path,
    skeleton: Skeleton,
    progress: Callable[[Iterable, int], Iterable],
    processes: int,
) -> dict[str, dict[str, dict[str, int]]]:
    """Write all that ``settings`` ask for and return the counts by corpus and split.

    ``progress(iterable, total)`` passes the clips on and shows how many are done.
    """
    languages = [LANGUAGES[corpus] for corpus in settings.corpora]
    clips = [clip for language in languages for clip in plan(language, settings)]
    signers = {(clip.corpus, clip.signer) for clip in clips}
    alphabets = {signer: convert_alphabet(signer, skeleton) for _, signer in sorted(signers)}
    spellers = {
        (corpus, signer): Speller(_units(LANGUAGES[corpus], alphabets[signer]), skeleton)
        for corpus, signer in signers
    }
    writer = ClipWriter(out, spellers, skeleton)
    for language in languages:
        _write_letters(language, spellers[language.corpus, language.signers[0]], writer)
    written = list(progress(_run(writer, clips, processes), len(clips)))

    counts: dict[str, dict[str, dict[str, int]]] = {}
    for (corpus, split), group in itertools.groupby(
        zip(clips, written), key=lambda pair: (pair[0].corpus, pair[0].split)
    ):
        layout = LANGUAGES[corpus].layout
        entries = [
            Entry(layout.clip_name(split, clip.name), clip.text, moments.count)
            for clip, moments in group
        ]
        layout.write_annotation(out, split, entries, FPS)
        frames = sum(entry.frames for entry in entries)
        counts.setdefault(corpus, {})[split] = {"clips": len(entries), "frames": frames}
    train = [moments for clip, moments in zip(clips, written) if clip.split == "train"]
    save_statistics(train, out / "mean.pt", out / "std.pt")
    return counts


def plan(language: Language, settings: Settings) -> Iterator[Clip]:
    """The clips of one language, split by split; training words come in several timings."""
    count = settings.words[language.corpus]
    words = suitable_words(language, settings.lengths)
    for split, chosen in split_words(
        words, language, count, settings.held_out, settings.seed
    ).items():
        timings = settings.timings if split == "train" else 1
        for word, timing in itertools.product(chosen, range(timings)):
            name = f"word-{word.rank:04d}" + (f"-{timing + 1}" if timing else "")
            yield Clip(
                corpus=language.corpus,
                split=split,
                name=name,
                text=word.text,
                units=word.units,
                signer=_signer(language, word, timing if settings.extra_signers else 0),
                seed=f"{settings.seed}/{language.corpus}/{word.text}/{timing}",
                folder=str(language.layout.clip_folder(split, name)),
                frame=language.layout.frame,
            )


def _signer(language: Language, word: Word, turn: int) -> str:
    """Signers take turns over the timings of a word, as far as their alphabet has its letters."""
    signer = language.signers[turn % len(language.signers)]
    lacking = language.lacks.get(signer, "")
    return language.signers[0] if set(word.units) & set(lacking) else signer


def _units(language: Language, alphabet: Mapping[str, Letter]) -> dict[str, Letter]:
    """The recorded letters by the units that they spell."""
    signs = {unit: language.sign(unit) for unit in language.alphabet}
    return {unit: alphabet[sign] for unit, sign in signs.items() if sign in alphabet}


def _write_letters(language: Language, speller: Speller, writer: ClipWriter) -> None:
    """Write each letter's whole recording as a clip, and the list that says where it is shown."""
    layout = language.layout
    rows = []
    for unit in language.alphabet:
        letter = speller.units[unit]
        name = f"letter-{safe_name(unit)}"
        frames = to_frames(letter.pose, writer.skeleton)
        writer.write(layout.clip_folder("train", name), layout.frame, name, frames)
        rows.append(
            {
                "name": name,
                "label": unit,
                "start": letter.start,
                "end": letter.stop - 1,
                "video_file": layout.clip_name("train", name),
            }
        )
    write_signs(writer.out, layout, rows)


_writer: ClipWriter | None = None


def _start_process(writer: ClipWriter) -> None:
    global _writer
    _writer = writer
    # A killed parent says nothing: without this its processes would wait for work for ever, or
    # write beside the run that carries on.
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _write_in_process(clip: Clip) -> Moments:
    assert _writer is not None
    return _writer(clip)


def _run(writer: ClipWriter, clips: Sequence[Clip], processes: int) -> Iterator[Moments]:
    """The moments of all clips, in order, written by so many processes."""
    processes = min(processes, os.cpu_count() or 1)
    if processes < 2 or len(clips) < _WORTH_PROCESSES:
        yield from map(writer, clips)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _start_process, (writer,)) as pool:
        yield from pool.map(_write_in_process, clips, chunksize=16)
