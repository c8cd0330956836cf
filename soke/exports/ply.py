"""A motion as meshes: a folder with one binary PLY file per frame.

``00012.ply`` is frame 12: vertices in metres, +y up, the body facing +z. ``clip.json`` beside them
stores the frame rate (``fps``), the frame numbers, the text, the body model's name, and the
vertices of the head and the hands. `read_ply` reads such a folder.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from soke.body import BodyModel
from soke.exports.skeleton_motion import checked_fps, checked_motion
from soke.files import require

ABOUT = "clip.json"
_CHUNK = 32  # frames posed at once: memory does not grow with the clip


_POSITION = [(axis, "<f4") for axis in "xyz"]
_COLOR = [(color, "u1") for color in ("red", "green", "blue")]
_TRIANGLE = [("count", "u1"), ("corners", "<i4", (3,))]


@dataclass(frozen=True, eq=False)
class Meshes:
    """A folder of meshes: ``frames`` are their numbers, ``about`` is the other metadata."""

    vertices: np.ndarray  # [T, V, 3] float32, metres
    faces: np.ndarray  # [F, 3]
    frames: tuple[int, ...]
    fps: float
    regions: dict[str, np.ndarray]
    about: dict[str, Any]


def write_ply(
    folder: Path,
    body: BodyModel,
    motion: np.ndarray | torch.Tensor,
    fps: float,
    *,
    frames: Sequence[int] | None = None,
    colors: np.ndarray | None = None,
    about: dict[str, Any] | None = None,
) -> list[Path]:
    """Write ``frames`` of a motion [T, 133], by default all. Returns the folder.

    ``colors`` [V, 3] (sRGB, 0 to 1) are those of the vertices; ``about`` holds JSON values to
    store, such as the text. The folder gets its name only when it is complete, and replaces one
    from an earlier export. Raises ``ValueError`` for an invalid motion, ``fps`` or frame, and if
    """
    folder = Path(folder)
    motion = checked_motion(motion)
    fps = checked_fps(fps)
    chosen = _checked_frames(frames, len(motion))
    _check_place(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    note = {
        "fps": fps,
        "frames": chosen,
        "length": len(motion),
        **(about or {}),
        "regions": {name: rows.tolist() for name, rows in body.regions.items()},
    }
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        for start in range(0, len(chosen), _CHUNK):
            part = chosen[start : start + _CHUNK]
            posed = body.vertices(motion[part].to(body.betas)).cpu().numpy()
            for number, vertices in zip(part, posed):
                (new / f"{number:05d}.ply").write_bytes(ply_bytes(vertices, body.faces, colors))
        (new / ABOUT).write_text(json.dumps(note, ensure_ascii=False), encoding="utf-8")
        if folder.exists():
            folder.replace(Path(scratch) / "old")
        new.replace(folder)
    return [folder]


def ply_bytes(vertices: np.ndarray, faces: np.ndarray, colors: np.ndarray | None = None) -> bytes:
    """A binary PLY file of vertices [V, 3], faces [F, 3] and colours [V, 3] (sRGB, 0 to 1)."""
    fields = _POSITION + (_COLOR if colors is not None else [])
    rows = np.empty(len(vertices), dtype=fields)
    for i, (axis, _) in enumerate(_POSITION):
        rows[axis] = vertices[:, i]
    if colors is not None:
        for i, (color, _) in enumerate(_COLOR):
            rows[color] = np.round(255 * np.clip(colors[:, i], 0, 1))
    triangles = np.empty(len(faces), dtype=_TRIANGLE)
    triangles["count"] = 3
    triangles["corners"] = faces
    header = _header(len(rows), len(triangles), colors is not None)
    return header + rows.tobytes() + triangles.tobytes()


def read_ply(folder: str | Path) -> Meshes:
    """Read a folder that `write_ply` wrote, without the colours.

    Raises `soke.files.MissingAssetError` if there is no such folder, and ``ValueError`` that names
    the file if it is damaged or was not written by `write_ply`.
    """
    folder = Path(folder)
    remedy = "`python -m vis_mesh ... --export ply` writes such folders"
    note_path = require(folder / ABOUT, "The note about a clip's meshes", remedy)
    try:
        note = json.loads(note_path.read_text(encoding="utf-8"))
        frames = tuple(map(int, note.pop("frames")))
        fps = checked_fps(note.pop("fps"))
        regions = {
            str(name): np.array(rows, np.int64) for name, rows in note.pop("regions").items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{note_path} is not the metadata of exported meshes ({error}): export them again"
        ) from error
    if not frames:
        raise ValueError(f"{note_path} names no frames: export the meshes again")
    meshes = [
        _read_mesh(require(folder / f"{frame:05d}.ply", "A frame's mesh", "Export them again"))
        for frame in frames
    ]
    count = {len(vertices) for vertices, _ in meshes}
    if len(count) > 1:
        raise ValueError(f"{folder} mixes bodies with {sorted(count)} vertices")
    vertices = np.stack([vertices for vertices, _ in meshes])
    beyond = [name for name, rows in regions.items() if len(rows) and rows.max() >= max(count)]
    if beyond:
        raise ValueError(
            f"{note_path} belongs to another body: {beyond[0]!r} has vertices that do not exist"
        )
    return Meshes(vertices, meshes[0][1], frames, fps, regions, note)


def _header(vertices: int, faces: int, colored: bool) -> bytes:
    properties = [f"property float {axis}" for axis, _ in _POSITION]
    if colored:
        properties += [f"property uchar {color}" for color, _ in _COLOR]
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {vertices}",
        *properties,
        f"element face {faces}",
        "property list uchar int vertex_indices",
        "end_header",
        "",
    ]
    return "\n".join(lines).encode("ascii")


def _read_mesh(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [V, 3] and faces [F, 3] of a file that `ply_bytes` produced."""
    content = path.read_bytes()
    counts = re.findall(rb"element (?:vertex|face) (\d+)\n", content[:1000])
    if len(counts) != 2:
        raise ValueError(f"{path} is not a PLY file of triangles as this program exports them")
    vertex_count, face_count = map(int, counts)
    triangles = np.dtype(_TRIANGLE)
    for colored in (False, True):
        header = _header(vertex_count, face_count, colored)
        layout = np.dtype(_POSITION + (_COLOR if colored else []))
        start = len(header) + vertex_count * layout.itemsize
        whole = start + face_count * triangles.itemsize
        if content.startswith(header) and len(content) == whole:
            break
    else:
        raise ValueError(
            f"{path} was not exported by this program or is truncated: export it again"
        )
    rows = np.frombuffer(content, layout, vertex_count, len(header))
    vertices = np.stack([rows[axis] for axis, _ in _POSITION], axis=1)
    corners = np.frombuffer(content, triangles, face_count, start)["corners"]
    return vertices, corners.astype(np.int64)


def _checked_frames(frames: Sequence[int] | None, length: int) -> list[int]:
    if frames is None:
        return list(range(length))
    chosen = sorted({int(frame) for frame in frames})
    beyond = [frame for frame in chosen if not 0 <= frame < length]
    if beyond or not chosen:
        raise ValueError(
            f"the clip has frames 0 to {length - 1}; "
            + (f"there is no frame {beyond[0]}" if beyond else "none was chosen")
        )
    return chosen


def _check_place(folder: Path) -> None:
    """Refuse to replace anything but an earlier export."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; meshes need a folder")
    if folder.is_dir():
        others = [p.name for p in folder.iterdir() if p.suffix != ".ply" and p.name != ABOUT]
        if others:
            raise ValueError(
                f"{folder} holds other files ({sorted(others)[0]}): name another folder for the "
                "meshes, or move them away"
            )
