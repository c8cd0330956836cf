"""Signed texts as ``.npz`` in the layout in which SMPL-X motion is exchanged (that of AMASS).

T frames, all poses axis-angles in radians, +y up, the body facing +z:

| key | |
|---|---|
| ``surface_model_type``, ``gender`` | smplx, neutral |
| ``mocap_frame_rate``, ``mocap_time_length`` | frames a second; seconds |
| ``betas`` [10], ``num_betas`` | the one signer shape |
| ``trans``, ``root_orient`` [T, 3] | zeros |
| ``pose_body`` [T, 63], ``pose_jaw`` [T, 3], ``pose_eye`` [T, 6] | 21 joints, lower body at rest; eyes zero |
| ``pose_hand`` [T, 90] | left, then right |
| ``poses`` [T, 165] | root, body, jaw, eyes, hands side by side |
| ``expression`` [T, 10] | |
| ``text``, ``language``, ``keywords``, ``missing``, ``tokens`` [S, P], ``body`` | ours: where it is from |
| ``hand_mean`` [90] | ours: the body model's relaxed hands |

As in AMASS, ``pose_hand`` is the whole rotation of the joints (``flat_hand_mean=True`` in the
`smplx` library), whereas the networks' features are relative to the body model's relaxed hands.
That is why a file notes them: without them the features could not be had back.
"""  # noqa: E501

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from soke.data.motion.reader import read_motion_file
from soke.files import atomic_path, require
from soke.parts import features_to_frames, frame_slices, frames_to_features

#: Frames a second of files that do not say.
FPS = 25.0


@dataclass(frozen=True, eq=False)
class SignedText:
    """A text and the signing that was generated for it."""

    text: str
    language: str  # ISO code
    tokens: np.ndarray = field(repr=False)  # [S, P] int64
    motion: np.ndarray = field(repr=False)  # [T, 133] float32, SMPL-X parameters
    keywords: tuple[str, ...]  # retrieved dictionary words
    missing: tuple[str, ...]  # words that were looked for and are not in the dictionary
    fps: float


def write_motion(
    path: str | Path, signed: SignedText, betas: np.ndarray, hand_mean: np.ndarray, body: str
) -> None:
    """Write a ``.npz`` atomically. ``betas`` [10], ``hand_mean`` [90] and ``body`` say which body
    it is meant for.

    Raises ``ValueError`` for another suffix.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"{path} should end in .npz")
    motion = torch.as_tensor(signed.motion, dtype=torch.float32)
    frames = features_to_frames(motion, torch.as_tensor(betas)).numpy()
    at = frame_slices()
    zeros = np.zeros((len(frames), 6), np.float32)
    hands = [frames[:, at["smplx_lhand_pose"]], frames[:, at["smplx_rhand_pose"]]]
    poses = {
        "root_orient": frames[:, at["smplx_root_pose"]],
        "pose_body": frames[:, at["smplx_body_pose"]],
        "pose_jaw": frames[:, at["smplx_jaw_pose"]],
        "pose_eye": zeros,
        "pose_hand": np.concatenate(hands, axis=1) + hand_mean.astype(np.float32),
    }
    content = {
        "surface_model_type": "smplx",
        "gender": "neutral",
        "mocap_frame_rate": float(signed.fps),
        "mocap_time_length": len(frames) / signed.fps,
        "betas": betas.astype(np.float32),
        "num_betas": len(betas),
        "trans": zeros[:, :3],
        **poses,
        "poses": np.concatenate(list(poses.values()), axis=1),
        "expression": frames[:, at["smplx_expr"]],
        "hand_mean": hand_mean.astype(np.float32),
        "body": body,
        "text": signed.text,
        "language": signed.language,
        "keywords": np.array(signed.keywords, dtype=np.str_),
        "missing": np.array(signed.missing, dtype=np.str_),
        "tokens": signed.tokens.astype(np.int64),
    }
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **content)


def read_motion(path: str | Path) -> SignedText:
    """The inverse of `write_motion`, also of motion files of other tools, which say less.

    Raises `soke.files.MissingAssetError` when there is no such file, and like
    `soke.data.motion.reader.read_motion_file`.
    """
    path = require(path, "The motion file", "`python -m vis_mesh --text ...` writes such files")
    motion = read_motion_file(path)
    return SignedText(
        text=motion.text,
        language=motion.language,
        tokens=np.zeros((0, 0), np.int64) if motion.tokens is None else motion.tokens,
        motion=frames_to_features(torch.from_numpy(motion.frames)).numpy(),
        keywords=motion.keywords,
        missing=motion.missing,
        fps=motion.fps or FPS,
    )
