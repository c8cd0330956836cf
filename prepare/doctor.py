"""`python -m prepare.doctor`, the name of earlier versions."""

from soke.cli.doctor.__main__ import main
from soke.cli.main import run_verb

if __name__ == "__main__":
    run_verb(main)
