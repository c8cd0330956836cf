"""The layout of a panel: one large view, with close-ups below it or inset in its corners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from soke.visualization.camera import FRAMINGS, Regions, framing

GAP = 8  # pixels between views
CLOSE_UP_SHARE = 0.66  # height of a row of close-ups, as a share of the panel's width
INSET_SHARE = 0.36  # side of an inset
RIM = 2  # pixels around an inset
#: The default close-ups below a view; a combined view has its own inside.
USUAL_CLOSE_UPS = ("right_hand",)


@dataclass(frozen=True)
class Combination:
    """A large view with two close-ups inset in its lower corners, left and right."""

    view: str
    insets: tuple[str, str]


#: The right hand of a signer who faces the viewer is on the left, and so is its inset.
COMBINATIONS: dict[str, Combination] = {
    "combined": Combination("upper_body", ("right_hand", "left_hand")),
}
#: What a picture can show.
VIEWS: tuple[str, ...] = (*FRAMINGS, *COMBINATIONS)


@dataclass(frozen=True)
class Place:
    """The place of a view in a panel, in pixels; an inset has a ``rim``."""

    name: str
    top: int
    left: int
    width: int
    height: int
    rim: int = 0


def place_views(
    view: str, close_ups: Sequence[str] | None, panel_width: int, regions: Regions
) -> list[Place]:
    """The views of a panel in drawing order.

    ``view`` is one of `VIEWS`, ``close_ups`` are framings below it; None means `USUAL_CLOSE_UPS`,
    or none below a combined view. Raises ``ValueError`` for an unknown view or one whose region is
    not in ``regions``.
    """
    combination = COMBINATIONS.get(view)
    if combination is None and view not in FRAMINGS:
        raise ValueError(f"there is no view {view!r}; choose from {', '.join(VIEWS)}")
    if close_ups is None:
        close_ups = USUAL_CLOSE_UPS if combination is None else ()
    if combination is None:
        places = [Place(view, 0, 0, panel_width, panel_width)]
    else:
        places = _inset(combination, panel_width)
    places += _below(close_ups, panel_width)
    for place in places:
        framing(place.name, regions)
    return places


def _inset(combination: Combination, side: int) -> list[Place]:
    inset = round(INSET_SHARE * side)
    first = RIM
    last = side - inset - RIM
    return [
        Place(combination.view, 0, 0, side, side),
        *(
            Place(name, last, left, inset, inset, RIM)
            for name, left in zip(combination.insets, (first, last))
        ),
    ]


def _below(close_ups: Sequence[str], panel_width: int) -> list[Place]:
    """A row of close-ups below a square view."""
    if not close_ups:
        return []
    height = round(CLOSE_UP_SHARE * panel_width)
    edges = np.linspace(0, panel_width + GAP, len(close_ups) + 1).round().astype(int).tolist()
    return [
        Place(name, panel_width + GAP, left, right - left - GAP, height)
        for name, left, right in zip(close_ups, edges, edges[1:])
    ]
