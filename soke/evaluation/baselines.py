"""Other ways of finding a motion for a text, as a measure for the score of the generator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from soke.data.datasets import LengthLimits, PoseDataset
from soke.data.listing.annotations import Clip
from soke.data.scan import load_motion
from soke.evaluation.references import Reference, Signing, System, nearest_clips, random_clips
from soke.parts import frames_to_features
from soke.tokenizer import FRAMES_PER_TOKEN, PartTokenizer


def training_baselines(
    references: Sequence[Reference],
    train: Sequence[Clip],
    limits: LengthLimits,
    seeds: Sequence[int],
) -> list[System]:
    """Random training clips, once per seed, and those whose text is nearest."""

    def sign(clips: Sequence[Clip], places: Sequence[int]) -> list[Signing]:
        motions = (torch.from_numpy(limits.apply(load_motion(clips[place]))) for place in places)
        return [Signing(frames_to_features(motion)) for motion in motions]

    drawn = [
        System("random_clip", partial(sign, random_clips(references, train, seed)), seed)
        for seed in seeds
    ]
    return [*drawn, System("nearest_text", partial(sign, nearest_clips(references, train)))]


def tokenizer_baseline(tokenizer: PartTokenizer, dataset: PoseDataset) -> System:
    """The references through the tokenizer: the most that generated signs can reach."""

    def sign(places: Sequence[int]) -> list[Signing]:
        tokens = reference_tokens(tokenizer, places, read_references(dataset, places))
        device = next(tokenizer.parameters()).device
        motions = tokenizer.decode_to_motion([torch.from_numpy(t).to(device) for t in tokens])
        return [Signing(motion.cpu(), steps) for motion, steps in zip(motions, tokens)]

    return System("tokenizer", sign)


def ground_truth(dataset: PoseDataset) -> System:
    """The references themselves."""

    def sign(places: Sequence[int]) -> list[Signing]:
        return [Signing(motion) for motion in read_references(dataset, places)]

    return System("ground_truth", sign)


def read_references(dataset: PoseDataset, places: Sequence[int]) -> list[Tensor]:
    """Reference motions [T, 133] in SMPL-X parameters."""
    return [dataset.parameters(place) for place in places]


@torch.inference_mode()
def reference_tokens(
    tokenizer: PartTokenizer, places: Sequence[int], motions: Sequence[Tensor]
) -> list[np.ndarray]:
    """Tokens [S, P] of motions [T, 133] in SMPL-X parameters; ``places`` are not needed."""
    device = next(tokenizer.parameters()).device
    lengths = [len(motion) for motion in motions]
    padded = torch.nn.utils.rnn.pad_sequence(
        [tokenizer.normalize(motion.to(device)) for motion in motions], batch_first=True
    )
    tokens = tokenizer.encode(padded, torch.tensor(lengths, device=device)).cpu().numpy()
    return [row[: length // FRAMES_PER_TOKEN] for row, length in zip(tokens, lengths)]
