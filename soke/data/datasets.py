"""Clips as samples: normalised motion for the tokenizer, tokens and text for the generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from soke.data.lengths import length_rule
from soke.data.listing.annotations import Clip
from soke.data.samplers import draws_of
from soke.data.scan import load_motion
from soke.data.token_files import read_tokens, token_path
from soke.parts import PartTable, frames_to_features
from soke.structures import PoseBatch, TokenSample, lengths_to_mask


@dataclass(frozen=True)
class LengthLimits:
    """The length rule: frames at least, at most, and the unit that lengths are cut to."""

    minimum: int = 40
    maximum: int = 400
    unit: int = 4

    def apply(self, frames: np.ndarray) -> np.ndarray:
        """Stretch, squeeze or cut frames [n, ...] to an admitted length."""
        return frames[length_rule(len(frames), self.minimum, self.maximum, self.unit)]

    def sizes(self, lengths: np.ndarray) -> np.ndarray:
        """What lengths [C] become."""
        return np.clip(lengths // self.unit * self.unit, self.minimum, self.maximum)


@dataclass(frozen=True)
class PoseSample:
    name: str
    corpus: str
    text: str
    motion: Tensor  # [T, F], normalised


class PoseDataset(Dataset[PoseSample]):
    """Clips as normalised features [T, 133].

    With ``crop`` a clip is a window of so many frames (the whole clip where it is shorter): a
    random one for a `soke.data.samplers.SeededIndex`, the middle one for a plain number.
    With ``cache`` poses stay in memory once they were read.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        limits: LengthLimits,
        mean: Tensor,
        std: Tensor,
        crop: int | None = None,
        cache: bool = False,
    ) -> None:
        if crop is not None and (crop < limits.unit or crop % limits.unit):
            raise ValueError(
                f"TRAIN.CROP_FRAMES is {crop}; it must be a multiple of {limits.unit} frames"
            )
        self.clips = clips
        self.limits = limits
        self.crop = crop
        self.mean = mean
        self.std = std
        self.cached: dict[int, Tensor] | None = {} if cache else None

    def __len__(self) -> int:
        return len(self.clips)

    def motion(self, index: int) -> Tensor:
        """The whole clip after the length rule, normalised, [T, 133]."""
        return self._motion(index, self.clips[index])

    def _motion(self, index: int, clip: Clip) -> Tensor:
        if self.cached is not None and index in self.cached:
            return self.cached[index]
        frames = torch.from_numpy(self.limits.apply(load_motion(clip)))
        motion = frames_to_features(frames).sub_(self.mean).div_(self.std)  # a copy already
        if self.cached is not None:
            self.cached[index] = motion
        return motion

    def parameters(self, index: int) -> Tensor:
        """The whole clip as SMPL-X parameters (radians), [T, 133]."""
        return self.motion(index) * self.std + self.mean

    def __getitem__(self, index: int) -> PoseSample:
        clip = self.clips[index]
        draws = draws_of(index)
        motion = self._motion(index, clip)
        if self.crop is not None and len(motion) > self.crop:
            spare = len(motion) - self.crop
            start = spare // 2 if draws is None else draws.randint(0, spare)
            motion = motion[start : start + self.crop]
        return PoseSample(clip.name, clip.corpus, clip.text, motion)


def collate_poses(samples: Sequence[PoseSample]) -> PoseBatch:
    """Pad samples to one batch."""
    motions = [sample.motion for sample in samples]
    lengths = torch.tensor([len(motion) for motion in motions])
    return PoseBatch(
        names=tuple(sample.name for sample in samples),
        corpora=tuple(sample.corpus for sample in samples),
        texts=tuple(sample.text for sample in samples),
        motion=torch.nn.utils.rnn.pad_sequence(motions, batch_first=True),
        mask=lengths_to_mask(lengths),
    )


class TokenDataset(Dataset[TokenSample]):
    """Clips as text and motion tokens [S, P], read from token files.

    With ``augment``, one time in three a token step is dropped, from the head or the tail; a plain
    number (not a `soke.data.samplers.SeededIndex`) gives all.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        folder: str | Path,
        parts: PartTable,
        augment: bool = False,
        cache: bool = False,
    ) -> None:
        self.clips = clips
        self.folder = Path(folder)
        self.parts = parts
        self.augment = augment
        self.cached: dict[int, np.ndarray] | None = {} if cache else None

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> TokenSample:
        clip = self.clips[index]
        tokens = None if self.cached is None else self.cached.get(index)
        if tokens is None:
            tokens = read_tokens(token_path(self.folder, clip.corpus, clip.name), self.parts)
            if self.cached is not None:
                self.cached[index] = tokens
        draws = draws_of(index)
        if draws is None:
            return TokenSample(clip.name, clip.corpus, clip.text, tokens, gloss=clip.gloss)
        if self.augment and len(tokens) > 1 and draws.random() < 1 / 3:
            tokens = tokens[1:] if draws.random() < 0.5 else tokens[:-1]
        return TokenSample(
            clip.name, clip.corpus, clip.text, tokens, draws.random(), gloss=clip.gloss
        )
