"""The background behind bodies: the default soft grey, a colour, or transparency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import ImageColor

from soke.visualization.captions import INK, Color
from soke.visualization.renderer import Frame, Lighting

PAGE: Color = (255, 255, 255)
PALE_INK: Color = (110, 114, 122)
LIGHT_INK: Color = (240, 241, 244)
PALE_LIGHT_INK: Color = (186, 190, 198)
DARK = 128  # luma, 0 to 255: text on a darker background is light


@dataclass(frozen=True)
class Ground:
    """Background colours, sRGB 0 to 255; None is transparent.

    ``view`` is behind the bodies, ``page`` around the views and behind text.
    """

    view: Color | None = Lighting().ground
    page: Color | None = PAGE
    ink: Color = INK
    pale_ink: Color = PALE_INK

    def blank(self, height: int, width: int) -> Frame:
        """An empty page ``[height, width, 3]``, or 4 channels if it is transparent."""
        if self.page is None:
            return np.zeros((height, width, 4), np.uint8)
        page = np.empty((height, width, 3), np.uint8)
        page[:] = self.page
        return page


def choose_ground(background: str | Color | None) -> Ground:
    """The colours for "transparent", a colour ("#00ff00", "navy" or RGB levels), or None.

    None is the default: soft grey behind the bodies, a white page. Raises ``ValueError`` for
    anything else.
    """
    if background is None:
        return Ground()
    if background == "transparent":
        return Ground(view=None, page=None)
    color = _color(background)
    if np.dot(color, (0.299, 0.587, 0.114)) < DARK:
        return Ground(color, color, LIGHT_INK, PALE_LIGHT_INK)
    return Ground(color, color)


def _color(background: str | Color) -> Color:
    try:
        levels = ImageColor.getrgb(background) if isinstance(background, str) else background
        red, green, blue = (int(level) for level in levels)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"the background {background!r} is not a colour; use transparent, a name such as "
            "white, or #rrggbb"
        ) from error
    if not all(0 <= level <= 255 for level in (red, green, blue)):
        raise ValueError(f"background levels range from 0 to 255, got {background!r}")
    return red, green, blue


def put(page: Frame, picture: Frame, top: int, left: int) -> None:
    """Paste ``picture`` on ``page`` in place; both may be opaque or transparent.

    On a transparent page the picture replaces what is there; on an opaque one it is blended over.
    """
    height, width, channels = picture.shape
    place = page[top : top + height, left : left + width]
    if channels == page.shape[2]:
        place[:] = picture
    elif channels == 3:
        place[..., :3] = picture
        place[..., 3] = 255
    else:
        share = picture[..., 3:].astype(np.float32) / 255
        place[:] = (share * picture[..., :3] + (1 - share) * place).round().astype(np.uint8)
