"""The configured data sets in numbers and figures.

``python -m prepare.describe_data --cfg configs/soke.yaml`` prints, draws and writes clip lengths,
texts per language, what was left out, the vocabulary and, where there are token files, how the
codes are used.
"""
