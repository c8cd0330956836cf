"""The file formats for export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from soke.body import BodyModel
from soke.data.motion_files import SignedText, write_motion
from soke.exports.bvh import write_bvh
from soke.exports.glb import write_glb
from soke.exports.ply import write_ply
from soke.exports.pose import write_pose
from soke.exports.skeleton_motion import checked_fps, checked_motion
from soke.exports.skinned_mesh import skinning_error
from soke.visualization.captions import Color
from soke.visualization.scene import body_colors


@dataclass(frozen=True, eq=False)
class Content:
    """What is exported: the body, the signed text, and its look."""

    body: BodyModel
    signed: SignedText
    title: str
    tint: Color | None  # of the clothes, sRGB 0 to 255
    frames: Sequence[int] | None  # indices of the meshes; None means all

    @property
    def about(self) -> dict[str, Any]:
        return {
            "text": self.signed.text,
            "language": self.signed.language,
            "title": self.title,
            "tint": None if self.tint is None else list(self.tint),
            "body": self.body.name,
        }

    @property
    def colors(self) -> np.ndarray | None:
        """Colours of the vertices [V, 3], sRGB 0 to 1; None without a tint."""
        if self.tint is None:
            return None
        return body_colors(len(self.body.template), self.body.regions, self.tint, self.body.faces)


@dataclass(frozen=True)
class Exporter:
    """A file format: its suffix, a description, and the function that writes it."""

    suffix: str
    about: str
    write: Callable[[Path, Content], list[Path]]
    by_frame: bool = False  # whether frames can be selected


def _glb(path: Path, content: Content) -> list[Path]:
    signed = content.signed
    body = content.body
    apart = skinning_error(body, signed.motion)
    extras = {
        **content.about,
        "skinning_error_mm": {
            "mean": apart.mean,
            "hands_mean": apart.hands_mean,
            "maximum": apart.maximum,
        },
    }
    name = signed.text or "signing"
    return write_glb(
        path, body, signed.motion, signed.fps, name=name, colors=content.colors, extras=extras
    )


def _bvh(path: Path, content: Content) -> list[Path]:
    return write_bvh(path, content.body, content.signed.motion, content.signed.fps)


def _npz(path: Path, content: Content) -> list[Path]:
    body = content.body
    hands = body.hand_mean.cpu().numpy()
    write_motion(path, content.signed, body.betas.cpu().numpy(), hands, body.name)
    return [path]


def _pose(path: Path, content: Content) -> list[Path]:
    return write_pose(path, content.body, content.signed.motion, content.signed.fps)


def _ply(path: Path, content: Content) -> list[Path]:
    return write_ply(
        path,
        content.body,
        content.signed.motion,
        content.signed.fps,
        frames=content.frames,
        colors=content.colors,
        about=content.about,
    )


#: What `export` can write, one row per format.
EXPORTS: dict[str, Exporter] = {
    "glb": Exporter(".glb", "rigged body with animation (glTF 2.0)", _glb),
    "bvh": Exporter(".bvh", "skeleton with animation (Biovision)", _bvh),
    "npz": Exporter(".npz", "SMPL-X parameters in the names of AMASS", _npz),
    "pose": Exporter(".pose", "points of body, hands and face (pose-format)", _pose),
    "ply": Exporter("-ply", "folder of meshes, one per frame (binary PLY)", _ply, by_frame=True),
}


def export(
    kind: str,
    path: str | Path,
    motion: np.ndarray | torch.Tensor,
    body: BodyModel,
    fps: float,
    *,
    text: str = "",
    language: str = "",
    tokens: np.ndarray | None = None,
    keywords: Sequence[str] = (),
    missing: Sequence[str] = (),
    title: str = "",
    tint: Color | None = None,
    frames: Sequence[int] | None = None,
) -> list[Path]:
    """Write a motion [T, 133] as ``kind``, a key of `EXPORTS`. Returns the paths written.

    Args:
        kind: glb, bvh, npz, pose or ply.
        path: where to write; the format's suffix is added if missing. For ply it is a folder.
        motion: SMPL-X parameters, radians.
        body: the body model.
        fps: frames per second.
        text, language, tokens, keywords, missing: stored in formats that have a place for them.
        title: who signs, such as reference or generated.
        tint: colour of the clothes in formats with a surface (sRGB, 0 to 255); without one the
            surface has no colours.
        frames: indices of the frames to write as meshes; ply only.

    Raises ``ValueError`` for an unknown format and for a motion of another shape, without frames or
    with values that are not finite. If writing fails, nothing is left under the final name.
    """
    if kind not in EXPORTS:
        raise ValueError(f"there is no export {kind!r}; choose from {', '.join(EXPORTS)}")
    row = EXPORTS[kind]
    path = Path(path)
    if frames is not None and not row.by_frame:
        able = ", ".join(name for name, other in EXPORTS.items() if other.by_frame)
        raise ValueError(f"{kind} holds whole clips: frames can be chosen for {able} only")
    if not path.name.endswith(row.suffix):
        path = path.with_name(path.name + row.suffix)
    signed = SignedText(
        text=text,
        language=language,
        tokens=np.zeros((0, 0), np.int64) if tokens is None else np.asarray(tokens),
        motion=checked_motion(motion).numpy(),
        keywords=tuple(keywords),
        missing=tuple(missing),
        fps=checked_fps(fps),
    )
    return row.write(path, Content(body, signed, title, tint, frames))
