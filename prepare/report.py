"""`python -m prepare.report`, the name of earlier versions."""

from soke.cli.main import run_verb
from soke.cli.report.__main__ import main

if __name__ == "__main__":
    run_verb(main)
