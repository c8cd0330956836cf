"""Mesh images, captions and video."""
