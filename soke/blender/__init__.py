"""Exported meshes drawn by Blender, in its own environment."""

from soke.blender.environment import FOLDER, BlenderError, blender_python, set_up
from soke.blender.film import PANEL_WIDTH, SAMPLES, draw_meshes
from soke.blender.renderer import BlenderRenderer

__all__ = [
    "FOLDER",
    "PANEL_WIDTH",
    "SAMPLES",
    "BlenderError",
    "BlenderRenderer",
    "blender_python",
    "draw_meshes",
    "set_up",
]
