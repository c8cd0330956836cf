"""Signing as files that other programs read."""

from soke.exports.glb import skinned_glb
from soke.exports.skinning import SkinningError, skinning_error
from soke.exports.table import EXPORTS, Exporter, export

__all__ = ["EXPORTS", "Exporter", "SkinningError", "export", "skinned_glb", "skinning_error"]
