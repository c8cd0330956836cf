"""Write motion tokens and sign dictionaries: the command `soke tokens`."""

from soke.cli.main import run_verb
from soke.cli.tokens import main

if __name__ == "__main__":
    run_verb(main)
