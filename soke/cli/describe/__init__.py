"""The configured data sets in numbers and figures: ``python -m soke.cli.describe --cfg ...``."""
