"""Scoring systems against references: one row per clip, summaries with intervals, results on disk.

A task measures portions of clips (`text_to_motion`, `motion_to_text`, `reconstruction`, `saved`);
`distributed` runs any of them on several processes, resumes it and writes its results.
"""
