"""Signing as files that other programs read."""

from soke.exports.formats import EXPORTS, Exporter, export
from soke.exports.glb import skinned_glb
from soke.exports.skinned_mesh import SkinningError, skinning_error

__all__ = ["EXPORTS", "Exporter", "SkinningError", "export", "skinned_glb", "skinning_error"]
