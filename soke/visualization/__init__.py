"""Mesh images, captions and video."""

from soke.visualization.camera import FRAMINGS, Camera, cameras
from soke.visualization.captions import find_font, text_strip
from soke.visualization.lazy_frames import LazyClip
from soke.visualization.panel_layout import VIEWS
from soke.visualization.rasterizer import Rasterizer
from soke.visualization.renderer import Frame, Lighting, Renderer
from soke.visualization.scene import TINTS, Panel, body_colors, render_clip
from soke.visualization.video import (
    contact_sheet,
    write_frames,
    write_gif,
    write_image,
    write_video,
)
from soke.visualization.write_errors import NotWrittenError

__all__ = [
    "FRAMINGS",
    "TINTS",
    "VIEWS",
    "Camera",
    "Frame",
    "LazyClip",
    "Lighting",
    "NotWrittenError",
    "Panel",
    "Rasterizer",
    "Renderer",
    "body_colors",
    "cameras",
    "contact_sheet",
    "find_font",
    "render_clip",
    "text_strip",
    "write_frames",
    "write_gif",
    "write_image",
    "write_video",
]
