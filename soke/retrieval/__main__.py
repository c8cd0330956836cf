"""`python -m soke.retrieval`, the name of earlier versions."""

from soke.cli.main import run_verb
from soke.cli.retrieve import main

if __name__ == "__main__":
    run_verb(main)
