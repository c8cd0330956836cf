"""The free assets: the stand-in body and the data sets of the demo."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path

#: Modules of earlier versions, and the words that now follow `soke`. Kept for one release.
OLD_COMMANDS = {
    "prepare.build_dictionary": "dictionary",
    "prepare.compare": "compare",
    "prepare.describe_data": "describe",
    "prepare.doctor": "doctor",
    "prepare.embedding_scale": "embedding-scale",
    "prepare.export_generator": "export generator",
    "prepare.export_tokenizer": "export tokenizer",
    "prepare.pack_poses": "pack",
    "prepare.plot_run": "plot",
    "prepare.pose_statistics": "statistics",
    "prepare.report": "report",
    "prepare.small_mbart": "small-mbart",
    "prepare.trim_vocabulary": "vocabulary",
}


class _OldCommands:
    """Finds every module of `OLD_COMMANDS` in one file, so that ``python -m`` still runs it."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name not in OLD_COMMANDS:
            return None
        return spec_from_file_location(name, Path(__file__).with_name("old_commands.py"))


sys.meta_path.append(_OldCommands)
