"""Other ways of finding a motion for a text: what a score is seen beside."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from soke import assemble as build
from soke.data.datasets import PoseDataset
from soke.data.listing.annotations import Clip
from soke.data.scan import load_motion
from soke.evaluation.references import Reference, Signing, System, nearest_clips, random_clips
from soke.parts import frames_to_features
from soke.tokenizer import FRAMES_PER_TOKEN, PartTokenizer


def baselines(
    config: DictConfig,
    tokenizer: PartTokenizer,
    dataset: PoseDataset,
    references: Sequence[Reference],
) -> list[System]:
    """Those that ``METRIC.TYPE`` asks for.

    With ``baselines`` all of them; with ``back_translation`` the references through the tokenizer,
    since what is read from their tokens is the most that generated signs can reach.
    """
    wanted = "baselines" in config.METRIC.TYPE
    systems = _from_training(config, references) if wanted else []
    if wanted or "back_translation" in config.METRIC.TYPE:
        systems.append(_through_tokenizer(tokenizer, dataset))
    if wanted:
        systems.append(
            System("ground_truth", lambda places: [Signing(dataset.parameters(p)) for p in places])
        )
    return systems


def _from_training(config: DictConfig, references: Sequence[Reference]) -> list[System]:
    """Random training clips, once a seed, and those whose text is nearest."""
    train = build.read_clips(config, config.TRAIN.SPLIT)
    limits = build.length_limits(config)

    def sign(clips: Sequence[Clip], places: Sequence[int]) -> list[Signing]:
        motions = (torch.from_numpy(limits.apply(load_motion(clips[place]))) for place in places)
        return [Signing(frames_to_features(motion)) for motion in motions]

    seeds = range(config.SEED_VALUE, config.SEED_VALUE + config.TEST.REPLICATION_TIMES)
    drawn = [
        System("random_clip", partial(sign, random_clips(references, train, seed)), seed)
        for seed in seeds
    ]
    return [*drawn, System("nearest_text", partial(sign, nearest_clips(references, train)))]


def _through_tokenizer(tokenizer: PartTokenizer, dataset: PoseDataset) -> System:
    def sign(places: Sequence[int]) -> list[Signing]:
        tokens = reference_tokens(tokenizer, places, [dataset.parameters(p) for p in places])
        device = next(tokenizer.parameters()).device
        motions = tokenizer.decode_to_motion([torch.from_numpy(t).to(device) for t in tokens])
        return [Signing(motion.cpu(), said) for motion, said in zip(motions, tokens)]

    return System("tokenizer", sign)


@torch.inference_mode()
def reference_tokens(
    tokenizer: PartTokenizer, places: Sequence[int], motions: Sequence[Tensor]
) -> list[np.ndarray]:
    """Tokens [S, P] of motions [T, 133] in SMPL-X parameters."""
    device = next(tokenizer.parameters()).device
    lengths = [len(motion) for motion in motions]
    padded = torch.nn.utils.rnn.pad_sequence(
        [tokenizer.normalize(motion.to(device)) for motion in motions], batch_first=True
    )
    tokens = tokenizer.encode(padded, torch.tensor(lengths, device=device)).cpu().numpy()
    return [row[: length // FRAMES_PER_TOKEN] for row, length in zip(tokens, lengths)]
