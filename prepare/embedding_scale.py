"""`python -m prepare.embedding_scale`, the name of earlier versions."""

from soke.cli.embedding_scale import main
from soke.cli.main import run_verb

if __name__ == "__main__":
    run_verb(main)
