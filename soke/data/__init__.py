"""Annotations, pose files, packed stores, statistics, token files, data sets and loaders."""

from soke.data.clips import Clips, Group, Summary, summary_table, write_summaries
from soke.data.freshness import open_shard
from soke.data.layouts import LAYOUTS, Layout
from soke.data.lengths import length_rule, thin_frames
from soke.data.listing.annotations import Clip, read_annotations
from soke.data.listing.entries import DataFault
from soke.data.listing.isolated_signs import read_isolated_signs
from soke.data.motion.reader import Motion, read_motion_file
from soke.data.poses import frame_files, read_frames
from soke.data.scan import load_motion, survey
from soke.data.store import Shard
from soke.unpickling import safe_load_pickle

__all__ = [
    "LAYOUTS",
    "Clip",
    "Clips",
    "DataFault",
    "Group",
    "Layout",
    "Motion",
    "Shard",
    "Summary",
    "frame_files",
    "length_rule",
    "load_motion",
    "open_shard",
    "read_annotations",
    "read_frames",
    "read_isolated_signs",
    "read_motion_file",
    "safe_load_pickle",
    "summary_table",
    "survey",
    "thin_frames",
    "write_summaries",
]
