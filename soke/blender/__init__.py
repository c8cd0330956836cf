"""Exported meshes drawn by Blender, in its own environment."""

from soke.blender.cycles import BlenderRenderer
from soke.blender.drawing import PANEL_WIDTH, SAMPLES, draw_meshes
from soke.blender.environment import FOLDER, BlenderError, blender_python, set_up

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
