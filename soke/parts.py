"""The layout of a frame of signing and the part table that everything else is driven by.

A frame is 179 numbers (the SMPL-X parameters of the released pose files, in file order). The
networks see 133 of them: the root, the lower body and the shape are left out. A *part* is a row of
a table that names some of those 133 columns; nothing outside this file knows a column number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import torch
from torch import Tensor

#: Keys of a pose file and their sizes, in the order in which they are concatenated (sum 179).
PARAMETERS: tuple[tuple[str, int], ...] = (
    ("smplx_root_pose", 3),
    ("smplx_body_pose", 63),
    ("smplx_lhand_pose", 45),
    ("smplx_rhand_pose", 45),
    ("smplx_jaw_pose", 3),
    ("smplx_shape", 10),
    ("smplx_expr", 10),
)
FRAME_SIZE = sum(size for _, size in PARAMETERS)  # 179

#: Columns of the 179: the shape, and what is modelled. The first 36 (root and eleven lower-body
#: joints) and the shape are left out.
SHAPE = slice(159, 169)
_FEATURE_SLICES = (slice(36, SHAPE.start), slice(SHAPE.stop, FRAME_SIZE))
FEATURE_COLUMNS: tuple[int, ...] = tuple(
    column for columns in _FEATURE_SLICES for column in range(columns.start, columns.stop)
)
FEATURE_SIZE = len(FEATURE_COLUMNS)  # 133


def frame_slices() -> dict[str, slice]:
    """Where each parameter lies in a frame of 179 numbers: ``{"smplx_root_pose": slice(0, 3)}``."""
    slices = {}
    start = 0
    for key, size in PARAMETERS:
        slices[key] = slice(start, start + size)
        start += size
    return slices


def frames_to_features(frames: Tensor) -> Tensor:
    """Cut frames ``[..., 179]`` (or statistics of that size) to the modelled ``[..., 133]``."""
    if frames.shape[-1] != FRAME_SIZE:
        raise ValueError(
            f"expected frames of {FRAME_SIZE} numbers, got shape {tuple(frames.shape)}"
        )
    return torch.cat([frames[..., columns] for columns in _FEATURE_SLICES], dim=-1)


def features_to_frames(features: Tensor, betas: Tensor) -> Tensor:
    """Fill features ``[..., 133]`` up to frames ``[..., 179]``.

    Root and lower body are at rest (zeros) and the shape is ``betas`` ``[10]``.
    """
    if features.shape[-1] != FEATURE_SIZE:
        raise ValueError(
            f"expected {FEATURE_SIZE} features a frame, got shape {tuple(features.shape)}"
        )
    frames = features.new_zeros(*features.shape[:-1], FRAME_SIZE)
    frames[..., list(FEATURE_COLUMNS)] = features
    frames[..., SHAPE] = betas.to(features)
    return frames


@dataclass(frozen=True)
class Part:
    """One row of the part table.

    ``columns`` are half-open ranges of the 133 features; ``fusion_weight`` is the weight of the
    part's embedding in the generator's input; tokens are written ``<{token_prefix}_{k}>``.
    """

    name: str
    columns: tuple[tuple[int, int], ...]
    codebook_size: int
    fusion_weight: float
    token_prefix: str

    @property
    def indices(self) -> list[int]:
        return [i for start, stop in self.columns for i in range(start, stop)]

    @property
    def size(self) -> int:
        return len(self.indices)


class PartTable(Sequence[Part]):
    """The rows, in token order. Together they cover each of the 133 features exactly once.

    Raises ``ValueError`` that names the columns or rows in question when the table overlaps,
    leaves a gap, repeats a name or prefix, or when the fusion weights do not sum to 1.
    """

    def __init__(self, parts: Iterable[Part]) -> None:
        self.parts = tuple(parts)
        self._check()

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> PartTable:
        """Build the table from the ``PARTS`` section of a configuration or of a checkpoint."""
        parts = []
        for row in rows:
            row = dict(row)
            row["columns"] = tuple((int(start), int(stop)) for start, stop in row["columns"])
            parts.append(Part(**row))
        return cls(parts)

    def to_rows(self) -> list[dict[str, object]]:
        """The inverse of `from_rows`: plain lists, numbers and strings."""
        return [
            {
                "name": part.name,
                "columns": [list(pair) for pair in part.columns],
                "codebook_size": part.codebook_size,
                "fusion_weight": part.fusion_weight,
                "token_prefix": part.token_prefix,
            }
            for part in self.parts
        ]

    def __len__(self) -> int:
        return len(self.parts)

    @overload
    def __getitem__(self, index: int) -> Part: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Part, ...]: ...
    def __getitem__(self, index: int | slice) -> Part | tuple[Part, ...]:
        return self.parts[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartTable) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def same_codes(self, other: PartTable) -> bool:
        """Whether both cut motion into the same parts with the same codebooks.

        Fusion weights and token prefixes are the generator's matter.
        """

        def codes(table: PartTable) -> list[tuple[object, ...]]:
            return [(part.name, part.indices, part.codebook_size) for part in table]

        return codes(self) == codes(other)

    @property
    def names(self) -> list[str]:
        return [part.name for part in self.parts]

    @property
    def fusion_weights(self) -> list[float]:
        return [part.fusion_weight for part in self.parts]

    def split(self, motion: Tensor) -> list[Tensor]:
        """Cut motion ``[..., 133]`` into one tensor ``[..., part.size]`` a part."""
        return [motion[..., part.indices] for part in self.parts]

    def merge(self, pieces: Sequence[Tensor]) -> Tensor:
        """The inverse of `split`."""
        assert len(pieces) == len(self.parts)
        order = torch.argsort(torch.tensor([i for part in self.parts for i in part.indices]))
        return torch.cat(list(pieces), dim=-1)[..., order.to(pieces[0].device)]

    def _check(self) -> None:
        if not self.parts:
            raise ValueError("the part table is empty: PARTS needs at least one row")
        owner: dict[int, str] = {}
        for part in self.parts:
            for column in part.indices:
                if not 0 <= column < FEATURE_SIZE:
                    raise ValueError(
                        f"part {part.name!r} names column {column}; columns run from 0 to "
                        f"{FEATURE_SIZE - 1}"
                    )
                if column in owner:
                    raise ValueError(
                        f"column {column} belongs to part {owner[column]!r} and to {part.name!r}"
                    )
                owner[column] = part.name
            if part.codebook_size < 2:
                raise ValueError(f"part {part.name!r} needs a codebook of 2 codes or more")
        missing = sorted(set(range(FEATURE_SIZE)) - set(owner))
        if missing:
            raise ValueError(f"no part covers the feature columns {missing}")
        for field in ("name", "token_prefix"):
            values = [getattr(part, field) for part in self.parts]
            if len(set(values)) != len(values):
                raise ValueError(f"two parts share one {field}: {values}")
        total = sum(self.fusion_weights)
        if abs(total - 1) > 1e-3:
            raise ValueError(f"the fusion weights of the parts sum to {total:g} instead of 1")
