"""Predictions of other tools: SignSparK's streams, and motion files of any form.

SignSparK samples hands, body and face apart, each into an array of one dict: ``pred_poses`` and
``gt_poses`` [draws, clips, channels, (1,) frames], ``lengths``, ``text`` and ``video_names``
[draws, clips]. Rotations are the first two rows of their matrices; the hands of a clip follow each
other, left and right, both as right hands. Of several draws the first is read.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from soke.data.datasets import LengthLimits
from soke.data.listing.annotations import Clip
from soke.data.lmdb_clips import join_streams
from soke.data.motion.hands import Hands
from soke.data.motion.reader import load_content, read_motion_file
from soke.data.motion.resampling import mirror_six, resample
from soke.data.predictions import Prediction
from soke.data.scan import load_motion
from soke.parts import SHAPE, frames_to_features

log = logging.getLogger(__name__)

#: What a stream is, by its channels.
_STREAMS = {60: "body", 90: "hand", 56: "face"}
_KEYS = ("pred_poses", "gt_poses", "lengths", "text", "video_names")
_NO_TOKENS = np.zeros((0, 0), np.int64)


@dataclass(frozen=True)
class Streams:
    """The clips of one sampling run, which several files hold together."""

    content: Mapping[str, Mapping[str, np.ndarray]]  # by stream
    path: Path  # that of the body
    files: tuple[Path, ...]  # of all streams
    hands: Hands

    @property
    def names(self) -> list[str]:
        return [str(name) for name in self.content["body"]["video_names"].tolist()]

    def read(self, index: int, corpus: str) -> Prediction:
        """The prediction of one clip, by its place."""
        body = self.content["body"]
        return Prediction(
            name=self.names[index],
            corpus=corpus,
            text=_without_language(str(body["text"][index])),
            keywords=(),
            tokens=_NO_TOKENS,
            generated=self._features("pred_poses", index),
            reference=self._features("gt_poses", index),
        )

    def _features(self, key: str, index: int) -> np.ndarray:
        """The features ``[T, 133]`` of one clip."""
        length = int(self.content["body"]["lengths"][index])

        def stream(name: str, place: int) -> np.ndarray:
            values = self.content[name][key][place]
            values = values.reshape(values.shape[0], -1)[:, :length].T
            if not np.isfinite(values).all():
                raise ValueError(
                    f"{self.path}, clip {self.names[index]!r}: {key!r} of the {name} holds values "
                    "that are not finite"
                )
            return values

        body = np.zeros((length, 126), np.float32)
        body[:, 66:] = stream("body", index)
        face = np.zeros((length, 16), np.float32)
        face[:, [0, 4]] = 1  # a closed jaw
        if "face" in self.content:
            face = stream("face", index)
        where = f"{self.path}, clip {index}"
        left = mirror_six(stream("hand", 2 * index))
        right = stream("hand", 2 * index + 1)
        frames = join_streams(where, body, left, right, face, self.hands)
        return frames_to_features(torch.from_numpy(frames)).numpy()


def find_streams(folder: Path, hands: Hands | None) -> Streams | None:
    """The streams of one sampling run below a folder, None where there are none.

    Raises ``ValueError`` for several runs, for a stream that is missing and for one that does not
    fit the others.
    """
    content: dict[str, Mapping[str, np.ndarray]] = {}
    paths: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.npy")):
        found = load_content(path)
        if not isinstance(found, dict) or any(key not in found for key in _KEYS):
            continue
        first = _first_draw(path, found)
        stream = _STREAMS.get(first["pred_poses"].shape[1])
        if stream is None:
            raise ValueError(
                f"{path}: 'pred_poses' has {first['pred_poses'].shape[1]} channels, expected "
                f"{' or '.join(f'{size} ({name})' for size, name in _STREAMS.items())}"
            )
        if stream in paths:
            raise ValueError(
                f"{paths[stream]} and {path} are both of the {stream}: name the folder of one run"
            )
        content[stream] = first
        paths[stream] = path
    if not content:
        return None
    lacking = [stream for stream in ("body", "hand") if stream not in content]
    if lacking:
        raise ValueError(f"{folder} has no stream of the {lacking[0]} beside {list(paths)}")
    names = content["body"]["video_names"].tolist()
    for stream, expected in (("hand", [name for name in names for _ in range(2)]), ("face", names)):
        if stream in content and content[stream]["video_names"].tolist() != expected:
            raise ValueError(f"{paths[stream]} has other clips than {paths['body']}")
    assert hands is not None, "streams of other tools need a hand convention"
    return Streams(content, paths["body"], tuple(paths.values()), hands)


def _first_draw(path: Path, content: Mapping[str, object]) -> dict[str, np.ndarray]:
    """The first draw of a stream's arrays, checked against each other."""
    arrays = {key: np.asarray(content[key]) for key in _KEYS}
    poses = arrays["pred_poses"]
    wrong = any(value.shape[:2] != poses.shape[:2] for value in arrays.values())
    wrong |= arrays["gt_poses"].shape != poses.shape
    if poses.ndim not in (4, 5) or not poses.size or wrong:
        shapes = {key: list(value.shape) for key, value in arrays.items()}
        raise ValueError(
            f"{path}: the arrays do not fit each other: {shapes}; expected poses [draws, clips, "
            "channels, (1,) frames], and the others [draws, clips]"
        )
    lengths = arrays["lengths"]
    if lengths.dtype.kind not in "iu" or lengths.min() < 1 or lengths.max() > poses.shape[-1]:
        raise ValueError(
            f"{path}: 'lengths' has to be frames from 1 to {poses.shape[-1]}, found "
            f"{lengths.min()} to {lengths.max()}"
        )
    if poses.dtype.kind != "f" or arrays["gt_poses"].dtype.kind != "f":
        raise ValueError(f"{path}: 'pred_poses' and 'gt_poses' have to be numbers")
    return {key: value[0] for key, value in arrays.items()}


def _without_language(text: str) -> str:
    """A text without the language tag in front of it: "<CSL> 你们好"."""
    return re.sub(r"^<[^<>]*>\s*", "", text)


def read_motion_prediction(
    path: Path, clip: Clip, limits: LengthLimits, hands: Hands | None
) -> Prediction:
    """A motion file of any form as the prediction of ``clip``, whose motion is the reference.

    A file with another frame rate than the clip's is resampled to it.
    """
    motion = read_motion_file(path, hands)
    log.info("%s: %s", path, motion.recognised)
    frames = motion.frames
    if motion.fps not in (None, clip.target_fps):
        frames = resample(frames, slice(0, SHAPE.start), motion.fps, clip.target_fps)
    reference = limits.apply(load_motion(clip))
    return Prediction(
        name=clip.name,
        corpus=clip.corpus,
        text=clip.text,
        keywords=(),
        tokens=_NO_TOKENS,
        generated=frames_to_features(torch.from_numpy(frames)).numpy(),
        reference=frames_to_features(torch.from_numpy(reference)).numpy(),
    )
