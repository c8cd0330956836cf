"""Mesh images, captions and video."""

from soke.visualization.camera import FRAMINGS, Camera, cameras
from soke.visualization.captions import find_font, text_strip
from soke.visualization.rasterizer import Rasterizer
from soke.visualization.renderer import Frame, Lighting, Renderer
from soke.visualization.scene import TINTS, Panel, body_colors, render_clip
from soke.visualization.video import contact_sheet, write_image, write_video

__all__ = [
    "FRAMINGS",
    "TINTS",
    "Camera",
    "Frame",
    "Lighting",
    "Panel",
    "Rasterizer",
    "Renderer",
    "body_colors",
    "cameras",
    "contact_sheet",
    "find_font",
    "render_clip",
    "text_strip",
    "write_image",
    "write_video",
]
