"""Whole-body SMPL-X motion in every form that the field's tools write, and its plausibility."""
