"""`python -m prepare.compare`, the name of earlier versions."""

from soke.cli.compare import main
from soke.cli.main import run_verb

if __name__ == "__main__":
    run_verb(main)
