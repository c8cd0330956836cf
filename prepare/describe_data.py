"""`python -m prepare.describe_data`, the name of earlier versions."""

from soke.cli.describe.__main__ import main
from soke.cli.main import run_verb

if __name__ == "__main__":
    run_verb(main)
