"""Annotations, pose files, statistics, token files, data sets and loaders."""

from soke.data.annotations import (
    Clip,
    IsolatedSign,
    load_motion,
    read_annotations,
    read_isolated_signs,
)
from soke.data.layouts import LAYOUTS, Layout
from soke.data.lengths import length_rule, thin_frames
from soke.data.poses import frame_files, read_clip_file, read_frames
from soke.files import safe_load_pickle

__all__ = [
    "LAYOUTS",
    "Clip",
    "IsolatedSign",
    "Layout",
    "frame_files",
    "length_rule",
    "load_motion",
    "read_annotations",
    "read_clip_file",
    "read_frames",
    "read_isolated_signs",
    "safe_load_pickle",
    "thin_frames",
]
