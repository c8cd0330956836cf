"""Evaluate a trained run, or saved predictions: the command `soke test`."""

from soke.cli.main import run_verb
from soke.cli.test import main

if __name__ == "__main__":
    run_verb(main)
