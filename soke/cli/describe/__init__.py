"""The configured data sets in numbers and figures: ``soke describe --cfg ...``."""
