"""Scoring saved predictions alone: our own files, those of the method's public release, and those
of other tools (`soke.evaluation.other_tools`).

The release writes one pickle per clip into folders ``test_rank_N``, with ``feats_rst`` (generated),
``feats_ref`` (reference) and ``text``; numbers are taken to be denormalised SMPL-X parameters.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from soke.data.datasets import LengthLimits
from soke.data.listing.annotations import Clip
from soke.data.motion.hands import Hands
from soke.data.predictions import Prediction, is_prediction, read_prediction
from soke.data.store import stamp
from soke.evaluation.other_tools import find_streams, read_motion_prediction
from soke.evaluation.references import Reference, Signing, System
from soke.files import MissingAssetError, checksum
from soke.parts import FEATURE_SIZE, FRAME_SIZE, frames_to_features
from soke.structures import Keyword, Retrieval
from soke.unpickling import safe_load_pickle

log = logging.getLogger(__name__)

_RELEASE_KEYS = ("feats_rst", "feats_ref", "text")
_RANK_FOLDER = "test_rank_"
_MOTION_SUFFIXES = (".npz", ".npy", ".pkl")


@dataclass(frozen=True)
class SavedClip:
    """Where the prediction of a clip is, and how to read it."""

    reference: Reference
    path: Path
    read: Callable[[], Prediction]
    files: tuple[Path, ...]  # everything it is read from
    version: str = ""  # of a reference that is in the data set


class SavedPredictions:
    """Predictions of a folder, one per clip; only one batch of them is in memory.

    Args:
        folder: ``results/<NAME>``, its ``predictions``, a folder with ``test_rank_N``, one with the
            streams of a SignSparK run, or one with a motion file per clip.
        corpora: names of the corpora. A file that does not name its corpus belongs to the one that
            a folder above it is named after, else to the one that ``known`` gives, else to the only
            one.
        known: the clips of the test split by name, if the data set is there. Motion files, which
            have no reference, need it.
        limits: the length rule, for references from the data set.
        hands: the body model's, for files with flat hands.

    Raises:
        MissingAssetError: there is no prediction.
        ValueError: a file is damaged or of unknown layout, a clip has two predictions that differ,
            or the corpus of a clip is unknown or not in ``corpora``.
    """

    def __init__(
        self,
        folder: str | Path,
        corpora: Sequence[str],
        known: Mapping[str, Clip] | None = None,
        limits: LengthLimits | None = None,
        hands: Hands | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.corpora = list(corpora)
        self.known = dict(known or {})
        self.limits = limits or LengthLimits()
        self.hands = hands
        found: dict[tuple[str, str], SavedClip] = {}
        for clip in self._clips():
            path = clip.path
            key = clip.reference.corpus, clip.reference.name
            if key in found and not _alike(found[key], clip):
                raise ValueError(
                    f"{'/'.join(key)} has two predictions that differ: {found[key].path} and "
                    f"{path}; remove one"
                )
            found.setdefault(key, clip)  # ranks that repeat a clip to be equally long agree
        if not found:
            raise MissingAssetError(
                "Saved predictions",
                f"{self.folder}/**/*.npz and {_RANK_FOLDER}*/*.pkl",
                "Run `python -m test --task t2m` with TEST.SAVE_PREDICTIONS=true, or name another "
                "folder",
            )
        self.clips = [found[key] for key in sorted(found)]

    @property
    def code(self) -> str:
        """SHA-256 of all files together."""
        paths = sorted({path for clip in self.clips for path in clip.files})
        sums = [f"{checksum(path)} {path.relative_to(self.folder)}" for path in paths]
        sums += [clip.version for clip in self.clips if clip.version]
        return hashlib.sha256("\n".join(sums).encode()).hexdigest()

    @property
    def references(self) -> list[Reference]:
        return [clip.reference for clip in self.clips]

    def motions(self, places: Sequence[int]) -> list[Tensor]:
        """Reference motions [T, 133]."""
        return [torch.from_numpy(self.clips[place].read().reference) for place in places]

    def tokens(self) -> Callable[[Sequence[int], list[Tensor]], list[np.ndarray]] | None:
        """A reader of the references' tokens, if the files hold them."""
        if self.clips[0].read().reference_tokens is None:
            return None
        return lambda places, _: [self._reference_tokens(place) for place in places]

    def _reference_tokens(self, place: int) -> np.ndarray:
        clip = self.clips[place]
        tokens = clip.read().reference_tokens
        if tokens is None:
            raise ValueError(f"{clip.path} lacks the reference's tokens, which other files hold")
        return tokens

    def system(self) -> System:
        return System("generated", lambda places: [_signing(self.clips[p].read()) for p in places])

    def truth(self) -> System:
        """The references themselves, with their tokens if the files hold them."""
        tokens = self.tokens()

        def sign(places: Sequence[int]) -> list[Signing]:
            found = tokens(places, []) if tokens else [None] * len(places)
            return [Signing(motion, own) for motion, own in zip(self.motions(places), found)]

        return System("references", sign)

    def _clips(self) -> Iterator[SavedClip]:
        """What the folder holds: our files, pickles of the release, streams, or motion files."""
        own = sorted(p for p in self.folder.rglob("*.npz") if not p.name.startswith("."))
        own = [path for path in own if is_prediction(path)]
        if own:
            for path in own:
                yield self._own(path)
            return
        ranks = sorted(self.folder.rglob(f"{_RANK_FOLDER}*/**/*.pkl"))
        if ranks:
            for path in ranks:
                yield self._released(path)
            return
        streams = find_streams(self.folder, self.hands)
        if streams is not None:
            for index, name in enumerate(streams.names):
                corpus = self._corpus_of(name, streams.path)
                read = partial(streams.read, index, corpus)
                yield SavedClip(
                    Reference(name, corpus, read().text), streams.path, read, streams.files
                )
            return
        for path in sorted(self.folder.rglob("*")):
            if path.suffix.lower() in _MOTION_SUFFIXES and not path.name.startswith("."):
                yield self._motion(path)

    def _motion(self, path: Path) -> SavedClip:
        """A motion file of another tool, named like its clip."""
        name = path.relative_to(self.folder).with_suffix("").as_posix()
        name = next((n for n in (name, path.stem) if n in self.known), name)
        if name not in self.known:
            raise ValueError(
                f"{path} holds motion without its reference, and the test split has no clip "
                f"{name!r}: name the file like its clip, and have the data set at hand"
            )
        clip = self.known[name]
        read = partial(read_motion_prediction, path, clip, self.limits, self.hands)
        version = f"{clip.packing} {clip.rows}" if clip.rows else stamp(clip.poses)
        return SavedClip(Reference(clip.name, clip.corpus, clip.text), path, read, (path,), version)

    def _own(self, path: Path) -> SavedClip:
        prediction = read_prediction(path)
        if prediction.corpus not in self.corpora:
            raise ValueError(
                f"{path} is of the corpus {prediction.corpus!r}, and DATASET.H2S.DATASET_NAME "
                f"names {', '.join(self.corpora)}: add it, or keep the file elsewhere"
            )
        reference = Reference(prediction.name, prediction.corpus, prediction.text)
        return SavedClip(reference, path, partial(read_prediction, path), (path,))

    def _released(self, path: Path) -> SavedClip:
        inside = path.relative_to(self.folder).parts[:-1]
        rank = next(i for i, part in enumerate(path.parts) if part.startswith(_RANK_FOLDER))
        name = str(Path(*path.parts[rank + 1 :]).with_suffix(""))
        corpus = next((part for part in inside if part in self.corpora), None)
        if corpus is not None:
            name = name.removeprefix(f"{corpus}/")
        corpus = corpus or self._corpus_of(name, path)
        read = partial(_read_release, path, name, corpus)
        return SavedClip(Reference(name, corpus, read().text), path, read, (path,))

    def _corpus_of(self, name: str, path: Path) -> str:
        """The corpus of a clip whose file does not say it."""
        if name in self.known:
            return self.known[name].corpus
        above = path.relative_to(self.folder).parts
        corpus = next((part for part in above if part in self.corpora), None)
        if corpus is None and len(self.corpora) == 1:
            corpus = self.corpora[0]
        if corpus is None:
            raise ValueError(
                f"{path}: cannot tell which corpus this belongs to. Put its folder below one named "
                f"like a corpus ({', '.join(self.corpora)}), name one in DATASET.H2S.DATASET_NAME, "
                "or provide the annotations"
            )
        return corpus


def check_complete(
    split: Sequence[Reference], predicted: Sequence[Reference], folder: Path, incomplete: bool
) -> None:
    """Compare the clips that have a prediction with those of the test split, if there is one.

    Raises ``ValueError`` for clips without a prediction; with ``incomplete`` they are logged.
    """
    expected = {(clip.corpus, clip.name) for clip in split}
    found = {(clip.corpus, clip.name) for clip in predicted}
    if expected and found - expected:
        log.warning(
            "%d predictions are of no clip of the test split, and are scored as well: %s",
            len(found - expected),
            _named(found - expected),
        )
    missing = expected - found
    if not missing:
        return
    text = f"{len(missing)} of {len(split)} clips of the test split have no prediction in {folder}"
    if not incomplete:
        raise ValueError(
            f"{text}: {_named(missing)}. Predict them too, or score the others alone with --partial"
        )
    log.warning("%s: %s", text, _named(missing))


def _named(clips: Collection[tuple[str, str]]) -> str:
    return ", ".join("/".join(clip) for clip in sorted(clips)[:5]) + ", ..." * (len(clips) > 5)


def _alike(one: SavedClip, other: SavedClip) -> bool:
    return np.array_equal(one.read().generated, other.read().generated)


def _signing(prediction: Prediction) -> Signing:
    keywords = tuple(Keyword(word, prediction.tokens[:0]) for word in prediction.keywords)
    return Signing(
        torch.from_numpy(prediction.generated),
        prediction.tokens if prediction.reference_tokens is not None else None,
        Retrieval(keywords, prediction.missing),
    )


def _read_release(path: Path, name: str, corpus: str) -> Prediction:
    """A pickle of the release. Raises ``ValueError`` that names file and key."""
    content = safe_load_pickle(path)
    if not isinstance(content, dict) or any(key not in content for key in _RELEASE_KEYS):
        keys = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path}: expected a dict with {list(_RELEASE_KEYS)}, found {keys}")
    text = content["text"]
    if isinstance(text, list | tuple) and len(text) == 1:
        text = text[0]
    if not isinstance(text, str):
        raise ValueError(f"{path}: 'text' is {type(text).__name__}, expected a string")
    generated, reference = (_features(path, key, content[key]) for key in _RELEASE_KEYS[:2])
    empty = np.zeros((0, 0), dtype=np.int64)
    return Prediction(name, corpus, text, (), empty, generated, reference)


def _features(path: Path, key: str, value: object) -> np.ndarray:
    """[T, 133] float32 from [T, 133] or [T, 179], also as a batch of one."""
    array = np.asarray(value) if isinstance(value, np.ndarray | list) else np.empty(0, dtype=object)
    array = array[0] if array.ndim == 3 and len(array) == 1 else array
    sizes = (FEATURE_SIZE, FRAME_SIZE)
    if array.dtype.kind not in "fiu" or array.ndim != 2 or array.shape[1] not in sizes:
        raise ValueError(
            f"{path}: {key!r} is {array.dtype} of shape {list(array.shape)}, expected numbers "
            f"[T, {FEATURE_SIZE}] or [T, {FRAME_SIZE}]"
        )
    array = array.astype(np.float32)
    if array.shape[1] == FRAME_SIZE:
        array = frames_to_features(torch.from_numpy(array)).numpy()
    return array
