"""Which points of the body are scored.

A point set is a row of a table; its first point is the root at which bodies are aligned. Body
points are SMPL-X joints. Hand points are regressed from the vertices (rows of the joint regressor),
except for the finger tips, which are vertices (the method's evaluation protocol).
"""

from __future__ import annotations

from dataclasses import dataclass

#: Entries of a point set: ("joint", i) is SMPL-X joint i of the 144; ("row", i) is row i of the
#: joint regressor applied to the posed vertices; ("vertex", i) is a posed vertex.
Point = tuple[str, int]


#: Name of the set of all SMPL-X joints.
ALL_JOINTS = "joints"


@dataclass(frozen=True)
class PointSet:
    """``points[0]`` is the root; ``scored`` are the indices in ``points`` that are scored.

    Procrustes alignment uses all ``points``. If ``joints`` are given it uses all 144 SMPL-X joints
    instead, and these are scored: the same ones as ``scored``, in the same order.
    """

    name: str
    points: tuple[Point, ...]
    scored: tuple[int, ...]
    joints: tuple[int, ...] = ()


def _hand(wrist: int, fingers: tuple[tuple[int, int], ...]) -> tuple[Point, ...]:
    """Wrist row, then per finger three regressor rows from ``first`` on and the tip vertex."""
    points: list[Point] = [("row", wrist)]
    for first, tip in fingers:
        points += [("row", first), ("row", first + 1), ("row", first + 2), ("vertex", tip)]
    return tuple(points)


# Neck, shoulders, elbows, wrists; ears, eyes, nose. The root is the pelvis.
_BODY_JOINTS = (12, 16, 17, 18, 19, 20, 21, 59, 58, 57, 56, 55)
# thumb, index, middle, ring, little finger
_LEFT_FINGERS = ((37, 5361), (25, 4933), (28, 5058), (34, 5169), (31, 5286))
_RIGHT_FINGERS = ((52, 8079), (40, 7669), (43, 7794), (49, 7905), (46, 8022))

POINT_SETS: dict[str, PointSet] = {
    points.name: points
    for points in (
        PointSet(
            "body",
            (("joint", 0), *(("joint", j) for j in _BODY_JOINTS)),
            tuple(range(1, 13)),
            _BODY_JOINTS,
        ),
        PointSet("lhand", _hand(20, _LEFT_FINGERS), tuple(range(21))),
        PointSet("rhand", _hand(21, _RIGHT_FINGERS), tuple(range(21))),
    )
}

#: Point sets whose score is the mean of others.
COMBINED: dict[str, tuple[str, ...]] = {"hands": ("lhand", "rhand")}

#: Regions of the surface, for cameras: a vertex belongs to the joint that moves it most.
REGION_JOINTS: dict[str, tuple[int, ...]] = {
    "head": (12, 15, 22, 23, 24),
    "left_hand": (20, *range(25, 40)),
    "right_hand": (21, *range(40, 55)),
}
