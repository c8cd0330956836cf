"""`python -m prepare.build_dictionary`, the name of earlier versions of `soke dictionary`."""

from soke.cli.dictionary import main
from soke.cli.main import run_verb

if __name__ == "__main__":
    run_verb(main)
