"""How data sets lie on disk, one row of `LAYOUTS` each.

A row has file names as templates and the rules of the data set. What is done with it is the same
for all of them: see `soke.data.listing.annotations`. The form of an annotation file does not
depend on the layout: `soke.data.listing.entries` tells it by the content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from soke.data.listing.entries import SPLITS

#: How2Sign clips whose pose fitting failed; each name goes on with ``-rgb_front``.
_BAD_HOW2SIGN = """
0DU7wWLK-QU_0-8 0ICZi26jdaQ_28-5 0vNfEYst_tQ_11-8 13X0vEMNm7M_8-5 14weIYQswlE_23-8
1B56XMJ-j1Q_13-8 1P0oKY4FNyI_0-8 1dpRaxOTfZs_0-8 1ei1kVTw23A_29-8 1spCnuBmWYk_0-8
2-vXO7MMLJc_0-5 21PbS6wnHtY_0-5 3tyfxL2wO-M_0-8 BpYDl3AO4B8_0-1 CH7AviIr0-0_14-8
CJ8RyW9pzKU_6-8 D0T7ho08Q3o_25-2 Db5SUQvNsHc_18-1 Eh697LCFjTw_0-3 F-p1IdedNbg_23-8
aUBQCNegrYc_13-1 cvn7htBA8Xc_9-8 czBrBQgZIuc_19-5 dbSAB8F8GYc_11-9 doMosV-zfCI_7-2
dvBdWGLzayI_10-8 eBrlZcccILg_26-3 39FN42e41r0_17-1 a4Nxq0QV_WA_9-3 fzrJBu2qsM8_11-8
g3Cc_1-V31U_12-3
"""


_SPLITS = {split: split for split in SPLITS}


@dataclass(frozen=True)
class Layout:
    """How a data set lies on disk, relative to its root. ``{split}`` is the split's name there."""

    title: str
    source: str
    annotations: tuple[str, ...]  # the first that exists is read; the first of all is expected
    clip_files: tuple[str, ...]  # one file per clip; the first that exists is taken
    frames: str | None  # a folder of frame files, where there is no file
    splits: Mapping[str, str]
    columns: tuple[str, ...] = ("name", "text")  # fields that a table has to have
    split_in_names: bool = False  # names begin with the split's name there
    known_bad: frozenset[str] = frozenset()
    native_rates: bool = False  # recordings differ in their frame rates
    own: bool = False  # data of the user's own, from any tool

    @property
    def remedy(self) -> str:
        if self.own:
            return f"docs/own-data.md and docs/formats.md say how {self.source} is laid out"
        return (
            f"{self.title} comes from {self.source} and needs the SMPL-X poses released with the "
            "method beside it; a demo corpus to start with is made by "
            "`soke fingerspelling`"
        )


LAYOUTS: dict[str, Layout] = {
    "how2sign": Layout(
        title="How2Sign",
        source="https://how2sign.github.io",
        annotations=(
            "{split}/re_aligned/how2sign_realigned_{split}_preprocessed_fps.csv",
            "{split}/re_aligned/how2sign_realigned_{split}.csv",
            "how2sign_realigned_{split}.csv",
        ),
        clip_files=("poses_video_level/{split}/poses/{name}.pkl",),
        frames="{split}/poses/{name}",
        splits=_SPLITS,
        native_rates=True,
        known_bad=frozenset(f"{name}-rgb_front" for name in _BAD_HOW2SIGN.split()),
    ),
    "csl": Layout(
        title="CSL-Daily",
        source="http://home.ustc.edu.cn/~zhouh156/dataset/csl-daily/",
        annotations=("csl_clean.{split}",),
        clip_files=("poses_video_level/{name}.pkl",),
        frames="poses/{name}",
        splits=_SPLITS,
    ),
    "phoenix": Layout(
        title="Phoenix-2014T",
        source="https://www-i6.informatik.rwth-aachen.de/~koller/RWTH-PHOENIX-2014-T/",
        annotations=(
            "phoenix14t.{split}",
            "PHOENIX-2014-T.{split}.corpus.csv",
            "annotations/manual/PHOENIX-2014-T.{split}.corpus.csv",
        ),
        clip_files=("poses_video_level/{name}.pkl",),
        frames="{name}",
        splits=_SPLITS | {"val": "dev"},
        split_in_names=True,
    ),
    "table": Layout(
        title="The table of clips",
        source="a data set of your own",
        annotations=("clips.csv",),
        clip_files=("poses/{name}.npz", "poses/{name}.npy", "poses/{name}.pkl"),
        frames="poses/{name}",
        splits=_SPLITS,
        columns=("name", "text", "language", "split"),
        own=True,
    ),
    "lmdb": Layout(
        title="The LMDB of clips",
        source="a release of SignSparK",
        annotations=("lmdb/{split}/*.lmdb", "{split}/*.lmdb", "*_{split}.lmdb"),
        clip_files=(),
        frames=None,
        splits=_SPLITS | {"val": "dev"},
        own=True,
    ),
}


def layout_named(name: str) -> Layout:
    """The row called ``name``. Raises ``ValueError`` if there is none."""
    if name not in LAYOUTS:
        raise ValueError(f"the layout {name!r} is unknown; choose one of {sorted(LAYOUTS)}")
    return LAYOUTS[name]
