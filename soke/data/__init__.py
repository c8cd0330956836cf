"""Annotations, pose files, statistics, token files, data sets and loaders."""
