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

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from soke.files import atomic_path, require
from soke.parts import features_to_frames, frame_slices, frames_to_features

#: Sizes of what is put side by side in ``poses``, in this order.
_POSES = {"root_orient": 3, "pose_body": 63, "pose_jaw": 3, "pose_eye": 6, "pose_hand": 90}
_MOTION = {**_POSES, "expression": 10, "trans": 3}
_OTHERS = ("betas", "hand_mean", "mocap_frame_rate", "text", "language", "keywords", "missing",
           "tokens")  # fmt: skip


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
    at, zeros = frame_slices(), np.zeros((len(frames), 6), np.float32)
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
    """The inverse of `write_motion`.

    Raises `soke.files.MissingAssetError` when there is no such file and ``ValueError`` that names
    file and key for one that was not written by it or is damaged.
    """
    path = require(path, "The motion file", "`python -m vis_mesh --text ...` writes such files")
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {key: file[key] for key in file.files}
    except Exception as error:
        # A damaged file can raise almost anything from inside its reader.
        raise ValueError(
            f"{path} cannot be read as .npz ({type(error).__name__}: {error})"
        ) from error
    _check(path, content)
    at = frame_slices()
    frames = np.zeros((len(content["pose_body"]), at["smplx_expr"].stop), np.float32)
    hands = content["pose_hand"] - content["hand_mean"]
    for key, values in (
        ("smplx_root_pose", content["root_orient"]),
        ("smplx_body_pose", content["pose_body"]),
        ("smplx_lhand_pose", hands[:, :45]),
        ("smplx_rhand_pose", hands[:, 45:]),
        ("smplx_jaw_pose", content["pose_jaw"]),
        ("smplx_expr", content["expression"]),
    ):
        frames[:, at[key]] = values
    return SignedText(
        text=str(content["text"]),
        language=str(content["language"]),
        tokens=content["tokens"],
        motion=frames_to_features(torch.from_numpy(frames)).numpy(),
        keywords=tuple(content["keywords"].tolist()),
        missing=tuple(content["missing"].tolist()),
        fps=float(content["mocap_frame_rate"]),
    )


def _check(path: Path, content: Mapping[str, np.ndarray]) -> None:
    absent = [key for key in (*_MOTION, *_OTHERS) if key not in content]
    if absent:
        raise ValueError(
            f"{path} lacks {absent}: it is no file of signing, as vis_mesh writes them"
        )
    length = len(np.atleast_1d(content["pose_body"]))
    shapes = {key: (length, size) for key, size in _MOTION.items()} | {"hand_mean": (90,)}
    for key, shape in shapes.items():
        value = content[key]
        if value.dtype.kind != "f" or value.shape != shape or not np.isfinite(value).all():
            raise ValueError(
                f"{path}: {key!r} has to be finite numbers of shape {list(shape)}, found "
                f"{value.dtype} of shape {list(value.shape)}"
            )
