"""Scoring systems against references: rows of clips, summaries with intervals, results on disk."""
