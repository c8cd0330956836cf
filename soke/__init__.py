"""SOKE: written text in, signing 3D avatars out."""
